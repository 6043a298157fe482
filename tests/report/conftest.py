"""Run folders as a backtest writes them, from a small simulated account."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dolphin.manifests import write_manifest

START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 10**9
ASSETS = ["ADAUSDT", "BTCUSDT", "DOGEUSDT", "ETHUSDT", "LINKUSDT", "SOLUSDT", "XRPUSDT"]
SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
TRADE_SCHEMA = {
    "ts": pl.Int64, "date": pl.String, "strategy": pl.String, "asset": pl.String, "side": pl.String,
    "entry_price": pl.Float64, "exit_price": pl.Float64, "quantity": pl.Float64, "pnl": pl.Float64,
    "pnl_pct": pl.Float64, "exit_reason": pl.String, "vel_div_entry": pl.Float64,
    "boost_at_entry": pl.Float64,
    "beta_at_entry": pl.Float64, "posture": pl.String, "leverage": pl.Float64, "regime_signal": pl.String,
    "capital_before": pl.Float64, "capital_after": pl.Float64, "peak_capital": pl.Float64,
    "drawdown_at_entry": pl.Float64, "open_positions_count": pl.Int64, "scan_uuid": pl.String,
    "bars_held": pl.Int64, "entry_bar": pl.Int64, "exit_bar": pl.Int64,
}  # fmt: skip


def account(
    seed: int,
    bars: int,
    spacing: int,
    most_trades: int,
    assets: list[str],
    initial: float,
    volatility: float,
    leverage: float,
    gap_at: int | None,
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray], float]:
    """Trade random walks one at a time; return trades, per-bar columns and the fees paid."""
    random = np.random.default_rng(seed)
    ts = START + spacing * np.arange(1, bars + 1, dtype=np.int64)
    equity, capital = np.full(bars, initial), np.full(bars, initial)
    position = np.zeros(bars, dtype=np.int8)
    cash, fees, trades, bar = initial, 0.0, [], 7
    while len(trades) < most_trades and bar + 2 < bars and cash > 0:
        side = int(random.choice([-1, 1]))
        asset = assets[int(random.integers(len(assets)))]
        geared = float(random.uniform(1.0, leverage))
        length = min(125, bars - 1 - bar)
        entry = float(random.uniform(0.5, 60_000.0))
        path = entry * np.exp(np.cumsum(random.normal(0.0, volatility, length)))
        if len(trades) == gap_at:  # a jump beyond all margin
            path *= 1.0 - 0.6 * side
        moves = side * (path / entry - 1.0)
        hit = np.flatnonzero((moves >= 0.0095) | (moves <= -0.03))
        held = int(hit[0]) + 1 if len(hit) else length
        reason = "MAX_HOLD" if not len(hit) else "FIXED_TP" if moves[hit[0]] > 0 else "STOP_LOSS"
        if random.random() < 0.1:
            held, reason = max(1, held // 2), "SUBDAY_ACB_NORMALIZATION"
        if len(trades) == gap_at:
            held, reason, geared = 1, "LIQUIDATION", leverage
        quantity = cash * geared / entry
        exit_price = float(path[held - 1])
        costs = 2e-4 * quantity * np.array([entry, exit_price])
        before, cash = cash, cash - costs[0]
        inside = slice(bar, bar + held)
        capital[inside], position[inside] = cash, side
        equity[bar], equity[bar + 1 : bar + held] = cash, cash + side * quantity * (path[: held - 1] - entry)
        cash += side * quantity * (exit_price - entry) - costs[1]
        capital[bar + held :] = equity[bar + held :] = cash
        fees += float(costs.sum())
        pnl = side * quantity * (exit_price - entry) - float(costs.sum())
        moment = int(ts[bar + held])
        trades.append(
            {
                "ts": moment, "date": datetime.fromtimestamp(moment // 10**9, UTC).date().isoformat(),
                "strategy": "vel_div", "asset": asset, "side": "LONG" if side > 0 else "SHORT",
                "entry_price": entry, "exit_price": exit_price, "quantity": quantity, "pnl": pnl,
                "pnl_pct": pnl / (quantity * entry), "exit_reason": reason, "vel_div_entry": -0.03,
                "boost_at_entry": 1.0, "beta_at_entry": 0.0, "posture": "APEX", "leverage": geared,
                "regime_signal": "BEAR", "capital_before": before, "capital_after": cash,
                "peak_capital": float(capital[: bar + 1].max()), "drawdown_at_entry": 0.0,
                "open_positions_count": 0, "scan_uuid": f"{moment:032x}", "bars_held": held,
                "entry_bar": bar, "exit_bar": bar + held,
            }
        )  # fmt: skip
        bar += held + int(random.integers(1, 40))
    return trades, {"ts": ts, "equity": equity, "capital": capital, "position": position}, fees


def write_run(
    folder: Path,
    *,
    seed: int = 1,
    bars: int = 3_000,
    spacing: int = 300 * 10**9,
    most_trades: int = 10_000,
    assets: list[str] | None = None,
    initial: float = 25_000.0,
    volatility: float = 0.0012,
    leverage: float = 6.0,
    gap_at: int | None = None,
    facts: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
) -> Path:
    """Write one run folder.

    Trade number ``gap_at`` ruins the account; ``facts``, ``metrics`` and ``config`` override or add keys.
    """
    names = assets or ASSETS
    trades, columns, fees = account(seed, bars, spacing, most_trades, names, initial, volatility, leverage, gap_at)
    equity = columns["equity"]
    peak = np.maximum.accumulate(np.maximum(equity, initial))
    drawdown = (peak - equity) / peak
    pnl = np.array([t["pnl"] for t in trades])
    won, lost = pnl[pnl > 0].sum(), pnl[pnl < 0].sum()
    days = pl.DataFrame({"day": columns["ts"] // (86_400 * 10**9), "equity": equity}).group_by(
        "day", maintain_order=True
    )
    closes = np.concatenate([[initial], days.last()["equity"].to_numpy()])
    returns = closes[1:] / closes[:-1] - 1.0
    sharpe = float(returns.mean() / returns.std(ddof=1)) if len(returns) > 1 and returns.std() > 0 else None
    folder.mkdir(parents=True, exist_ok=True)
    documents = {
        "config.json": {
            "config": {
                "strategy": "vel_div",
                "preset": "champion_2026_03",
                "params": {
                    "direction": "bidirectional",
                    "tp_pct": 0.0095,
                    "max_hold_bars": 125,
                    "soft_cap": 6.0,
                },
                "friction": {"slippage_bps": 2.0, "fee_bps": 2.0, "fill_timing": "close"},
                "account": {"initial_capital": initial},
            }
            | (config or {}),
            "hash": "5d41402abc4b2a76b9719d911017c592ae1f0c2d3b4a59687786950413223140",
        },
        "run.json": {
            "dataset": {
                "name": "walks_5m",
                "digest": SHA,
            },
            "engine_digest": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
            "libraries": {"numba": "0.68.0", "numpy": "2.5.0", "polars": "2.1.0"},
            "platform": "Linux x86_64",
            "first_bar": {"bar": 0, "ts": int(columns["ts"][0])},
            "last_bar": {"bar": bars - 1, "ts": int(columns["ts"][-1])},
            "synthetic": False,
            "timings": {"features_s": 1.25, "engine_s": 0.031},
        }
        | (facts or {}),
        "metrics.json": {
            "trades": len(trades),
            "profit_factor": float(won / -lost) if lost < 0 else "inf" if won > 0 else "nan",
            "win_rate": float((pnl > 0).mean()) if len(pnl) else "nan",
            "roi": float(equity[-1] / initial - 1.0),
            "max_drawdown": float(drawdown.max()),
            "sharpe_365": sharpe * 365**0.5 if sharpe is not None else "nan",
            "sharpe_252": sharpe * 252**0.5 if sharpe is not None else "nan",
            "final_equity": float(equity[-1]),
            "fees_paid": fees,
            "open_position": None,
            "bars": bars,
        }
        | (metrics or {}),
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))
    pl.DataFrame(trades, schema=TRADE_SCHEMA).write_parquet(folder / "trades.parquet")
    order = ("ts", "equity", "capital", "drawdown", "position")
    pl.DataFrame({k: (columns | {"drawdown": drawdown})[k] for k in order}).write_parquet(folder / "equity.parquet")
    digests = np.random.default_rng(seed).integers(0, 2**64, bars, dtype=np.uint64)
    pl.DataFrame({"ts": columns["ts"], "digest": digests}).write_parquet(folder / "digests.parquet")
    write_manifest(folder)
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a run folder (see :func:`write_run`)."""
    return lambda name="run", **options: write_run(tmp_path / name, **options)
