"""JSON: eigenvalue scans (one object, a list of them, or one a line) and freqtrade's candle and trade lists.

An eigenvalue record holds ``scan_number`` and ``eigenvalues``; optionally ``timestamp`` (or ``ts``),
``regime``, ``bull``, ``bear``, ``symbol`` and further numbers. Size and depth are limited before parsing.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl

from dolphin.catalog.readers.clock import Clock
from dolphin.catalog.readers.layouts import features, recognise
from dolphin.catalog.readers.lines import blocks, first_line, unpacked_limit
from dolphin.catalog.readers.reading import MAX_FILE_BYTES, Kind, Reading, Source, explained, filled
from dolphin.errors import DolphinError

MAX_DOCUMENT_BYTES = 128 << 20
MAX_LINE_BYTES = 4 << 20
MAX_DEPTH = 8
CANDLE = ("date", "open", "high", "low", "close", "volume")
TRADE = ("timestamp", "id", "type", "side", "price", "amount", "cost")
RECORD = ("scan_number", "eigenvalues")
_TIMES = ("timestamp", "ts")
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def read_json(path: Path) -> Reading:
    """A JSON document; of several lines with an object each, as :func:`read_json_lines`."""
    source = Source.of(path)
    with explained(source.where, "JSON"), _open(path) as stream:
        head = stream.read(MAX_LINE_BYTES)
        if _whole(head.partition(b"\n")[0]) and head.partition(b"\n")[2].strip():
            return read_json_lines(path)
        data = head + stream.read(MAX_DOCUMENT_BYTES + 1 - len(head))
    if not data.strip():
        raise DolphinError("an empty file", where=source.where, mend="remove it or download it again")
    if len(data) > MAX_DOCUMENT_BYTES:
        raise DolphinError(
            f"a JSON document of more than {MAX_DOCUMENT_BYTES} bytes", where=source.where, mend="one object a line"
        )
    document = parse(data, source)
    rows = [document] if isinstance(document, dict) else document
    if not isinstance(rows, list) or not rows:
        raise DolphinError("a JSON document without rows", where=source.where, mend=_reads())
    if all(isinstance(row, list) for row in rows):
        return _lists(rows, source)
    _check_record(rows[0], source)

    def frames() -> Iterator[pl.DataFrame]:
        yield _records(rows, Clock(source.where), source, _keys(rows[0]))

    return Reading("features", filled(frames(), source.where, "JSON"), _left_out(rows[0]))


def read_json_lines(path: Path) -> Reading:
    """Eigenvalue records, one JSON object a line; streamed."""
    source = Source.of(path)
    limit = unpacked_limit(path.stat().st_size) if path.suffix.lower() == ".gz" else MAX_FILE_BYTES
    first = parse(first_line(lambda: _open(path), source, "JSON"), source)
    _check_record(first, source)

    def frames() -> Iterator[pl.DataFrame]:
        clock = Clock(source.where)
        with _open(path) as stream:
            for block in blocks(stream, source, limit):
                lines = block.removeprefix(b"\xef\xbb\xbf").splitlines()
                if rows := [parse(line, source, MAX_LINE_BYTES) for line in lines if line.strip()]:
                    yield _records(rows, clock, source, _keys(first))

    return Reading("features", filled(frames(), source.where, "JSON"), _left_out(first))


def parse(data: bytes, source: Source, limit: int = MAX_DOCUMENT_BYTES) -> Any:
    """Parse JSON of bounded size and depth.

    Raises
    ------
    DolphinError
        If it is larger, deeper, or no JSON.
    """
    if len(data) > limit:
        raise DolphinError(f"JSON of more than {limit} bytes", where=source.where, mend="split it")
    brackets = np.frombuffer(_STRINGS.sub(b"", data).translate(None, _NO_BRACKETS), np.uint8)
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    depth = int(np.where(opening, 1, -1).cumsum(dtype=np.int32).max(initial=0))
    if depth > MAX_DEPTH:
        raise DolphinError(f"JSON nested {depth} deep", where=source.where, mend=_reads())
    with explained(source.where, "JSON"):
        return json.loads(data)


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _whole(line: bytes) -> bool:
    """Whether a line is a JSON object by itself."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):  # also text that is no UTF-8
        return False


def _reads() -> str:
    return (
        "it reads objects with scan_number and eigenvalues, and freqtrade's lists "
        f"[{', '.join(CANDLE)}] and [{', '.join(TRADE)}]"
    )


def _lists(rows: list[list[Any]], source: Source) -> Reading:
    """freqtrade's candles and trades: a list of lists, all of one length."""
    names = {len(CANDLE): CANDLE, len(TRADE): TRADE}.get(len(rows[0]))
    if names is None or any(len(row) != len(names) for row in rows):
        raise DolphinError("lists of no known length", where=source.where, mend=_reads())
    layout = recognise(names, source)
    kind: Kind = layout.kind

    def frames() -> Iterator[pl.DataFrame]:
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        frame = pl.DataFrame({name: _cells(name, columns[name]) for name in layout.wanted(names)})
        yield layout.make(frame, source, Clock(source.where))

    return Reading(kind, filled(frames(), source.where, "JSON"))


def _cells(name: str, values: Sequence[Any]) -> pl.Series:
    if name in ("date", "timestamp"):
        return pl.Series(name, values, pl.Int64)
    if name in ("id", "side"):
        return pl.Series(name, [None if v is None else str(v) for v in values], pl.String)
    return pl.Series(name, [None if v is None else float(v) for v in values], pl.Float64)


def _check_record(row: Any, source: Source) -> None:
    missing = [name for name in RECORD if not isinstance(row, dict) or name not in row]
    if missing:
        raise DolphinError(f"no '{missing[0]}' in a JSON record", where=source.where, mend=_reads())


def _number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _keys(first: dict[str, Any]) -> list[str]:
    """The first record's keys that are read; every record has these and no other numbers."""
    known = {*RECORD, *_TIMES, "regime", "symbol"}
    return [key for key, value in first.items() if key in known or _number(value)]


def _left_out(first: dict[str, Any]) -> tuple[str, ...]:
    notes = []
    if odd := sorted(set(first) - set(_keys(first))):
        notes.append(f"keys left out, no numbers: {', '.join(odd)}")
    if not any(name in first for name in _TIMES):
        notes.append("no times: its rows are known by scan_number alone")
    return tuple(notes)


def _records(rows: list[Any], clock: Clock, source: Source, keys: list[str]) -> pl.DataFrame:
    """Eigenvalue records as a feature frame; ``ts`` is null where the file has no times."""
    for row in rows:
        _check_record(row, source)
        if new := [key for key, value in row.items() if key not in keys and _number(value) and value is not None]:
            raise DolphinError(
                f"scan {row['scan_number']} has '{new[0]}', the first has not", where=source.where, mend="one layout"
            )
        values = row["eigenvalues"]
        if not isinstance(values, list) or not all(_number(v) and v is not None for v in values):
            raise DolphinError(
                f"scan {row['scan_number']} has no list of numbers as eigenvalues", where=source.where, mend=_reads()
            )
    columns = []
    for key in keys:
        cells = [row.get(key) for row in rows]
        if key in ("regime", "symbol"):
            columns.append(pl.Series(key, cells, pl.String))
        elif key == "eigenvalues":
            columns.append(pl.Series(key, [[float(v) for v in row] for row in cells], pl.List(pl.Float64)))
        elif key == "scan_number":
            columns.append(pl.Series(key, cells, pl.Int64))
        elif key in _TIMES:
            text = any(isinstance(cell, str) for cell in cells)
            columns.append(pl.Series(key, cells, pl.String if text else pl.Int64))
        else:
            if not all(_number(cell) for cell in cells):
                raise DolphinError(f"'{key}' is not always a number", where=source.where, mend="one layout")
            columns.append(pl.Series(key, [None if c is None else float(c) for c in cells], pl.Float64))
    frame = pl.DataFrame(columns)
    if frame["scan_number"].null_count():
        raise DolphinError("a record without scan_number", where=source.where)
    time = next((name for name in _TIMES if name in keys), None)
    none = pl.Series("ts", [None] * frame.height, pl.Int64)
    return features(frame, source, none if time is None else clock.ns(frame[time]))
