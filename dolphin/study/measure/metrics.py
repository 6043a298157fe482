"""Metrics of ENGINE section 5 and some more, from the account records that the engine leaves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.core.records import Floats, Ints, Records
from dolphin.times import return_day

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


#: What else is measured of every run (:func:`metrics_of` defines them).
MORE_METRICS = (
    "exposure",
    "turnover",
    "worst_10_days",
    "tail_ratio",
    "gross_win",
    "gross_loss",
    "ruined",
    "funding_paid",
)

#: (C,) arrays by the names of :data:`ALL_METRICS`: float64, counts int64, flags bool.
MetricArrays = dict[str, NDArray[Any]]

#: All of them.
ALL_METRICS = METRICS + MORE_METRICS


def metrics_of(accounts: Records, initial_capital: Floats, day_ends: Floats | None = None) -> MetricArrays:
    """Metrics of many runs.

    Parameters
    ----------
    accounts : (C,) array of ACCOUNT
        As they stand after the last bar.
    initial_capital : (C,) float64
    day_ends : (C, D) float64, optional
        Equity at the end of each day that is over, as the state keeps it. Without it what comes
        from daily returns is nan.

    Returns
    -------
    dict of (C,) arrays
        The names of :data:`ALL_METRICS`. Profit factor is inf without losses and nan without trades;
        the day at hand counts as a day of the Sharpe ratio.

        - ``exposure``: share of bars that end in a position.
        - ``turnover``: notional of all fills, entries and exits, over the initial capital.
        - ``worst_10_days``: the lowest return over any ten consecutive UTC days that begin with equity
          above zero; nan when there are fewer.
        - ``tail_ratio``: 95th percentile of the daily returns over the size of the 5th (linear
          interpolation). Below zero when even the 95th is a loss; inf when only the 5th is zero, nan when
          both are or with fewer than two returns.
        - ``gross_win``, ``gross_loss``: sums of the closed trades' gains and losses net of fees, both >= 0.
        - ``ruined``: realised capital was at or below zero.
        - ``funding_paid``: funding of all positions, above zero where more was paid than received.
    """
    levels = daily_levels(accounts, initial_capital, day_ends)
    trades, per_day = accounts["trades"], daily_sharpe(accounts)
    with np.errstate(divide="ignore", invalid="ignore"):
        profit_factor = accounts["gross_win"] / accounts["gross_loss"]
        win_rate = accounts["wins"] / trades
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
        "turnover": accounts["traded"] / initial_capital,
        "worst_10_days": worst_rolling(levels, 10),
        "tail_ratio": tail_ratio(daily_returns(levels)),
        "gross_win": accounts["gross_win"].copy(),
        "gross_loss": accounts["gross_loss"].copy(),
        "ruined": accounts["ruined"] > 0,
        "funding_paid": 0.0 - accounts["funding"],
    }


def daily_sharpe(accounts: Records) -> Floats:
    """(C,) float64: mean of the daily returns over their deviation, not annualised; nan with fewer than two."""
    with np.errstate(divide="ignore", invalid="ignore"):
        # The last, still open day, as the kernel's close_day would fold it.
        daily = accounts["equity"] / accounts["day_equity"] - 1.0
        alive = accounts["day_equity"] > 0.0
        days = accounts["days"] + alive
        delta = np.where(alive, daily - accounts["day_mean"], 0.0)
        mean = accounts["day_mean"] + delta / days
        m2 = accounts["day_m2"] + np.where(alive, delta * (daily - mean), 0.0)
        per_day = mean / np.sqrt(m2 / (days - 1))
    return np.where((days >= 2) & (m2 > 0.0), per_day, np.nan)


def one(metrics: MetricArrays, index: int = 0) -> dict[str, Any]:
    """The metrics of one run as plain Python numbers."""
    return {name: values[index].item() for name, values in metrics.items()}


def daily_levels(accounts: Records, initial_capital: Floats, day_ends: Floats | None) -> Floats:
    """(C, days + 1) float64: equity at the start and at the end of each UTC day, the day at hand included.

    Only the start when the days were not kept. All accounts have seen the same bars.
    """
    over = int(accounts["day"].max(initial=0))
    if day_ends is None or day_ends.shape[1] < over or not accounts["bars"].any():
        return initial_capital[:, None]
    return np.column_stack([initial_capital, day_ends[:, :over], accounts["equity"]])


def daily_returns(levels: Floats) -> Floats:
    """(C, days) float64 from :func:`daily_levels`; nan for a day that begins with equity at or below zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = levels[:, 1:] / levels[:, :-1] - 1.0
    return np.where(levels[:, :-1] > 0.0, returns, np.nan)


def tail_ratio(returns: Floats) -> Floats:
    """(C,) float64: see :func:`metrics_of`; ``returns`` is (C, days), nan where there is none."""
    if returns.shape[1] < 2:
        return np.full(len(returns), np.nan)
    ordered = np.sort(returns, axis=1)  # nan goes to the end
    known = np.sum(~np.isnan(ordered), axis=1)
    rows = np.arange(len(ordered))

    def quantile(share: float) -> Floats:
        place = share * np.maximum(known - 1, 0)
        below = place.astype(np.int64)
        above = np.minimum(below + 1, np.maximum(known - 1, 0))
        low, high = ordered[rows, below], ordered[rows, above]
        return np.asarray(low + (high - low) * (place - below))

    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = quantile(0.95) / np.abs(quantile(0.05))
    return np.where(known >= 2, ratio, np.nan)


def exit_counts(exits: Ints, reasons: tuple[str, ...]) -> dict[str, int]:
    """Closed trades of one run by the strategy's reasons, in their order; ``exits`` (R,) as the state keeps them."""
    return {name: int(count) for name, count in zip(reasons, exits, strict=True) if name}


def daily_equity(ts: Ints, equity: Floats, initial_capital: float) -> Floats:
    """Equity at the start and at the last bar of each UTC day, (days + 1,) float64."""
    days = return_day(ts)
    last = np.flatnonzero(np.diff(days, append=days[-1] + 1))
    return np.concatenate([[initial_capital], equity[last]])


def worst_rolling_roi(daily: Floats, days: int) -> float:
    """The lowest return over any ``days`` consecutive days of :func:`daily_equity`; nan if fewer."""
    return float(worst_rolling(daily[None], days)[0])


def worst_rolling(levels: Floats, days: int) -> Floats:
    """:func:`worst_rolling_roi` per row of (C, days + 1) levels; a stretch that begins at or below zero has none."""
    if levels.shape[1] <= days:
        return np.full(len(levels), np.nan)
    before, after = levels[:, :-days], levels[:, days:]
    whole = before > 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = np.min(np.where(whole, after / before - 1.0, np.inf), axis=1)
    return np.where(whole.any(axis=1), worst, np.nan)
