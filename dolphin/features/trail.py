"""What looks back over other features: velocity, instability and smoothed volatility, in row order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dolphin.core.jit import inline, kernel
from dolphin.core.records import Floats, Ints
from dolphin.features.block import SHORT, FeatureBlock
from dolphin.features.kernel import Columns, deviation

RECENT = 64  # rows of velocities and volatilities kept; a power of two above SHORT
RECENT_MASK = RECENT - 1
TRAIL_ROWS = SHORT  # stored rows before a row that decide its trailing features
EWMA_ALPHA = 2.0 / 6.0


class Trail(NamedTuple):
    """What one bar leaves to the trailing features of the next."""

    clock: Ints  # int64[1]: rows taken in
    last_a: Floats  # float64[W]
    recent_v: Floats  # float64[RECENT, 2]
    recent_vol: Floats  # float64[RECENT]


def new_trail(windows: Sequence[int]) -> Trail:
    """The trail before any bar."""
    return Trail(
        clock=np.zeros(1, np.int64),
        last_a=np.full(len(windows), np.nan),
        recent_v=np.full((RECENT, 2), np.nan),
        recent_vol=np.full(RECENT, np.nan),
    )


def follow(trail: Trail, block: FeatureBlock) -> None:
    """Fill v, instability and vol_ewma of rows that come next, from their a and vol."""
    follow_rows(trail, Columns(**block.arrays()))


def remember(trail: Trail, known: FeatureBlock) -> None:
    """Take in rows whose features are known; the last :data:`TRAIL_ROWS` count."""
    for t in range(max(0, len(known) - TRAIL_ROWS), len(known)):
        here = int(trail.clock[0]) & RECENT_MASK
        trail.last_a[:] = known.a[t]
        trail.recent_v[here] = known.v[t, :2]
        trail.recent_vol[here] = known.vol[t]
        trail.clock[0] += 1


@inline
def smoothed(recent, row):  # type: ignore[no-untyped-def]
    """The 5-bar EWMA over the last SHORT volatilities (its older memory weighs less than 1e-8)."""
    value = np.nan
    for back in range(SHORT):
        x = recent[(row - SHORT + 1 + back) & RECENT_MASK]
        if x == x:
            value = x if value != value else value + EWMA_ALPHA * (x - value)
    return value


@kernel(nogil=True)
def follow_rows(trail, out):  # type: ignore[no-untyped-def]
    """The kernel of :func:`follow`."""
    for t in range(out.a.shape[0]):
        row = trail.clock[0]
        trail.clock[0] = row + 1
        for w in range(trail.last_a.size):
            a = out.a[t, w]
            out.v[t, w] = a / trail.last_a[w] - 1.0
            trail.last_a[w] = a
        here = row & RECENT_MASK
        for k in range(2):
            trail.recent_v[here, k] = out.v[t, k]
            out.instability[t, k] = deviation(trail.recent_v, row, k)
        trail.recent_vol[here] = out.vol[t]
        out.vol_ewma[t] = smoothed(trail.recent_vol, row)
