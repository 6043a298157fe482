"""One scan of another program, whatever it came in: time, feature columns, prices."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from dolphin.catalog.readers.clock import Clock
from dolphin.catalog.readers.columnar import SMALL_BYTES
from dolphin.catalog.readers.documents import parse
from dolphin.catalog.readers.ipc import check_batches
from dolphin.catalog.readers.reading import MAX_RATIO, Source, explained
from dolphin.catalog.store.instruments import check_symbol
from dolphin.catalog.store.scan_layout import FEATURES, SCAN_NUMBER
from dolphin.errors import DolphinError

READS = f"a scan has ts, {', '.join(FEATURES)} and a price a symbol; as JSON the prices are under 'prices'"
#: What a column beside the features may be and yet be no symbol.
_NO_SYMBOLS = {"ts", "timestamp", "symbol", SCAN_NUMBER, *FEATURES}


@dataclass(frozen=True)
class ScanRecord:
    """A scan as it came.

    Attributes
    ----------
    ts : int
        Close of its bar, ns UTC.
    number : int or None
        The other program's number for it.
    features : mapping of str to float
        The scanner's columns; NaN where it had none.
    prices : mapping of str to float
        By symbol; a symbol without a price is not in it.
    source : str
        Where it came from, for messages.
    """

    ts: int
    number: int | None
    features: Mapping[str, float]
    prices: Mapping[str, float]
    source: str


def read_scan_file(path: Path) -> list[ScanRecord]:
    """The scans of an Arrow IPC or JSON file, in the order of their times.

    Raises
    ------
    DolphinError
        If it is no such file, not whole, or holds something that cannot be.
    """
    if path.suffix.lower() == ".json":
        return [_of_document(row, str(path)) for row in _rows(parse(path.read_bytes(), Source.of(path)), str(path))]
    data = path.read_bytes()
    as_file = data.startswith(b"ARROW1")
    with explained(str(path), "Arrow IPC"):
        if not check_batches(path, as_file, MAX_RATIO, SMALL_BYTES):
            raise DolphinError("a stream without its end", where=str(path))
    return _of_arrow(data, str(path), as_file=as_file)


def of_arrow(data: bytes, where: str) -> list[ScanRecord]:
    """The scans of Arrow IPC bytes (a stream), as they lie in a store."""
    return _of_arrow(data, where, as_file=False)


def of_document(document: Mapping[str, Any], where: str) -> ScanRecord:
    """The scan of a JSON object."""
    return _of_document(dict(document), where)


def to_document(scan: ScanRecord) -> dict[str, Any]:
    """The JSON object of a scan; what is not known is null."""
    numbers = {name: None if math.isnan(value) else value for name, value in scan.features.items()}
    return {SCAN_NUMBER: scan.number, "ts": scan.ts, **numbers, "prices": dict(scan.prices)}


def to_arrow(scan: ScanRecord) -> bytes:
    """The Arrow IPC stream of a scan: one row, columns as in the scan files of the catalog."""
    cells = {"ts": [scan.ts], SCAN_NUMBER: [scan.number], **{n: [v] for n, v in scan.features.items()}}
    types = {"ts": pa.int64(), SCAN_NUMBER: pa.int64()}
    cells |= {symbol: [price] for symbol, price in scan.prices.items()}
    batch = pa.record_batch({name: pa.array(cell, types.get(name, pa.float64())) for name, cell in cells.items()})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _rows(document: Any, where: str) -> list[dict[str, Any]]:
    rows = document if isinstance(document, list) else [document]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise DolphinError("no scan in this JSON", where=where, mend=READS)
    return sorted(rows, key=lambda row: str(row.get("ts", row.get("timestamp"))))


def _of_document(row: dict[str, Any], where: str) -> ScanRecord:
    time = row.get("ts", row.get("timestamp"))
    if time is None or isinstance(time, bool) or not isinstance(time, int | str):
        raise DolphinError("a scan without its time", where=where, mend=READS)
    ts = int(Clock(where).ns(pl.Series("ts", [time]))[0])
    prices = row.get("prices")
    if prices is None and isinstance(row.get("assets"), list) and isinstance(row.get("asset_prices"), list):
        prices = dict(zip(row["assets"], row["asset_prices"], strict=False))
    if not isinstance(prices, dict):
        raise DolphinError("a scan without prices", where=where, mend=READS)
    number = row.get(SCAN_NUMBER)
    features = {name: _number(row.get(name), name, where) for name in FEATURES}
    return _checked(ts, number if isinstance(number, int) else None, features, prices, where)


def _of_arrow(data: bytes, where: str, *, as_file: bool) -> list[ScanRecord]:
    """A few wide rows, read by pyarrow alone: as a frame, hundreds of columns take a third of a second."""
    with explained(where, "Arrow IPC"):
        opened = pa.ipc.open_file(io.BytesIO(data)) if as_file else pa.ipc.open_stream(io.BytesIO(data))
        table = opened.read_all()
        table.validate(full=True)
        names = list(table.schema.names)
        columns = {name: table.column(k).to_pylist() for k, name in enumerate(names)}
    missing = [name for name in ("ts", *FEATURES) if name not in columns]
    if missing or len(columns) < len(names):
        what = f"no column '{missing[0]}'" if missing else "a column name occurs twice"
        raise DolphinError(what, where=where, mend=READS)
    symbols = [name for name in columns if name not in _NO_SYMBOLS]
    if not symbols or not table.num_rows:
        raise DolphinError("a scan without prices", where=where, mend=READS)
    times = Clock(where).ns(pl.Series("ts", columns["ts"]))
    numbers = columns.get(SCAN_NUMBER) or [None] * table.num_rows
    found = []
    for i in range(table.num_rows):
        features = {name: _number(columns[name][i], name, where) for name in FEATURES}
        prices = {symbol: columns[symbol][i] for symbol in symbols}
        number = numbers[i] if isinstance(numbers[i], int) else None
        found.append(_checked(int(times[i]), number, features, prices, where))
    return sorted(found, key=lambda one: one.ts)


def _number(value: Any, name: str, where: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DolphinError(f"'{name}' is no number", where=where, mend=READS)
    return float(value)


def _checked(
    ts: int, number: int | None, features: dict[str, float], prices: Mapping[str, Any], where: str
) -> ScanRecord:
    kept = {}
    for symbol, price in prices.items():
        check_symbol(symbol, where)
        value = _number(price, symbol, where)
        if math.isnan(value):
            continue
        if not 0.0 < value < np.inf:
            raise DolphinError(f"a price of {value:g} for {symbol}", where=where, mend="prices are above 0")
        kept[symbol] = value
    return ScanRecord(ts, number, features, kept, where)
