"""Drawdown from a rolling peak, one equity at a time, O(1) amortised.

A lifetime peak would make TURTLE a state without exit at about 13.8 % drawdown; 30 days forget it.
"""

from __future__ import annotations

import numpy as np

from dolphin.core.jit import inline
from dolphin.core.records import DAY_NS, Floats, Ints, Records
from dolphin.risk.compiling import kernel

PEAK_DAYS = 30

#: A ring of falling equities, the oldest is the peak: ``first`` and ``count`` of the entries in use.
RING = np.dtype([("first", "i8"), ("count", "i8"), ("window_ns", "i8")], align=True)
ENTRY = np.dtype([("ts", "i8"), ("equity", "f8")], align=True)


class RollingPeak:
    """The highest equity of the last ``days`` days.

    Parameters
    ----------
    spacing_ns : int
        The least time between two equities; the window holds so many at most.
    """

    def __init__(self, spacing_ns: int, days: int = PEAK_DAYS) -> None:
        self.ring = np.zeros(1, RING)
        self.ring["window_ns"] = days * DAY_NS
        self.entries: Records = np.zeros(days * DAY_NS // spacing_ns + 2, ENTRY)

    def drawdown(self, ts: int, equity: float) -> float:
        """The drawdown at ``ts`` (ns, ascending): a fraction of the peak, 0 at it; above 1 for negative equity.

        Raises
        ------
        ValueError
            If equities come closer than the spacing and the window overflows.
        """
        out = self.drawdowns(np.array([ts]), np.array([float(equity)]))
        return float(out[0])

    def drawdowns(self, ts: Ints, equity: Floats) -> Floats:
        """(T,) float64: :meth:`drawdown` of each, in order."""
        out = np.empty(len(ts))
        if not drawdowns_into(self.ring, self.entries, np.asarray(ts, np.int64), equity, out):
            raise ValueError("equities come closer together than the spacing")
        return out


@inline
def push(ring, entries, ts, equity):  # type: ignore[no-untyped-def]
    """Take in an equity; the peak of the window that ends with it, NaN where the ring is full."""
    size = entries.size
    while ring.count > 0 and entries[ring.first].ts <= ts - ring.window_ns:
        ring.first = (ring.first + 1) % size
        ring.count -= 1
    while ring.count > 0 and entries[(ring.first + ring.count - 1) % size].equity <= equity:
        ring.count -= 1
    if ring.count == size:
        return np.nan
    last = entries[(ring.first + ring.count) % size]
    last.ts = ts
    last.equity = equity
    ring.count += 1
    return entries[ring.first].equity


@inline
def drawdown_of(peak, equity):  # type: ignore[no-untyped-def]
    """The fraction of the peak that is lost; 1 where there never was capital."""
    return (peak - equity) / peak if peak > 0.0 else 1.0


@kernel(nogil=True)
def drawdowns_into(ring, entries, ts, equity, out):  # type: ignore[no-untyped-def]
    """Drawdown at each equity; False where the ring is too small."""
    for i in range(ts.size):
        peak = push(ring[0], entries, ts[i], equity[i])
        if peak != peak:
            return False
        out[i] = drawdown_of(peak, equity[i])
    return True
