"""How sure a Sharpe ratio is: probabilistic, deflated for the number of trials, and the record that it needs.

All ratios here are per day, not annual. Sources: Bailey and Lopez de Prado, *The Sharpe ratio efficient frontier*,
2012 (PSR, MinTRL); the same, *The deflated Sharpe ratio*, 2014 (SR0, DSR). The number of trials is the raw count:
clusters and effective numbers are anti-conservative here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dolphin.core.records import Floats
from dolphin.gate.evidence.normal import phi, quantile

EULER = 0.5772156649015329


class Moments(NamedTuple):
    """Sharpe ratio per day, days, skewness, and kurtosis (3 for a normal distribution)."""

    sharpe: float
    days: int
    skew: float
    kurtosis: float


def moments(returns: Floats) -> Moments:
    """Of daily returns (T,); nan ones are left out. All nan if they do not vary or are fewer than two."""
    known = np.asarray(returns, np.float64)
    known = known[np.isfinite(known)]
    spread = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    if not spread > 0.0:
        return Moments(math.nan, len(known), math.nan, math.nan)
    centred = (known - known.mean()) / known.std()
    return Moments(float(known.mean()) / spread, len(known), float((centred**3).mean()), float((centred**4).mean()))


def deviation(sharpe: float, skew: float, kurtosis: float) -> float:
    """Standard deviation of an estimated Sharpe ratio, times the root of the number of returns."""
    return math.sqrt(max(1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2, 0.0))


def probabilistic(found: Moments, benchmark: float = 0.0, *, at_benchmark: bool = False) -> float:
    """The probability that the true Sharpe ratio is above ``benchmark``.

    Parameters
    ----------
    at_benchmark : bool
        Take the error of the estimate at the benchmark, and T for T - 1, as the form of 2025 does (Lopez de Prado,
        Lipton, Zoonekynd). That one ignores the skewness at a benchmark of 0; the gate takes the form of 2014.
    """
    where, days = (benchmark, found.days) if at_benchmark else (found.sharpe, found.days - 1)
    error = deviation(where, found.skew, found.kurtosis)
    if math.isnan(found.sharpe) or error <= 0.0:
        return math.nan
    return phi((found.sharpe - benchmark) * math.sqrt(days) / error)


def expected_best(trials: int, variance: float) -> float:
    """SR0: the expected best Sharpe ratio of ``trials`` without any edge whose ratios have this variance."""
    if trials < 2:
        return 0.0
    above = (1.0 - EULER) * quantile(1.0 - 1.0 / trials) + EULER * quantile(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * above


def deflated(found: Moments, trials: int, variance: float) -> float:
    """DSR: the probability that the true ratio is above what the best of so many trials has by luck."""
    return probabilistic(found, expected_best(trials, variance))


def shortest_record(
    found: Moments, benchmark: float = 0.0, confidence: float = 0.95, *, at_benchmark: bool = False
) -> float:
    """MinTRL: days after which the ratio would be told from ``benchmark``; infinite where it is not above it."""
    if math.isnan(found.sharpe) or found.sharpe <= benchmark:
        return math.inf
    error = deviation(benchmark if at_benchmark else found.sharpe, found.skew, found.kurtosis)
    days = (error * quantile(confidence) / (found.sharpe - benchmark)) ** 2
    return days if at_benchmark else 1.0 + days
