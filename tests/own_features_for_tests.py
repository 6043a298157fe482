"""Plug-in features: two that are right, and prices to try them on."""

from __future__ import annotations

import numpy as np

from dolphin.core.jit import inline
from dolphin.features import Feature

MINUTE = 60 * 10**9
DAY = 24 * 60 * MINUTE
START = 1_735_689_600 * 10**9  # 2025-01-01
ALPHA = 0.25


@inline
def mean_move(state, bar):  # type: ignore[no-untyped-def]
    """Mean log move since the row whose logs are in ``state[2:]``, over the assets that have one."""
    total, count = 0.0, 0
    for j in range(bar.log_price.size):
        move = bar.log_price[j] - state[2 + j]
        if move == move:
            total += move
            count += 1
    return total / count if count > 0 else np.nan


@inline
def smoothed(state, bar, out):  # type: ignore[no-untyped-def]
    """state: rows, average, last logs."""
    if state[0] > 0.0:
        move = mean_move(state, bar)
        if move == move:
            state[1] += ALPHA * (move - state[1])
    for j in range(bar.log_price.size):
        state[2 + j] = bar.log_price[j]
    state[0] += 1.0
    out[0] = state[1]


@inline
def broad(state, bar, out):  # type: ignore[no-untyped-def]
    """Share of assets that rose in this bar, and the input as it came."""
    up = 0
    for j in range(bar.price.size):
        up += bar.price[j] > state[j]
        state[j] = bar.price[j]
    out[0], out[1] = up / bar.price.size, bar.inputs[0]


def with_factor(factor: float) -> Feature:
    """A feature whose update closes over a number."""

    @inline
    def update(state, bar, out):  # type: ignore[no-untyped-def]
        out[0] = factor * bar.price[0]

    return Feature("scaled", update, 0, 1)


SMOOTH = Feature("smooth", smoothed, lambda assets: 2 + assets, warmup_bars=80)
BREADTH = Feature("broad", broad, lambda assets: assets, warmup_bars=1, columns=("up", "fed"), inputs=("vol",))


def prices(bars: int, seed: int, assets: int = 4, spacing: int = MINUTE) -> tuple[np.ndarray, np.ndarray]:
    """Times from two hours before midnight on, and a seeded walk (bars, assets)."""
    walk = np.random.default_rng(seed).standard_normal((bars, assets))
    ts = START - 2 * 60 * MINUTE + spacing * np.arange(1, bars + 1, dtype=np.int64)
    return ts, 100.0 * np.exp(np.cumsum(1e-3 * walk, axis=0))
