"""Series of order-book figures, a value a second, from recorded exchange streams: what ``risk build --books`` reads.

From the best bid and offer with their sizes, and the trades. What the specification leaves open is chosen here:

- depth is the thinner side of the touch, its mean over the second; what is usual is the median of the
  :data:`USUAL` seconds before, :data:`LEAST` of them at least;
- the queue is the mean of both sides' size at the touch, what is traded half the volume of the last minute: an order
  waits on one side;
- agreement is that of the second's updates with each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from dolphin.catalog.readers.names import PERPETUAL
from dolphin.catalog.readers.reading import Source
from dolphin.catalog.readers.streams import stream_lines
from dolphin.catalog.store.tables import Part, Table, write_table
from dolphin.core.records import Floats
from dolphin.errors import DolphinError
from dolphin.files import sha256_file
from dolphin.risk.book import agreement, depth_quality, fill_prob, imbalance, spread_bps
from dolphin.times import SECOND_NS, format_day
from dolphin.workspace import Workspace

USUAL, LEAST, TRADED = 300, 30, 60
SERIES = ("IMBALANCE", "SPREAD_BPS", "FILL_PROB", "DEPTH_QUALITY", "AGREEMENT")


class Recorded(NamedTuple):
    """One symbol's messages: quotes (Q, 5) local ns, bid, its size, ask, its size; trades (K, 2) local ns, quantity.

    ``offset`` is how far the recorder's clock was behind the exchange's, at most, in ns: no message may count as
    known before the exchange had sent it.
    """

    quotes: Floats
    trades: Floats
    offset: int


def make_books(workspace: Workspace, name: str, sources: Sequence[Path]) -> Table:
    """Publish the book series of recorded streams (``.gz``, or folders of them) as table ``name``.

    Raises
    ------
    DolphinError
        If there is no such file, or none holds quotes.
    """
    files = [file for source in sources for file in (sorted(source.glob("*.gz")) if source.is_dir() else [source])]
    if not files:
        raise DolphinError("no recorded stream (.gz)", where=", ".join(map(str, sources)), mend="check the path")
    frames: list[pl.DataFrame] = []
    lineage: list[dict[str, Any]] = []
    notes: list[str] = []
    for file in files:
        if not file.is_file():
            raise DolphinError("no such file", where=str(file), mend="check the path")
        before = len(frames)
        for symbol, recorded in read_books(file).items():
            if not len(recorded.quotes):
                continue
            frames.append(_series(symbol, recorded))
            if recorded.offset > 0:
                notes.append(f"{file.name}: the recorder's clock was {recorded.offset / 1e9:.3f} s behind; corrected")
        rows = sum(frame.height for frame in frames[before:])
        lineage.append({"file": file.name, "sha256": sha256_file(file), "rows": rows})
    if not frames:
        raise DolphinError("no best bids and offers in it", where=str(files[0]), mend="record the bookTicker stream")
    rows_all = pl.concat(frames).unique(["series", "symbol", "reference_ts"], keep="first", maintain_order=True)
    rows_all = rows_all.sort("available_ts", "series", "symbol")
    about = {
        "source": ", ".join(str(source) for source in sources),
        "made": f"dolphin risk books {' '.join(map(str, sources))} --name {name}",
        "sources": lineage,
        "notes": notes,
        "lag_rules": dict.fromkeys(SERIES, "at the end of its second"),
    }
    return write_table(workspace, name, kind="series", parts=_days(rows_all), about=about)


def _days(rows: pl.DataFrame) -> Iterator[Part]:
    day = pl.col("available_ts") // (86_400 * SECOND_NS)
    for (number,), part in rows.group_by(day, maintain_order=True):
        yield format_day(int(number)), None, part  # type: ignore[call-overload]


def read_books(path: Path) -> dict[str, Recorded]:
    """The quotes and trades of one recorded file, by symbol; a perpetual's name ends in ``PERP``."""
    source = Source.of(path)
    quotes: dict[str, list[tuple[float, ...]]] = {}
    trades: dict[str, list[tuple[float, ...]]] = {}
    offsets: dict[str, list[int]] = {}
    for number, line in enumerate(stream_lines(path, source), 1):
        local, _, text = line.partition(b" ")
        try:
            data: Any = json.loads(text).get("data") or {}
            if "b" in data and "B" in data:
                symbol = str(data["s"]) + (PERPETUAL if "E" in data else "")
                figures = (float(data[key]) for key in ("b", "B", "a", "A"))
                quotes.setdefault(symbol, []).append((float(local), *figures))
            elif data.get("e") == "trade":
                symbol = str(data["s"]) + ("" if "M" in data else PERPETUAL)
                trades.setdefault(symbol, []).append((float(local), float(data["q"])))
            else:
                continue
            if "E" in data:
                offsets.setdefault(symbol, []).append(10**6 * int(data["E"]) - int(local))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            what = f"line {number} is no message of a stream ({type(error).__name__})"
            raise DolphinError(
                what, where=source.where, mend="a line is the local time in ns and the message"
            ) from None
    return {
        symbol: Recorded(
            np.array(quotes.get(symbol, [])).reshape(-1, 5),
            np.array(trades.get(symbol, [])).reshape(-1, 2),
            max(0, *offsets.get(symbol, []), 0),
        )
        for symbol in sorted(quotes.keys() | trades.keys())
    }


def _series(symbol: str, recorded: Recorded) -> pl.DataFrame:
    """The five series of one symbol: at the end of every second that had a quote."""
    second = ((recorded.quotes[:, 0] + recorded.offset) // SECOND_NS).astype(np.int64) + 1
    traded_at = ((recorded.trades[:, 0] + recorded.offset) // SECOND_NS).astype(np.int64) + 1
    volume = np.bincount(traded_at - min(second[0], traded_at.min(initial=second[0])), recorded.trades[:, 1])
    first = min(second[0], traded_at.min(initial=second[0]))
    ends, starts = np.unique(second, return_index=True)
    depths: list[float] = []
    columns: dict[str, list[float]] = {series: [] for series in SERIES}
    for at, low, high in zip(ends.tolist(), starts, np.append(starts[1:], len(second)), strict=True):
        _, bid, bids, ask, asks = recorded.quotes[low:high].T
        lean = [imbalance(b, a) for b, a in zip(bids.tolist(), asks.tolist(), strict=True)]
        depth, before = float(np.minimum(bids, asks).mean()), depths[-USUAL:]
        usual = float(np.median(before)) if len(before) >= LEAST else np.nan
        recent = volume[max(0, at - first - TRADED + 1) : at - first + 1].sum()
        values = (
            lean[-1],
            spread_bps(float(bid[-1]), float(ask[-1])),
            fill_prob(0.5 * float(recent), 0.5 * float((bids + asks).mean())),
            depth_quality(depth, usual),
            agreement(np.array(lean)),
        )
        for series, value in zip(SERIES, values, strict=True):
            columns[series].append(value)
        depths.append(depth)
    ts = ends * SECOND_NS
    parts = [
        pl.DataFrame({"series": series, "symbol": symbol, "reference_ts": ts, "available_ts": ts, "value": values})
        for series, values in columns.items()
    ]
    return pl.concat(parts).filter(pl.col("value").is_finite())
