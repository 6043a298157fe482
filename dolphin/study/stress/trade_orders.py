"""The trades of a run in other orders: what luck in their order may have done to the drawdown."""

from __future__ import annotations

import numpy as np
import polars as pl

from dolphin.core.records import Floats, Records
from dolphin.study.measure.run import Run


def reordered_trades(base: Run, runs: int, seed: int) -> tuple[pl.DataFrame, dict[str, Floats]]:
    """The same trades in other orders (``permuted``), and drawn with replacement (``bootstrap``).

    Trades are taken one after another, each by its P&L over the capital before it (:func:`growth_of`); drawdown is on
    realised capital, from trade to trade. Returns rows, and by kind capital over its start, (runs, trades + 1).
    """
    trades = base.recording.trades
    growth = growth_of(trades, base.config.account.initial_capital)
    if not len(growth):
        return pl.DataFrame(schema={"kind": pl.String, "parameter": pl.Float64}), {}
    rng = np.random.default_rng([seed, 0x5F])
    drawn = {
        "permuted": rng.permuted(np.tile(growth, (runs, 1)), axis=1),
        "bootstrap": growth[rng.integers(0, len(growth), (runs, len(growth)))],
    }
    frames, paths = [], {"actual": capital_path(growth[None])}
    for kind, factors in drawn.items():
        paths[kind] = path = capital_path(factors)
        capital = base.config.account.initial_capital
        peak = np.maximum.accumulate(path, axis=1)
        frames.append(
            pl.DataFrame(
                {
                    "kind": [kind] * runs,
                    "parameter": [0.0] * runs,
                    "seed": np.arange(runs),
                    "trades": np.full(runs, len(growth)),
                    "roi": path[:, -1] - 1.0,
                    "final_equity": capital * path[:, -1],
                    "max_drawdown": ((peak - path) / peak).max(axis=1),
                    "ruined": path[:, -1] <= 0.0,
                }
            )
        )
    return pl.concat(frames), paths


def growth_of(trades: Records, initial_capital: float) -> Floats:
    """(trades,) factors whose product is the realised capital over its start.

    Where no two trades are open at once the capital before a trade is that at its entry. Else it is what the trades
    that closed earlier left: gains of slots that ran at the same time add up, and their factors on the capital at
    entry would compound them.
    """
    if not len(trades) or (trades["entry_bar"][1:] >= trades["exit_bar"][:-1]).all():
        return np.asarray(1.0 + trades["pnl"] / trades["capital_before"])
    after = initial_capital + np.cumsum(trades["pnl"])
    before = np.concatenate([[initial_capital], after[:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before > 0.0, after / before, 0.0)


def capital_path(growth: Floats) -> Floats:
    """(R, n + 1) capital over its start after each of ``growth`` (R, n); what is ruined stays at zero."""
    path = np.cumprod(np.maximum(growth, 0.0), axis=1)
    return np.column_stack([np.ones(len(growth)), path])
