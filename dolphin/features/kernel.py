"""One bar after another: what a bar's trailing prices alone decide, for batch and streaming alike.

Everything here depends on the longest window of prices before the bar and on nothing else once a
UTC day has begun: days may be measured side by side. What looks back over other features
(velocity, instability, smoothed volatility) follows in :mod:`dolphin.features.trail`.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dolphin.core.jit import inline, kernel
from dolphin.core.logarithm import ln
from dolphin.core.records import DAY_NS, Floats, Ints
from dolphin.features.block import ARRAYS, MOMENTUM, SHORT
from dolphin.features.lanczos import ALLOWED, COLD_RESIDUAL, WARM_RESIDUAL, bounded, lanczos
from dolphin.features.moments import (
    activity,
    anchor,
    centred_correlation,
    correlation,
    fixed_vector,
    padded,
    ring_rows,
    slide,
)

RECENT = 64  # rows of prices kept; a power of two above SHORT
RECENT_MASK = RECENT - 1
LOST = 0.1  # squared norm of a warm vector on the active assets below which it is given up


class State(NamedTuple):
    """Everything that one bar leaves to the next; M is N padded to a multiple of four."""

    windows: Ints  # int64[W]
    clock: Ints  # int64[2]: rows taken in, UTC day of the last one
    price: Floats  # float64[RECENT, N]
    returns: Floats  # float64[R, M], 0 where missing; R a power of two above the longest window
    valid: Ints  # int64[N]: returns without a gap up to now
    run: Ints  # int64[N]: equal returns up to now
    s1: Floats  # float64[W, M]
    s2: Floats  # float64[W, M, M]
    peak: Floats  # float64[W, M]: largest diagonal since the sums were last exact
    vector: Floats  # float64[W, M]: last eigenvectors
    warm: Ints  # int64[W]: 1 where the next bar may start from ``vector``
    fixed: Floats  # float64[M]: the start vector of a day
    # Work space, without meaning between bars.
    active: Floats  # bool[M]
    scale: Floats  # float64[M]
    mean: Floats  # float64[M]
    square: Floats  # float64[M]
    centred: Floats  # float64[1, M, M]
    c: Floats  # float64[M, M]
    basis: Floats  # float64[M + 1, M]
    alpha: Floats  # float64[M + 1]
    beta: Floats  # float64[M + 1]
    ratio: Floats  # float64[M + 1]


def new_state(assets: int, windows: Sequence[int]) -> State:
    """The state before any bar."""
    w, m = len(windows), padded(assets)
    return State(
        windows=np.array(windows, np.int64),
        clock=np.array([0, np.iinfo(np.int64).min], np.int64),
        price=np.full((RECENT, assets), np.nan),
        returns=np.zeros((ring_rows(windows), m)),
        valid=np.zeros(assets, np.int64),
        run=np.zeros(assets, np.int64),
        s1=np.zeros((w, m)),
        s2=np.zeros((w, m, m)),
        peak=np.zeros((w, m)),
        vector=np.zeros((w, m)),
        warm=np.zeros(w, np.int64),
        fixed=fixed_vector(assets),
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


def kept(state: State) -> dict[str, NDArray[Any]]:
    """The part of a state that has a meaning between bars, by name."""
    return {name: getattr(state, name) for name in State._fields[: State._fields.index("active")]}


def restored(arrays: Mapping[str, NDArray[Any]], assets: int, windows: Sequence[int]) -> State:
    """The state of which :func:`kept` gave these arrays."""
    return new_state(assets, windows)._replace(**arrays)


@inline
def absorb(row, t, close, state):  # type: ignore[no-untyped-def]
    """Take in the prices of a bar: returns and the counters of activity."""
    mask = state.returns.shape[0] - 1
    new = row & mask
    here = row & RECENT_MASK
    before = (row - 1) & RECENT_MASK
    for j in range(close.shape[1]):
        price = close[t, j]
        change = ln(price / state.price[before, j])
        state.price[here, j] = price
        if math.isfinite(change):
            same = state.valid[j] > 0 and change == state.returns[(row - 1) & mask, j]
            state.run[j] = state.run[j] + 1 if same else 1
            state.valid[j] += 1
            state.returns[new, j] = change
        else:
            state.run[j] = 0
            state.valid[j] = 0
            state.returns[new, j] = 0.0


@inline
def start_from(state, w, attempt):  # type: ignore[no-untyped-def]
    """Put a start vector over the active assets into basis[0] and return its squared norm.

    Attempt 0 is the last eigenvector, 1 the fixed vector, 2 the fixed vector with turning signs.
    """
    norm = 0.0
    for j in range(state.active.size):
        x = state.vector[w, j] if attempt == 0 else state.fixed[j]
        x = -x if attempt == 2 and j & 1 else x
        x = x if state.active[j] else 0.0
        state.basis[0, j] = x
        norm += x * x
    return norm


@inline
def centred(row, length, state):  # type: ignore[no-untyped-def]
    """The correlation matrix from the window itself into ``state.c``; returns its sum of squares."""
    return centred_correlation(
        row, length, state.active, state.returns, state.scale, state.mean, state.centred, state.c, state.square
    )


@inline
def absorption(row, w, n, state):  # type: ignore[no-untyped-def]
    """Absorption ratio in window w with n active assets: (a, relative residual, products, recomputed).

    A value stands when its error is proven: by the gap that the norms certify, or because a
    factorisation finds no larger eigenvalue. Otherwise the next start vector is tried, the last
    one on the matrix made again from the window; 2 marks a value that is unproven even then.
    """
    length = state.windows[w]
    square = correlation(w, length, state.active, state.s1, state.s2, state.scale, state.mean, state.c, state.square)
    if square < 0.0:
        square = centred(row, length, state)
    value = 0.0
    residual = np.inf
    products = 0
    recomputed = 0
    attempt = 0 if state.warm[w] == 1 and start_from(state, w, 0) > LOST else 1
    while True:
        if attempt == 2:
            square = centred(row, length, state)
            recomputed = 1
        if attempt > 0:
            start_from(state, w, attempt)
        enough = WARM_RESIDUAL if attempt == 0 else COLD_RESIDUAL
        value, residual, size, proven = lanczos(
            state.c, n, square, enough, state.basis, state.alpha, state.beta, state.ratio
        )
        products += size
        if proven or bounded(state.c, value * (1.0 + ALLOWED), state.centred):
            break
        attempt += 1
        if attempt > 2:
            recomputed = 2
            break
    for j in range(state.active.size):
        state.vector[w, j] = state.basis[0, j]
    state.warm[w] = 1
    return value / n, residual, products, recomputed


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


#: The arrays of a :class:`~dolphin.features.block.FeatureBlock`, for the kernels.
Columns: Any = namedtuple("Columns", ARRAYS)  # type: ignore[misc]


@kernel(nogil=True)
def take_in(close, state):  # type: ignore[no-untyped-def]
    """Take in rows whose features are not wanted; the next row must be the first of a UTC day."""
    for t in range(close.shape[0]):
        absorb(state.clock[0], t, close, state)
        state.clock[0] += 1


@inline
def begin_row(ts, t, close, state):  # type: ignore[no-untyped-def]
    """Take in row ``t``, at a day's first bar with sums made anew; its number, and whether it is a day's first."""
    row = state.clock[0]
    day = ts[t] // DAY_NS
    absorb(row, t, close, state)
    fresh = day != state.clock[1]
    if fresh:
        anchor(row, state.windows, state.returns, state.s1, state.s2, state.peak)
        state.warm[:] = 0
    state.clock[0] = row + 1
    state.clock[1] = day
    return row, fresh


@inline
def move_window(row, w, fresh, assets, state):  # type: ignore[no-untyped-def]
    """Move window ``w`` on to ``row``; how many assets are active in it, ``state.active`` says which."""
    length = state.windows[w]
    if not fresh:
        slide(row, w, length, state.returns, state.s1, state.s2, state.peak)
    return activity(length, assets, state.valid, state.run, state.active)


@kernel(nogil=True)
def measure_rows(ts, close, reference, state, out):  # type: ignore[no-untyped-def]
    """Compute what the prices of these rows decide, the state going on from the row before them."""
    assets = close.shape[1]
    for t in range(close.shape[0]):
        row, fresh = begin_row(ts, t, close, state)
        for w in range(state.windows.size):
            n = move_window(row, w, fresh, assets, state)
            if w == 0:
                breadth(row, t, n, state, out)
            a = np.nan
            residual = np.nan
            products = 0
            recomputed = 0
            if n >= 2:
                a, residual, products, recomputed = absorption(row, w, n, state)
            else:
                state.warm[w] = 0
            out.n_active[t, w] = n
            out.a[t, w] = a
            out.residual[t, w] = residual
            out.iterations[t, w] = products
            out.recomputed[t, w] = recomputed
        vol = np.nan
        if state.valid[reference] >= SHORT:
            vol = deviation(state.returns, row, reference)
        out.vol[t] = vol
        here = row & RECENT_MASK
        change = state.price[here, reference] / state.price[(row - MOMENTUM) & RECENT_MASK, reference] - 1.0
        out.reference_return[t] = change if change == change else np.nan  # one bit pattern for missing
