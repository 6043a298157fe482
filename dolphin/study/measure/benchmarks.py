"""What a run is read against, from its own market: buying and holding, its days, and prices of what it traded."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from dolphin.core.records import Floats, Ints
from dolphin.files import json_value
from dolphin.study.measure.figures import rolling_sharpe, underwater, usual_figures
from dolphin.study.measure.metrics import daily_equity
from dolphin.study.measure.run import Run
from dolphin.times import format_day, return_day

#: Assets whose prices are kept, those with the most trades first, and rows of each.
ASSETS, ROWS = 6, 600


def day_ends(ts: Ints) -> Ints:
    """Rows of the last bar of each UTC day."""
    days = return_day(ts)
    return np.flatnonzero(np.diff(days, append=days[-1] + 1))


def held(price: Floats, ends: Ints) -> Floats:
    """(days + 1,) float64: a symbol bought with all capital at its first price; nan before it has one."""
    known = np.flatnonzero(np.isfinite(price))
    if not len(known):
        return np.full(len(ends) + 1, np.nan)
    first = price[known[0]]
    return np.concatenate([[1.0], price[ends] / first])


def held_together(prices: Floats, ends: Ints) -> Floats:
    """(days + 1,) float64: the same capital into every symbol that has a price in the first bar, never rebalanced."""
    there = np.isfinite(prices[0]) & (prices[0] > 0.0)
    if not there.any():
        return np.full(len(ends) + 1, np.nan)
    grown = prices[ends][:, there] / prices[0, there]
    return np.concatenate([[1.0], np.nanmean(grown, axis=1)])


def daily_frame(run: Run) -> pl.DataFrame:
    """A row per UTC day of a run.

    Columns: ``date``; ``equity``, ``reference`` and ``equal_weight`` (levels over the start, at the day's last bar);
    ``ret`` (the account's return on the day, null once it is ruined); ``rolling_sharpe`` (of 30 days, null before).
    """
    market, start, stop = run.market, run.start, run.stop
    ts, prices = market.ts[start:stop], market.price[start:stop]
    ends = day_ends(ts)
    capital = run.config.account.initial_capital
    levels = daily_equity(ts, run.recording.equity, capital)
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.where(np.cumprod(levels[:-1] > 0.0) > 0, levels[1:] / levels[:-1] - 1.0, np.nan)
    columns: dict[str, Any] = {
        "equity": levels[1:] / capital,
        "ret": returns,
        "reference": held(prices[:, run.dataset.reference_column], ends)[1:],
        "equal_weight": held_together(prices, ends)[1:],
        "rolling_sharpe": rolling_sharpe(levels),
    }
    dates = [format_day(int(day)) for day in return_day(ts[ends])]
    return pl.DataFrame({"date": dates, **columns}).with_columns(pl.exclude("date").fill_nan(None))


def prices_frame(run: Run) -> pl.DataFrame:
    """Prices of the assets that were traded most: ``asset``, ``ts`` (close), ``price``; the bars of trades are kept.

    Of long runs an even sample, ``ROWS`` an asset and the bars of its trades.
    """
    market, trades = run.market, run.recording.trades
    counts = np.bincount(trades["asset"], minlength=len(run.dataset.symbols)) if len(trades) else np.zeros(0, np.int64)
    parts = []
    for asset in sorted(np.flatnonzero(counts), key=lambda a: (-counts[a], a))[:ASSETS]:
        mine = trades[trades["asset"] == asset]
        even = np.linspace(run.start, run.stop - 1, min(ROWS, run.stop - run.start)).astype(np.int64)
        rows = np.unique(np.concatenate([even, mine["entry_bar"], mine["exit_bar"]]))
        names = np.full(len(rows), run.dataset.symbols[asset])
        parts.append(pl.DataFrame({"asset": names, "ts": market.ts[rows], "price": market.price[rows, asset]}))
    schema = {"asset": pl.String, "ts": pl.Int64, "price": pl.Float64}
    return pl.concat([part.cast(schema) for part in parts]) if parts else pl.DataFrame(schema=schema)  # type: ignore[arg-type]


def figures_document(run: Run) -> dict[str, Any]:
    """``figures.json``: the usual figures of the account, of its benchmarks, exposure, and the deepest falls."""
    days, capital = daily_frame(run), run.config.account.initial_capital
    ts = run.market.ts[run.start : run.stop]
    account = daily_equity(ts, run.recording.equity, capital)
    dates = [*days["date"]]
    named = {"reference": days["reference"], "equal_weight": days["equal_weight"]}
    found: dict[str, Any] = {"account": _plain(usual_figures(account))}
    for name, column in named.items():
        whole = column.null_count() == 0
        found[name] = _plain(usual_figures(np.concatenate([[1.0], column.to_numpy()]))) if whole else None
    position = run.recording.position
    found |= {
        "reference_symbol": run.dataset.reference,
        "symbols": len(run.dataset.symbols),
        "exposure": {"long": float(np.mean(position > 0)), "short": float(np.mean(position < 0))},
        "underwater": [
            fall
            | {
                "peak": dates[fall["peak"] - 1] if fall["peak"] else None,
                "trough": dates[fall["trough"] - 1],
                "recovered": dates[fall["recovered"] - 1] if fall["recovered"] else None,
            }
            for fall in underwater(account)
        ],
    }
    return found


def _plain(figures: dict[str, float]) -> dict[str, Any]:
    return {name: json_value(value) for name, value in figures.items()}
