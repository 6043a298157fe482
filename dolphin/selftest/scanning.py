"""The scanner against the slow features, against itself bar by bar, and with only the history that it asks for."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np

from dolphin.core.records import Floats, Ints
from dolphin.core.units import DAY_NS
from dolphin.features import WINDOWS, FeatureBlock, Scanner, follow, history_bars, measure, new_trail, scan
from dolphin.parity.slow.features import SlowFeatures, first_difference
from dolphin.selftest.detectors import Finding

SPACING = 240_000_000_000  # 360 bars a day
START = 1_735_689_600_000_000_000
ROWS, ASSETS, REFERENCE = 1_900, 6, 0
#: Rows that are computed again from their windows: before everything exists, at its beginning, around a midnight.
CHOSEN = (*range(0, 60, 7), *range(140, 160, 4), 300, 700, *range(748, 772), *range(1076, 1090), 1_500, 1_899)


@functools.cache
def prices() -> tuple[Ints, Floats]:
    """A seeded walk with a hole, a late start, a price that stands still, and moves in common."""
    rng = np.random.default_rng(5)
    moves = 0.002 * rng.standard_t(5, (ROWS, 1)) + 0.002 * rng.standard_normal((ROWS, ASSETS))
    close = np.round(np.array((400.0, 91.0, 4.2, 250.0, 0.75, 33.0)) * np.exp(np.cumsum(moves, axis=0)), 5)
    close[:100, 3] = np.nan
    close[1_000:1_060, 4] = close[1_000, 4]
    return START + SPACING * np.arange(1, ROWS + 1, dtype=np.int64), close


@functools.cache
def scanned() -> FeatureBlock:
    """The batch scan of :func:`prices`."""
    ts, close = prices()
    return scan(ts, close, REFERENCE)


def features_agree() -> Finding | None:
    """Every feature of the chosen rows is what its windows of prices say, with LAPACK's eigenvalues."""
    _, close = prices()
    found = first_difference(SlowFeatures(close, REFERENCE), scanned(), sorted(CHOSEN))
    return found and Finding("features", *found)


def by_days() -> FeatureBlock:
    """Every UTC day of :func:`prices` measured by itself, what looks back over features after it."""
    ts, close = prices()
    out, trail = FeatureBlock.empty(ROWS), new_trail(WINDOWS)
    edges = [0, *(np.flatnonzero(np.diff(ts // DAY_NS)) + 1).tolist(), ROWS]
    for low, high in pairwise(edges):
        measure(ts, close, REFERENCE, low, high, out.rows(low, high))
        follow(trail, out.rows(low, high))
    return out


def streaming_agrees() -> Finding | None:
    """One bar at a time gives the bits of days that are measured by themselves."""
    ts, close = prices()
    one = Scanner(ASSETS, REFERENCE)
    batch = by_days().arrays()
    for t in range(ROWS):
        row = one.update(int(ts[t]), close[t])
        for name, values in row.arrays().items():
            if values[0].tobytes() != batch[name][t].tobytes():
                return Finding(
                    "features", t, f"{name} of row {t} is {values[0]} bar by bar, {batch[name][t]} in the batch"
                )
    return None


def history_suffices() -> Finding | None:
    """The stated history gives the last rows the bits that all rows give."""
    ts, close = prices()
    need, whole = history_bars(SPACING), scanned().arrays()
    for last in (ROWS, 1_800, 1_799, 1_441, 1_440):
        low = last - 1 - need
        if low < 0:
            return Finding("features", None, f"a history of {need} bars is stated, more than the {last} that there are")
        part = scan(ts[low:last], close[low:last], REFERENCE).arrays()
        for name, values in part.items():
            if values[-1].tobytes() != whole[name][last - 1].tobytes():
                return Finding(
                    "features", last - 1, f"{name} of row {last - 1} is another after {need} bars of history"
                )
    return None
