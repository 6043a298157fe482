"""Several runs taken as one: the measures of stretches of bars that were run apart, each from a flat account.

Daily returns are put end to end and compounded, trades are added up. What cannot be said of pieces put
together (turnover over one capital, the share of bars in a position ...) is not said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dolphin.core.records import Floats
from dolphin.errors import DolphinError
from dolphin.study.measure.measured import Measures
from dolphin.study.measure.metrics import MetricArrays

#: What is defined for runs put together, and so what k-fold schemes can choose by.
POOLED = ("trades", "profit_factor", "win_rate", "roi", "max_drawdown", "sharpe_365", "sharpe_252")


def pooled(pieces: Sequence[Measures]) -> MetricArrays:
    """Metrics of the same C configurations over several stretches of bars, in the order of time.

    Returns
    -------
    dict of (C,) arrays
        The names of :data:`POOLED`.

        - ``trades``, ``profit_factor``, ``win_rate``: of all closed trades; each stretch begins with the
          initial capital, so that each counts alike.
        - ``roi``: the daily returns compounded.
        - ``max_drawdown``: of that curve, day by day (within a day it may have been deeper).
        - ``sharpe_365``, ``sharpe_252``: mean over sample deviation of the daily returns, annualised; a day
          that a stretch only touches counts as a day. nan with fewer than two days or no deviation.
    """
    trades = _total(pieces, "trades")
    wins = sum(np.round(np.nan_to_num(p.metrics["win_rate"]) * p.metrics["trades"]) for p in pieces)
    gain, loss = _total(pieces, "gross_win"), _total(pieces, "gross_loss")
    daily = daily_of(pieces)
    curve = compounded(daily)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where((trades > 0) & (loss == 0.0), np.inf, gain / loss)
        return {
            "trades": trades,
            "profit_factor": np.where(trades > 0, factor, np.nan),
            "win_rate": np.asarray(wins / trades),
            "roi": curve[:, -1] - 1.0,
            "max_drawdown": np.max(1.0 - curve / np.maximum.accumulate(curve, axis=1), axis=1),
            "sharpe_365": per_day(daily) * math.sqrt(365.0),
            "sharpe_252": per_day(daily) * math.sqrt(252.0),
        }


def daily_of(pieces: Sequence[Measures]) -> Floats:
    """(C, days) float64: the daily returns put end to end."""
    return np.concatenate([piece.daily_returns for piece in pieces], axis=1)


def compounded(daily: Floats) -> Floats:
    """(C, days + 1) float64: what became of 1; (C, days) daily returns, nan where there was no equity left.

    An account that falls to zero or below stays at zero.
    """
    factors = np.where(np.isnan(daily), 0.0, np.maximum(1.0 + daily, 0.0))
    return np.concatenate([np.ones((len(daily), 1)), np.cumprod(factors, axis=1)], axis=1)


def per_day(daily: Floats) -> Floats:
    """(C,) float64: mean over sample deviation of daily returns (C, days), nan where there is none."""
    known = ~np.isnan(daily)
    count = known.sum(axis=1)
    values = np.where(known, daily, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = values.sum(axis=1) / count
        squares = (np.where(known, daily - mean[:, None], 0.0) ** 2).sum(axis=1)
        ratio = mean / np.sqrt(squares / (count - 1))
    # All days equal: what is left of the squares is rounding.
    moved = (count >= 2) & (np.ptp(values, axis=1) > 0.0) if daily.shape[1] else np.zeros(len(daily), np.bool_)
    return np.where(moved, ratio, np.nan)


def check_poolable(objective: str, where: str) -> None:
    """Refuse an objective that is not defined for runs put together."""
    if objective not in POOLED:
        raise DolphinError(
            f"objective '{objective}' is not defined over stretches of bars run apart, as k-fold schemes train",
            where=f"{where}: [validation]",
            mend=f"use one of {', '.join(POOLED)}, or a walk_forward scheme",
        )


def _total(pieces: Sequence[Measures], name: str) -> Floats:
    return np.asarray(sum(piece.metrics[name] for piece in pieces))
