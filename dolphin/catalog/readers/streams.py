"""Raw exchange streams as a recorder keeps them: local time in ns, a space, the stream's message.

Trades become ticks, each with the best bid and offer that arrived last before it. Depth updates and
messages of other streams are counted in the notes: no tick can hold them.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import polars as pl

from dolphin.catalog.readers.layouts import PRICE, TICK_COLUMNS
from dolphin.catalog.readers.lines import blocks, unpacked_limit
from dolphin.catalog.readers.names import PERPETUAL
from dolphin.catalog.readers.reading import MAX_ROWS, Reading, Source, explained, filled
from dolphin.catalog.store.instruments import check_symbol
from dolphin.errors import DolphinError

_STREAM = re.compile(rb'"stream"\s*:\s*"([^"]*)"')
_TEXT = {name: pl.String if dtype == PRICE else dtype for name, dtype in TICK_COLUMNS.items()}


def read_stream(path: Path) -> Reading:
    """Trades of a gzipped stream; futures' symbols get the ending ``PERP``.

    Raises
    ------
    DolphinError
        On a line that is no message, a damaged gzip, or a stream without trades.
    """
    source = Source.of(path)
    counts = _count(path, source)
    if not counts["trade"]:
        raise DolphinError("a stream without trades", where=source.where, mend="record the trade stream too")
    return Reading("ticks", filled(_frames(path, source), source.where, "stream"), _notes(path.name, counts))


def _notes(name: str, counts: Counter[str]) -> tuple[str, ...]:
    quotes = counts.get("bookTicker", 0)
    note = f"{name}: {counts['trade']} trades, {quotes} best bids and offers joined to them as of their arrival"
    left = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()) if kind not in ("trade", "bookTicker"))
    return (f"{note}; left out: {left} messages" if left else note,)


def stream_lines(path: Path, source: Source) -> Iterator[bytes]:
    """The lines of a recorded stream that are not empty: local time, a space, the message."""
    stream: IO[bytes]
    with explained(source.where, "stream"), gzip.open(path) as stream:  # type: ignore[assignment]
        for block in blocks(stream, source, unpacked_limit(path.stat().st_size)):
            yield from (line for line in block.splitlines() if line)


def _count(path: Path, source: Source) -> Counter[str]:
    """Messages per stream; this reads the file to its end, so that a damaged one gives no row."""
    counts: Counter[str] = Counter()
    for line in stream_lines(path, source):
        name = _STREAM.search(line)
        kind = _kind(name[1].decode(errors="replace")) if name else "unknown"
        counts["snapshot" if not name and b'"lastUpdateId"' in line else kind] += 1
    return counts


def _kind(stream: str) -> str:
    """``depth`` of ``btcusdt@depth@100ms``."""
    parts = stream.split("@")
    return parts[1] if len(parts) > 1 and parts[1] else "unknown"


def _frames(path: Path, source: Source) -> Iterator[pl.DataFrame]:
    quotes: dict[str, tuple[str, str]] = {}
    rows: list[tuple[Any, ...]] = []
    for number, line in enumerate(stream_lines(path, source), 1):
        local, _, text = line.partition(b" ")
        try:
            message = json.loads(text)
            kind, data = _kind(message.get("stream", "")), message.get("data")
            if kind == "trade":
                rows.append(_trade(int(local), data, quotes))
            elif kind == "bookTicker":
                quotes[_symbol(data)] = (data["b"], data["a"])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DolphinError(
                f"line {number} is no message of a stream ({type(error).__name__}: {str(error)[:60]})",
                where=source.where,
                mend="a line is the local time in ns, a space, and the message as received",
            ) from None
        if len(rows) >= MAX_ROWS:
            yield _frame(rows, source)
            rows = []
    if rows:
        yield _frame(rows, source)


def _symbol(data: dict[str, Any]) -> str:
    """Futures' messages carry the time of the event in their quotes and no ``M`` in their trades."""
    futures = "X" in data or ("E" in data and "M" not in data)
    return str(data["s"]) + (PERPETUAL if futures else "")


def _trade(local: int, data: dict[str, Any], quotes: dict[str, tuple[str, str]]) -> tuple[Any, ...]:
    symbol = _symbol(data)
    bid, ask = quotes.get(symbol, (None, None))
    ts, trade = 10**6 * int(data["T"]), int(data["t"])
    return symbol, ts, data["p"], data["q"], bool(data["m"]), trade, bid, ask, local


def _frame(rows: list[tuple[Any, ...]], source: Source) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=_TEXT, orient="row")
    for symbol in frame["symbol"].unique().to_list():
        check_symbol(symbol, source.where)
    exact = frame.with_columns(pl.col(name).cast(dtype, strict=False) for name, dtype in TICK_COLUMNS.items())
    for name in ("price", "quantity", "bid", "ask"):
        wide = frame[name].cast(pl.Decimal(38, 18), strict=False)
        if wide.null_count() > frame[name].null_count() or (exact[name].cast(wide.dtype) != wide).any():
            raise DolphinError(
                f"a '{name}' is no decimal of 12 digits before and 8 after the point", where=source.where
            )
    return exact
