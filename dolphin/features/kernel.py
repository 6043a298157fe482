"""One bar after another: the kernel of both the batch and the streaming scanner."""

from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from dolphin.core.jit import inline, kernel
from dolphin.core.logarithm import ln
from dolphin.core.records import DAY_NS
from dolphin.features.block import MOMENTUM, SHORT, WINDOWS, FeatureBlock
from dolphin.features.lanczos import ALLOWED, COLD_RESIDUAL, WARM_RESIDUAL, bounded, lanczos
from dolphin.features.moments import (
    RING,
    RING_MASK,
    activity,
    anchor,
    centred_correlation,
    correlation,
    fixed_vector,
    padded,
    slide,
)

RECENT = 64  # rows of prices, velocities and volatilities kept; a power of two above SHORT
RECENT_MASK = RECENT - 1
EWMA_ALPHA = 2.0 / 6.0
LOST = 0.1  # squared norm of a warm vector on the active assets below which it is given up


class State(NamedTuple):
    """Everything that one bar leaves to the next; M is N padded to a multiple of four."""

    windows: np.ndarray  # int64[4]
    clock: np.ndarray  # int64[2]: rows taken in, UTC day of the last one
    price: np.ndarray  # float64[RECENT, N]
    returns: np.ndarray  # float64[RING, M], 0 where missing
    valid: np.ndarray  # int64[N]: returns without a gap up to now
    run: np.ndarray  # int64[N]: equal returns up to now
    s1: np.ndarray  # float64[4, M]
    s2: np.ndarray  # float64[4, M, M]
    peak: np.ndarray  # float64[4, M]: largest diagonal since the sums were last exact
    vector: np.ndarray  # float64[4, M]: last eigenvectors
    warm: np.ndarray  # int64[4]: 1 where the next bar may start from ``vector``
    fixed: np.ndarray  # float64[M]: the start vector of a day
    last_a: np.ndarray  # float64[4]
    recent_v: np.ndarray  # float64[RECENT, 2]
    recent_vol: np.ndarray  # float64[RECENT]
    # Work space, without meaning between bars.
    active: np.ndarray  # bool[M]
    scale: np.ndarray  # float64[M]
    mean: np.ndarray  # float64[M]
    square: np.ndarray  # float64[M]
    centred: np.ndarray  # float64[1, M, M]
    c: np.ndarray  # float64[M, M]
    basis: np.ndarray  # float64[M + 1, M]
    alpha: np.ndarray  # float64[M + 1]
    beta: np.ndarray  # float64[M + 1]
    ratio: np.ndarray  # float64[M + 1]


def new_state(assets: int) -> State:
    """The state before any bar."""
    w, m = len(WINDOWS), padded(assets)
    return State(
        windows=np.array(WINDOWS, np.int64),
        clock=np.array([0, np.iinfo(np.int64).min], np.int64),
        price=np.full((RECENT, assets), np.nan),
        returns=np.zeros((RING, m)),
        valid=np.zeros(assets, np.int64),
        run=np.zeros(assets, np.int64),
        s1=np.zeros((w, m)),
        s2=np.zeros((w, m, m)),
        peak=np.zeros((w, m)),
        vector=np.zeros((w, m)),
        warm=np.zeros(w, np.int64),
        fixed=fixed_vector(assets),
        last_a=np.full(w, np.nan),
        recent_v=np.full((RECENT, 2), np.nan),
        recent_vol=np.full(RECENT, np.nan),
        active=np.zeros(m, np.bool_),
        scale=np.zeros(m),
        mean=np.zeros(m),
        square=np.zeros(m),
        centred=np.zeros((1, m, m)),
        c=np.zeros((m, m)),
        basis=np.zeros((m + 1, m)),
        alpha=np.zeros(m + 1),
        beta=np.zeros(m + 1),
        ratio=np.zeros(m + 1),
    )


@inline
def absorb(row, t, close, state, log_price):  # type: ignore[no-untyped-def]
    """Take in the prices of a bar: logarithms, returns and the counters of activity."""
    new = row & RING_MASK
    here = row & RECENT_MASK
    before = (row - 1) & RECENT_MASK
    for j in range(close.shape[1]):
        price = close[t, j]
        log_price[t, j] = ln(price)
        change = ln(price / state.price[before, j])
        state.price[here, j] = price
        if math.isfinite(change):
            same = state.valid[j] > 0 and change == state.returns[(row - 1) & RING_MASK, j]
            state.run[j] = state.run[j] + 1 if same else 1
            state.valid[j] += 1
            state.returns[new, j] = change
        else:
            state.run[j] = 0
            state.valid[j] = 0
            state.returns[new, j] = 0.0


@inline
def start_from(state, w, warm):  # type: ignore[no-untyped-def]
    """Put the last eigenvector, or the fixed vector, over the active assets into basis[0]."""
    norm = 0.0
    for j in range(state.active.size):
        x = state.vector[w, j] if warm else state.fixed[j]
        x = x if state.active[j] else 0.0
        state.basis[0, j] = x
        norm += x * x
    return norm


@inline
def absorption(row, w, n, state):  # type: ignore[no-untyped-def]
    """Absorption ratio in window w with n active assets: (a, relative residual, products)."""
    length = state.windows[w]
    square = correlation(w, length, state.active, state.s1, state.s2, state.scale, state.mean, state.c, state.square)
    if square < 0.0:
        square = centred_correlation(
            row,
            length,
            state.active,
            state.returns,
            state.scale,
            state.mean,
            state.centred,
            state.c,
            state.square,
        )
    value = 0.0
    residual = np.inf
    products = 0
    warm = state.warm[w] == 1 and start_from(state, w, True) > LOST
    while True:
        if not warm:
            start_from(state, w, False)
        enough = WARM_RESIDUAL if warm else COLD_RESIDUAL
        value, residual, size, proven = lanczos(
            state.c, n, square, enough, state.basis, state.alpha, state.beta, state.ratio
        )
        products += size
        # A warm vector may have missed the largest eigenvalue: prove that it has not, or start afresh.
        if proven or not warm or bounded(state.c, value * (1.0 + ALLOWED), state.centred):
            break
        warm = False
    for j in range(state.active.size):
        state.vector[w, j] = state.basis[0, j]
    state.warm[w] = 1
    return value / n, residual, products


@inline
def deviation(values, row, column):  # type: ignore[no-untyped-def]
    """Population standard deviation of the last SHORT rows of a ring (NaN if one is NaN)."""
    mask = values.shape[0] - 1
    total = 0.0
    for back in range(SHORT):
        total += values[(row - back) & mask, column]
    mean = total / SHORT
    total = 0.0
    for back in range(SHORT):
        x = values[(row - back) & mask, column] - mean
        total += x * x
    return math.sqrt(total / SHORT)


@inline
def smoothed(recent, row):  # type: ignore[no-untyped-def]
    """The 5-bar EWMA over the last SHORT volatilities (its older memory weighs less than 1e-8)."""
    value = np.nan
    for back in range(SHORT):
        x = recent[(row - SHORT + 1 + back) & RECENT_MASK]
        if x == x:
            value = x if value != value else value + EWMA_ALPHA * (x - value)
    return value


@inline
def breadth(row, t, n, state, out):  # type: ignore[no-untyped-def]
    """bull_pct, bear_pct and regime over the assets marked active."""
    here = row & RECENT_MASK
    before = (row - SHORT) & RECENT_MASK
    up = 0
    down = 0
    for j in range(state.price.shape[1]):
        if state.active[j]:
            up += state.price[here, j] > state.price[before, j]
            down += state.price[here, j] < state.price[before, j]
    if n > 0:
        out.bull_pct[t] = 100.0 * up / n
        out.bear_pct[t] = 100.0 * down / n
    else:
        out.bull_pct[t] = np.nan
        out.bear_pct[t] = np.nan
    out.regime[t] = 1 if up > down else (-1 if down > up else 0)


#: The arrays of a :class:`~dolphin.features.block.FeatureBlock`, for the kernel.
Columns: Any = namedtuple("Columns", [field.name for field in fields(FeatureBlock)])  # type: ignore[misc]


@kernel()
def recall(close, state, out):  # type: ignore[no-untyped-def]
    """Take in rows whose features are known: prices from ``close``, a, v and vol from ``out``."""
    for t in range(close.shape[0]):
        row = state.clock[0]
        absorb(row, t, close, state, out.log_price)
        for w in range(state.windows.size):
            state.last_a[w] = out.a[t, w]
        state.recent_v[row & RECENT_MASK, 0] = out.v[t, 0]
        state.recent_v[row & RECENT_MASK, 1] = out.v[t, 1]
        state.recent_vol[row & RECENT_MASK] = out.vol[t]
        state.clock[0] = row + 1


@kernel()
def scan_rows(ts, close, reference, state, out):  # type: ignore[no-untyped-def]
    """Compute the features of these rows, the state going on from the row before them."""
    assets = close.shape[1]
    for t in range(close.shape[0]):
        row = state.clock[0]
        day = ts[t] // DAY_NS
        absorb(row, t, close, state, out.log_price)
        fresh = day != state.clock[1]
        if fresh:
            anchor(row, state.windows, state.returns, state.s1, state.s2, state.peak)
            state.warm[:] = 0
        state.clock[0] = row + 1
        state.clock[1] = day
        for w in range(state.windows.size):
            length = state.windows[w]
            if not fresh:
                slide(row, w, length, state.returns, state.s1, state.s2, state.peak)
            n = activity(length, assets, state.valid, state.run, state.active)
            if w == 0:
                breadth(row, t, n, state, out)
            a = np.nan
            residual = np.nan
            products = 0
            if n >= 2:
                a, residual, products = absorption(row, w, n, state)
            else:
                state.warm[w] = 0
            out.n_active[t, w] = n
            out.a[t, w] = a
            out.v[t, w] = a / state.last_a[w] - 1.0
            out.residual[t, w] = residual
            out.iterations[t, w] = products
            state.last_a[w] = a
        here = row & RECENT_MASK
        for k in range(2):
            state.recent_v[here, k] = out.v[t, k]
            out.instability[t, k] = deviation(state.recent_v, row, k)
        vol = np.nan
        if state.valid[reference] >= SHORT:
            vol = deviation(state.returns, row, reference)
        state.recent_vol[here] = vol
        out.vol[t] = vol
        out.vol_ewma[t] = smoothed(state.recent_vol, row)
        change = state.price[here, reference] / state.price[(row - MOMENTUM) & RECENT_MASK, reference] - 1.0
        out.reference_return[t] = change if change == change else np.nan  # one bit pattern for missing
