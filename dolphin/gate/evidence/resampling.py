"""The stationary bootstrap, and what is measured with it.

Politis and Romano, *The stationary bootstrap*, 1994: blocks of random length, geometric with a given mean, joined
end to end around a circle. White, *A reality check for data snooping*, 2000: is the best of many trials better than
the best of as many that have nothing?
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dolphin.core.records import Floats, Ints

#: Trials whose resampled means are in memory at once.
CHUNK = 1024


def stationary_rows(length: int, count: int, block: float, seed: int | list[int]) -> Ints:
    """(count, length) int64: places of a series, each row a resample of it in blocks of mean length ``block``."""
    rng = np.random.default_rng(seed)
    fresh = rng.random((count, length)) < 1.0 / block
    fresh[:, 0] = True
    here = np.arange(length)
    began = np.maximum.accumulate(np.where(fresh, here, 0), axis=1)
    start = np.take_along_axis(rng.integers(0, length, (count, length)), began, axis=1)
    return (start + here - began) % length


def reality_check(
    returns: Floats, resamples: int = 1000, block: float = 5.0, seed: int | list[int] = 1
) -> tuple[float, float]:
    """White's reality check over daily returns (N, T), nan as 0: its p-value, and the best mean of the trials.

    The p-value is (1 + k) / (resamples + 1), k the resamples whose best centred mean is at least the best mean.
    """
    values = np.nan_to_num(np.asarray(returns, np.float64))
    trials, days = values.shape
    rows = stationary_rows(days, resamples, block, seed)
    weights = np.zeros((resamples, days))
    np.add.at(weights, (np.repeat(np.arange(resamples), days), rows.ravel()), 1.0 / days)
    best = np.full(resamples, -np.inf)
    means = values.mean(axis=1)
    for low in range(0, trials, CHUNK):
        part = values[low : low + CHUNK]
        centred = part @ weights.T - means[low : low + CHUNK, None]
        best = np.maximum(best, centred.max(axis=0))
    top = float(means.max())
    return float(1 + (best >= top).sum()) / (resamples + 1), top


def interval(
    values: Floats,
    measure: Callable[[Floats], Floats],
    *,
    share: float = 0.9,
    resamples: int = 1000,
    block: float = 5.0,
    seed: int | list[int] = 1,
) -> tuple[float, float]:
    """The central ``share`` of ``measure`` over stationary resamples of ``values`` (T,); nan if none can be measured.

    Parameters
    ----------
    measure : callable
        (B, T) resamples to (B,) figures; nan ones are left out.
    """
    if len(values) < 2:
        return float("nan"), float("nan")
    found = measure(np.asarray(values, np.float64)[stationary_rows(len(values), resamples, block, seed)])
    found = found[~np.isnan(found)]
    if not len(found):
        return float("nan"), float("nan")
    # Nearest of the order statistics: an infinite profit factor stays one.
    low, high = np.quantile(found, [(1.0 - share) / 2.0, (1.0 + share) / 2.0], method="nearest")
    return float(low), float(high)


def sharpe_of(returns: Floats) -> Floats:
    """Annual Sharpe ratios (365 days) of resampled daily returns (B, T)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(365.0) * returns.mean(axis=1) / returns.std(axis=1, ddof=1))


def profit_factor_of(pnl: Floats) -> Floats:
    """Profit factors of resampled trades (B, n) by their gain."""
    won, lost = np.maximum(pnl, 0.0).sum(axis=1), np.maximum(-pnl, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(won / lost)


def drawdown_of(returns: Floats) -> Floats:
    """Largest fall from a peak of resampled daily returns (B, T), as a share of the peak."""
    level = np.cumprod(np.maximum(1.0 + returns, 0.0), axis=1)
    peak = np.maximum(np.maximum.accumulate(level, axis=1), 1.0)
    return np.asarray(((peak - level) / peak).max(axis=1))
