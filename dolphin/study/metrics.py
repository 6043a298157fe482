"""Metrics of ENGINE section 5, from the account records that the engine leaves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dolphin.core.records import DAY_NS, Records

#: Names in the order in which they are written and shown.
METRICS = (
    "trades",
    "profit_factor",
    "win_rate",
    "roi",
    "max_drawdown",
    "sharpe_365",
    "sharpe_252",
    "final_equity",
    "fees_paid",
    "open_position",
    "bars",
)


def metrics_of(accounts: Records, initial_capital: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of many runs.

    Parameters
    ----------
    accounts : (C,) array of ACCOUNT
        As they stand after the last bar.
    initial_capital : (C,) float64

    Returns
    -------
    dict of (C,) arrays
        The names of :data:`METRICS`, and ``exposure`` (share of bars in a position) and
        ``ruined``. Profit factor is inf without losses and nan without trades; the day at hand
        counts as a day of the Sharpe ratio.
    """
    trades = accounts["trades"]
    with np.errstate(divide="ignore", invalid="ignore"):
        profit_factor = accounts["gross_win"] / accounts["gross_loss"]
        win_rate = accounts["wins"] / trades
        # The last, still open day, as the kernel's close_day would fold it.
        daily = accounts["equity"] / accounts["day_equity"] - 1.0
        alive = accounts["day_equity"] > 0.0
        days = accounts["days"] + alive
        delta = np.where(alive, daily - accounts["day_mean"], 0.0)
        mean = accounts["day_mean"] + delta / days
        m2 = accounts["day_m2"] + np.where(alive, delta * (daily - mean), 0.0)
        per_day = mean / np.sqrt(m2 / (days - 1))
    per_day = np.where((days >= 2) & (m2 > 0.0), per_day, np.nan)
    profit_factor = np.where((trades > 0) & (accounts["gross_loss"] == 0.0), np.inf, profit_factor)
    return {
        "trades": trades.copy(),
        "profit_factor": profit_factor,
        "win_rate": win_rate,
        "roi": accounts["equity"] / initial_capital - 1.0,
        "max_drawdown": accounts["max_drawdown"].copy(),
        "sharpe_365": per_day * math.sqrt(365.0),
        "sharpe_252": per_day * math.sqrt(252.0),
        "final_equity": accounts["equity"].copy(),
        "fees_paid": accounts["fees_paid"].copy(),
        "open_position": accounts["open_positions"] > 0,
        "bars": accounts["bars"].copy(),
        "exposure": accounts["exposed_bars"] / np.maximum(accounts["bars"], 1),
        "ruined": accounts["ruined"] > 0,
    }


def one(metrics: dict[str, np.ndarray], index: int = 0) -> dict[str, Any]:
    """The metrics of one run as plain Python numbers."""
    return {name: values[index].item() for name, values in metrics.items()}


def spelled(value: Any) -> Any:
    """A value for JSON: infinity and not-a-number as the strings "inf", "-inf", "nan"."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def unspelled(value: Any) -> Any:
    """The inverse of :func:`spelled`."""
    return float(value) if value in ("inf", "-inf", "nan") else value


def daily_equity(ts: np.ndarray, equity: np.ndarray, initial_capital: float) -> np.ndarray:
    """Equity at the start and at the last bar of each UTC day, (days + 1,) float64."""
    days = ts // DAY_NS
    last = np.flatnonzero(np.diff(days, append=days[-1] + 1))
    return np.concatenate([[initial_capital], equity[last]])


def worst_rolling_roi(daily: np.ndarray, days: int) -> float:
    """The lowest return over any ``days`` consecutive days of :func:`daily_equity`; nan if fewer."""
    if len(daily) <= days:
        return math.nan
    return float(np.min(daily[days:] / daily[:-days] - 1.0))
