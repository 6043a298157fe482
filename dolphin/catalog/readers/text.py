"""CSV tables: read in blocks of whole lines from any byte stream, so that a file of any size fits."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import polars as pl

from dolphin.catalog.readers.clock import Clock
from dolphin.catalog.readers.layouts import KLINE_COLUMNS, Layout, recognise
from dolphin.catalog.readers.lines import Opener, blocks, first_line, unpacked_limit
from dolphin.catalog.readers.reading import MAX_FILE_BYTES, NoLayout, Reading, Source, explained, filled
from dolphin.catalog.readers.streams import read_stream
from dolphin.errors import DolphinError

AGGREGATE_COLUMNS = (
    "agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker",
    "is_best_match",
)  # fmt: skip
TRADE_COLUMNS = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match")
_BLANK_LINES = re.compile(rb"\n[ \t\r\n]*\n")


def read_csv(path: Path) -> Reading:
    """A CSV file: an exchange's klines or trades with or without header, or any layout by its header."""
    return csv_reading(lambda: path.open("rb"), Source.of(path), MAX_FILE_BYTES, path)


def read_gz(path: Path) -> Reading:
    """A gzip: a CSV inside, or the raw exchange stream that a recorder wrote."""

    def opener() -> IO[bytes]:
        return gzip.open(path)  # type: ignore[return-value]

    head = first_line(opener, Source.of(path), "gzip")
    if re.match(rb"\d+ +\{", head):
        return read_stream(path)
    return csv_reading(opener, Source.of(path), unpacked_limit(path.stat().st_size))


def csv_reading(
    opener: Opener, source: Source, limit: int, path: Path | None = None, *, exact: bool = False
) -> Reading:
    """Read CSV text from a stream that may be opened twice.

    Parameters
    ----------
    opener : callable
        Opens the stream.
    limit : int
        Bytes it may give.
    path : Path, optional
        The plain file; a series is read from such a one only.
    exact : bool
        It must give just ``limit`` bytes.
    """
    header, names = columns_of(first_line(opener, source, "CSV"), source)
    layout = recognise(names, source)
    if header and layout.kind == "bars" and layout.integers and not _counts_time(opener, names, layout, source):
        raise NoLayout("its times are no counts since 1970", where=source.where)
    if layout.kind == "series":
        if path is None:
            raise DolphinError("a packed series", where=source.where, mend="unpack it first")
        from dolphin.catalog.readers.series import read_series

        return read_series(path)

    def frames() -> Iterator[pl.DataFrame]:
        clock = Clock(source.where)
        with opener() as stream:
            for number, block in enumerate(blocks(stream, source, limit, exact=exact)):
                if number == 0:
                    block = block.removeprefix(b"\xef\xbb\xbf").lstrip()
                    block = block.partition(b"\n")[2] if header else block
                block = _BLANK_LINES.sub(b"\n", block)
                if block.strip():
                    yield layout.make(_table(block, names, layout, source), source, clock)

    return Reading(layout.kind, filled(frames(), source.where, "CSV"))


def columns_of(line: bytes, source: Source) -> tuple[bool, list[str]]:
    """Whether the first line is a header, and the columns' names: from it, or from what the exchange writes."""
    try:
        cells = [cell.strip().strip('"') for cell in line.decode().split(",")]
    except UnicodeDecodeError:
        raise DolphinError("not a UTF-8 text file", where=source.where, mend="save it as UTF-8") from None
    if not cells[0].isdecimal():
        return True, [cell.lower().replace(" ", "_") for cell in cells]
    flags = [i for i, cell in enumerate(cells) if cell.lower() in ("true", "false")]
    for columns, at in ((AGGREGATE_COLUMNS, 6), (TRADE_COLUMNS, 5)):
        if flags[:1] == [at] and len(cells) <= len(columns):
            return False, list(columns[: len(cells)])
    if len(cells) != len(KLINE_COLUMNS):
        raise NoLayout(
            f"{len(cells)} columns without a header",
            where=source.where,
            mend=f"klines have {len(KLINE_COLUMNS)}; other tables need a header",
        )
    return False, list(KLINE_COLUMNS)


def _counts_time(opener: Opener, names: list[str], layout: Layout, source: Source) -> bool:
    """Whether the first row writes its time as an integer; text is for the reader of people's tables."""
    with explained(source.where, "CSV"), opener() as stream:
        lines = stream.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip().splitlines()
    cells = lines[1].split(b",") if len(lines) > 1 else []
    at = names.index(next(name for name in names if name in layout.integers))
    return len(cells) <= at or re.fullmatch(rb"-?\d*", cells[at].strip()) is not None


def _table(block: bytes, names: list[str], layout: Layout, source: Source) -> pl.DataFrame:
    """One block as a frame with the columns that the layout reads, each in its type."""
    if b"\0" in block:
        raise DolphinError("not a CSV text file", where=source.where, mend="check what was downloaded")
    _check_cells(block, len(names), source)
    frame = pl.read_csv(
        io.BytesIO(block),
        has_header=False,
        schema=dict.fromkeys(names, pl.String),
        columns=[names.index(name) for name in layout.wanted(names)],
    )
    typed = []
    quotes = layout.quotes(frame.columns)
    for name in frame.columns:
        cell = pl.col(name).str.strip_chars()
        if name in layout.integers:
            typed.append(cell.cast(pl.Int64, strict=False))
        elif name in layout.flags:
            typed.append(cell.str.to_lowercase().replace_strict(_FLAGS, default=None, return_dtype=pl.Boolean))
        elif name not in layout.decimals and name not in layout.texts and name not in quotes:
            typed.append(cell.cast(pl.Float64, strict=False))
        else:
            typed.append(cell)
    table = frame.select(typed)
    for name in table.columns:
        if name not in layout.integers and name not in layout.flags:
            continue
        # What a layout needs must be there; the last cell of a cut file may be empty.
        lost = table[name].null_count() - (0 if name in layout.columns else frame[name].null_count())
        if lost:
            what = "true or false as" if name in layout.flags else "integer"
            raise DolphinError(f"{lost} rows have no {what} {name}", where=source.where, mend="check the download")
    return table


_FLAGS = {"true": True, "false": False, "1": True, "0": False}


def _check_cells(block: bytes, width: int, source: Source) -> None:
    """Raise unless every line has as many cells as the first: a cut line would read as empty cells."""
    if b'"' in block or block.count(b",") == (width - 1) * (block.rstrip().count(b"\n") + 1):
        return
    for line in block.splitlines():
        if line.strip() and line.count(b",") != width - 1:
            raise DolphinError(
                f"not readable as CSV (a line of {line.count(b',') + 1} cells where there are {width}: "
                f"'{line[:40].decode(errors='replace')}')",
                where=source.where,
                mend="check the download",
            )
