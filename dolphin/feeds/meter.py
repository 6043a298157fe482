"""The five figures of a book (RISK section 4), made at every end of a cadence from quotes and trades as they come.

The definitions are those of :mod:`dolphin.market.book_series`, whose figures of a recording of the same messages are
equal (at a cadence of 1 s): depth is the thinner side of the touch, its mean over the interval; usual is the median
of the five minutes before, half a minute of them at least; the queue is half the mean of both sides' size, what is
traded half the volume of the last minute; agreement is that of the interval's updates with each other.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import NamedTuple

import numpy as np

from dolphin.risk.book import Book, depth_quality, fill_prob, imbalance, spread_bps
from dolphin.times import SECOND_NS

USUAL_NS, LEAST_NS, TRADED_NS = 300 * SECOND_NS, 30 * SECOND_NS, 60 * SECOND_NS


class Record(NamedTuple):
    """A book's figures at ``ts`` (the end of an interval, ns), and the twenty levels' sizes, NaN where unknown.

    ``seq`` is the book's update that was the last.
    """

    symbol: str
    ts: int
    seq: int
    book: Book
    bids: float
    asks: float


class Meter:
    """One symbol's sums since the last record."""

    __slots__ = (
        "_depths", "_ordered", "_trades", "_volume", "ask", "asks", "bid", "bids", "both", "count", "down", "levels",
        "seq", "symbol", "thin", "traded", "up",
    )  # fmt: skip

    def __init__(self, symbol: str, cadence_ns: int) -> None:
        self.symbol, self.seq = symbol, 0
        self.bid = self.ask = self.bids = self.asks = 0.0
        self.thin = self.both = self.traded = self._volume = 0.0
        self.count = self.up = self.down = 0
        self.levels = (np.nan, np.nan)
        self._depths: deque[float] = deque(maxlen=max(1, USUAL_NS // cadence_ns))
        self._ordered: list[float] = []
        self._trades: deque[tuple[int, float]] = deque()

    def quote(self, seq: int, bid: float, bids: float, ask: float, asks: float) -> None:
        """The touch as it is now."""
        self.seq, self.bid, self.bids, self.ask, self.asks = seq, bid, bids, ask, asks
        self.count += 1
        if bids > asks:
            self.up += 1
            self.thin += asks
        else:
            self.down += bids < asks
            self.thin += bids
        self.both += bids + asks

    def record(self, end_ns: int, cadence_ns: int) -> Record | None:
        """The figures of the interval that ends now; None where there was no quote in it."""
        if self.traded:
            self._trades.append((end_ns, self.traded))
            self._volume += self.traded
            self.traded = 0.0
        while self._trades and self._trades[0][0] <= end_ns - TRADED_NS:
            self._volume -= self._trades.popleft()[1]
        if not self._trades:
            self._volume = 0.0  # what rounding left goes with the last one
        if not self.count:
            return None
        depth, leaning = self.thin / self.count, self.up + self.down
        book = Book(
            imbalance(self.bids, self.asks),
            spread_bps(self.bid, self.ask),
            fill_prob(0.5 * self._volume, 0.5 * self.both / self.count),
            depth_quality(depth, self._usual(cadence_ns)),
            (self.up - self.down) / leaning if leaning else 0.0,
        )
        self._keep(depth)
        found = Record(self.symbol, end_ns, self.seq, book, *self.levels)
        self.thin = self.both = 0.0
        self.count = self.up = self.down = 0
        self.levels = (np.nan, np.nan)
        return found

    def _usual(self, cadence_ns: int) -> float:
        n = len(self._ordered)
        if n < max(1, LEAST_NS // cadence_ns):
            return np.nan
        return 0.5 * (self._ordered[(n - 1) // 2] + self._ordered[n // 2])

    def _keep(self, depth: float) -> None:
        if len(self._depths) == self._depths.maxlen:
            del self._ordered[bisect_left(self._ordered, self._depths[0])]
        self._depths.append(depth)
        insort(self._ordered, depth)


class Books:
    """The meters of all symbols, closed together at every multiple of the cadence.

    Parameters
    ----------
    cadence_ns : int
        Length of an interval.
    """

    def __init__(self, cadence_ns: int) -> None:
        self.cadence_ns = cadence_ns
        self.end_ns = 0
        self.meters: dict[str, Meter] = {}
        self.latest: dict[str, Record] = {}

    def of(self, symbol: str) -> Meter:
        """The meter of a symbol."""
        found = self.meters.get(symbol)
        if found is None:
            found = self.meters[symbol] = Meter(symbol, self.cadence_ns)
        return found

    def due(self, now_ns: int) -> list[Record]:
        """Close the interval if it is over; every message asks this before it is taken."""
        if now_ns < self.end_ns:
            return []
        end, self.end_ns = self.end_ns, (now_ns // self.cadence_ns + 1) * self.cadence_ns
        if not end:
            return []
        found = [record for meter in self.meters.values() if (record := meter.record(end, self.cadence_ns))]
        for record in found:
            self.latest[record.symbol] = record
        return found
