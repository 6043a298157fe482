"""Returns by day and month, trades by asset, side and exit reason."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.report.run_folder import Run


def period_returns(run: Run, every: str) -> pl.DataFrame:
    """Return equity returns by UTC calendar period.

    A bar that closes at midnight belongs to the day that ends there (ENGINE section 5); the first
    period starts from the initial capital, so the returns compound to the ROI. A period that starts
    from equity <= 0 has no return (null).

    Parameters
    ----------
    run : Run
    every : str
        A Polars interval: ``1d`` or ``1mo``.

    Returns
    -------
    polars.DataFrame
        ``period`` (date), ``equity`` (last of the period), ``ret`` (fraction or null).
    """
    moment = pl.from_epoch(pl.col("ts") - 1, time_unit="ns").dt.truncate(every).dt.date()
    closes = (
        run.equity.group_by(moment.alias("period"), maintain_order=True).agg(pl.col("equity").last())
    ).with_columns(pl.col("equity").shift(1, fill_value=run.initial_capital).alias("base"))
    growth = pl.when(pl.col("base") > 0).then(pl.col("equity") / pl.col("base") - 1.0)
    return closes.select("period", "equity", growth.alias("ret"))


def trades_by(trades: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return one row per value of ``key``, the largest total P&L first, ties by name.

    Columns: ``key``, ``trades``, ``longs``, ``shorts``, ``wins``, ``win_rate``, ``mean_pct``, ``best_pct``,
    ``worst_pct``, ``bars`` (mean bars held), ``pnl``.
    """
    grouped = trades.group_by(pl.col(key).alias("key")).agg(*_statistics())
    return grouped.with_columns(win_rate=pl.col("wins") / pl.col("trades")).sort(
        ["pnl", "key"], descending=[True, False]
    )


def totals(trades: pl.DataFrame) -> dict[str, float]:
    """Return the statistics of :func:`trades_by` over all trades (at least one)."""
    row = trades.select(*_statistics()).row(0, named=True)
    return row | {"win_rate": row["wins"] / row["trades"]}


def _statistics() -> list[pl.Expr]:
    return [
        pl.len().alias("trades"),
        (pl.col("side") == "LONG").sum().alias("longs"),
        (pl.col("side") == "SHORT").sum().alias("shorts"),
        (pl.col("pnl") > 0).sum().alias("wins"),
        pl.col("pnl_pct").mean().alias("mean_pct"),
        pl.col("pnl_pct").max().alias("best_pct"),
        pl.col("pnl_pct").min().alias("worst_pct"),
        pl.col("bars_held").mean().alias("bars"),
        pl.col("pnl").sum().alias("pnl"),
    ]


@dataclass(frozen=True)
class Histogram:
    """Counts of per-trade returns; zero is always an edge, so a bin holds gains or losses, not both.

    Attributes
    ----------
    edges : array of float64, shape (bins + 1,)
    counts : array of int64, shape (bins,)
        A bin is [low, high); the last one is closed.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def return_histogram(returns: NDArray[np.float64]) -> Histogram:
    """Count ``returns`` (shape (n,), n >= 1) in bins of a readable width.

    The width is Freedman and Diaconis', held between an 80th of the range and a
    share of it that shrinks with the number of trades (an 8th to a 30th).
    """
    low, high = min(float(returns.min()), 0.0), max(float(returns.max()), 0.0)
    span = (high - low) or 0.01
    coarsest = float(np.clip(2.0 * len(returns) ** 0.5, 8.0, 30.0))
    quartiles = np.quantile(returns, [0.25, 0.75])
    ideal = 2.0 * float(quartiles[1] - quartiles[0]) / len(returns) ** (1.0 / 3.0)
    ideal = ideal or span / coarsest  # half of all returns equal: the rule has no answer
    width = float(np.clip(ideal, span / 80.0, span / coarsest))
    below, above = int(np.ceil(-low / width)), int(np.floor(high / width)) + 1
    below += -below * width > low  # rounding must not leave the lowest return outside
    edges = np.arange(-below, above + 1, dtype=np.float64) * width
    counts, _ = np.histogram(returns, bins=edges)
    return Histogram(edges, counts.astype(np.int64))


def thin(trades: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return at most ``most`` trades to draw: the extremes of pnl_pct and an even sample of the rest."""
    if trades.height <= most:
        return trades
    tails = most // 4
    order = trades["pnl_pct"].arg_sort().to_numpy()
    ends = np.concatenate([order[:tails], order[-tails:]])
    rest = np.linspace(0, trades.height - 1, most - 2 * tails).astype(np.int64)
    return trades[np.unique(np.concatenate([ends, rest]))]
