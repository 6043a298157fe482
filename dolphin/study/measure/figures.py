"""The usual figures of an account, from its equity at the end of each UTC day (quantstats' formulas where it has them).

All take levels (N + 1,) float64: the start, then one per day. A ratio without a denominator is inf or nan, as named.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dolphin.core.records import Floats

YEAR = 365
#: Days of the rolling Sharpe ratio.
ROLLING = 30


def returns_of(levels: Floats) -> Floats:
    """(N,) float64: returns of the days that begin above zero; an account that is ruined has none after that."""
    alive = np.cumprod(levels[:-1] > 0.0).astype(bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((levels[1:] / levels[:-1] - 1.0)[alive])


def cagr(levels: Floats) -> float:
    """Growth a year of 365 days; -1 for an account that ends at or below zero, nan without a day."""
    days = len(levels) - 1
    if days < 1:
        return math.nan
    growth = float(levels[-1] / levels[0])
    if growth <= 0.0:
        return -1.0
    exponent = math.log(growth) * YEAR / days
    return math.expm1(exponent) if exponent < 700.0 else math.inf


def sortino(levels: Floats) -> float:
    """Mean daily return over the root of the mean squared loss (over all days), times the root of 365."""
    returns = returns_of(levels)
    if not len(returns):
        return math.nan
    loss = math.sqrt(float(np.sum(np.minimum(returns, 0.0) ** 2)) / len(returns))
    return _over(float(returns.mean()), loss) * math.sqrt(YEAR)


def omega(levels: Floats) -> float:
    """Sum of the daily gains over the sum of the daily losses, threshold zero."""
    returns = returns_of(levels)
    return _over(float(returns[returns > 0.0].sum()), float(-returns[returns < 0.0].sum()))


def fallen(levels: Floats) -> Floats:
    """(N + 1,) float64: how far each level lies below the highest before it, as a share of that."""
    peak = np.maximum.accumulate(levels)
    return np.asarray((peak - levels) / peak)


def calmar(levels: Floats) -> float:
    """CAGR over the largest fall between the ends of days."""
    return _over(cagr(levels), float(fallen(levels).max()))


def ulcer_index(levels: Floats) -> float:
    """Root of the squared falls' sum over the days less one, as quantstats has it; nan with fewer than two days."""
    falls = fallen(levels)[1:]
    return math.sqrt(float(np.sum(falls**2)) / (len(falls) - 1)) if len(falls) > 1 else math.nan


def rolling_sharpe(levels: Floats, days: int = ROLLING) -> Floats:
    """(N,) float64: Sharpe ratio (365) of the ``days`` days up to each; nan before, and where nothing moves."""
    found = np.full(len(levels) - 1, np.nan)
    returns = returns_of(levels)
    if len(returns) < days:
        return found
    windows = np.lib.stride_tricks.sliding_window_view(returns, days)
    mean, deviation = windows.mean(axis=1), windows.std(axis=1, ddof=1)
    moves = deviation > 0.0
    ratios = np.full(len(mean), np.nan)
    ratios[moves] = mean[moves] / deviation[moves] * math.sqrt(YEAR)
    found[days - 1 : len(returns)] = ratios
    return found


def underwater(levels: Floats, most: int = 10) -> list[dict[str, Any]]:
    """The deepest falls, the deepest first.

    Of each: ``peak`` (day it fell from; 0 is the start, k the end of day k), ``trough``, ``recovered`` (first day back
    at the peak, None if it never was), ``depth`` (share), ``days`` (from peak to recovery or to the end).
    """
    falls, below = fallen(levels), 0
    found: list[dict[str, Any]] = []
    for k in range(1, len(falls) + 1):
        if k < len(falls) and falls[k] > 0.0:
            below = below or k
        elif below:
            trough = below + int(np.argmax(falls[below:k]))
            back = k if k < len(falls) else None
            found.append(
                {
                    "peak": below - 1,
                    "trough": trough,
                    "recovered": back,
                    "depth": float(falls[trough]),
                    "days": (back or k - 1) - (below - 1),
                }
            )
            below = 0
    return sorted(found, key=lambda fall: -float(fall["depth"]))[:most]


def usual_figures(levels: Floats) -> dict[str, float]:
    """Return, CAGR, Sharpe (365), Sortino, Calmar, Omega, ulcer index, largest fall and volatility (365) of levels."""
    returns = returns_of(levels)
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else math.nan
    mean = float(returns.mean()) if len(returns) else math.nan
    return {
        "roi": float(levels[-1] / levels[0] - 1.0),
        "cagr": cagr(levels),
        "sharpe_365": mean / deviation * math.sqrt(YEAR) if deviation > 0.0 else math.nan,
        "sortino": sortino(levels),
        "calmar": calmar(levels),
        "omega": omega(levels),
        "ulcer_index": ulcer_index(levels),
        "max_drawdown_daily": float(fallen(levels).max()),
        "volatility_365": deviation * math.sqrt(YEAR),
    }


def _over(above: float, below: float) -> float:
    """A ratio; inf or -inf over zero, nan if both are zero or something is not known."""
    if below > 0.0:
        return above / below
    if below == 0.0 and above != 0.0 and not math.isnan(above):
        return math.copysign(math.inf, above)
    return math.nan
