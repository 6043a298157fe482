from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

import numpy as np
import pytest

from dolphin.catalog import Dataset
from dolphin.core.records import ACCOUNT, Market
from dolphin.study.config import Config
from dolphin.study.metrics import (
    METRICS,
    daily_equity,
    metrics_of,
    spelled,
    unspelled,
    worst_rolling_roi,
)
from dolphin.study.run import Run, run

DAY_NS = 86_400 * 10**9


def by_hand(done: Run) -> dict[str, Any]:
    """The metrics of ENGINE section 5 from trades and equity, in plain Python."""
    capital = done.config.account.initial_capital
    pnl = [float(x) for x in done.recording.trades["pnl"]]
    equity = [float(x) for x in done.recording.equity]
    days = [int(t) // DAY_NS for t in done.market.ts[done.start : done.stop]]
    wins, losses = [p for p in pnl if p > 0], [p for p in pnl if p <= 0]
    peak, drawdown = capital, 0.0
    for value in equity:
        peak = max(peak, value)
        drawdown = max(drawdown, (peak - value) / peak)
    closes: dict[int, float] = dict(zip(days, equity, strict=True))
    levels = [capital, *closes.values()]
    returns = [b / a - 1.0 for a, b in itertools.pairwise(levels)]
    per_day = statistics.mean(returns) / statistics.stdev(returns) if len(returns) > 1 else math.nan
    return {
        "trades": len(pnl),
        "profit_factor": sum(wins) / abs(sum(losses)) if losses else math.inf,
        "win_rate": len(wins) / len(pnl),
        "roi": equity[-1] / capital - 1.0,
        "max_drawdown": drawdown,
        "sharpe_365": per_day * math.sqrt(365.0),
        "sharpe_252": per_day * math.sqrt(252.0),
        "final_equity": equity[-1],
        "open_position": bool(done.recording.position[-1]),
        "bars": len(equity),
    }


@pytest.mark.parametrize(
    ("start", "stop", "values"),
    [
        (0, 4320, {}),
        (900, 4000, {"fill_timing": "next"}),
        (1500, 2800, {"direction": "long_only", "fee_bps": 3.0}),
        (0, 3100, {"tp_pct": 0.02, "initial_capital": 500.0}),
    ],
)
def test_metrics_are_those_of_trades_and_equity(
    dataset: Dataset, market: Market, busy: Config, start: int, stop: int, values: dict[str, Any]
) -> None:
    done = run(dataset, market, busy.with_values(values), start, stop)
    assert done.metrics["trades"] > 5
    for name, value in by_hand(done).items():
        assert done.metrics[name] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), name
    closed = done.recording.trades
    rate = done.config.friction.fee_bps / 1e4
    fees = rate * float((closed["qty"] * (closed["entry_price"] + closed["exit_price"])).sum())
    slot = done.recording.state.slots[0]
    fees += float(slot["entry_fee"]) if slot["side"] else 0.0
    assert done.metrics["fees_paid"] == pytest.approx(fees, rel=1e-12)
    assert done.metrics["exposure"] == pytest.approx(np.mean(done.recording.position != 0), abs=0.02)


def test_the_names_are_the_contract() -> None:
    assert METRICS == (
        "trades", "profit_factor", "win_rate", "roi", "max_drawdown", "sharpe_365", "sharpe_252",
        "final_equity", "fees_paid", "open_position", "bars",
    )  # fmt: skip


def account(**values: float) -> np.ndarray:
    record = np.zeros(1, ACCOUNT)
    record["equity"] = record["capital"] = record["day_equity"] = record["peak_equity"] = 100.0
    for name, value in values.items():
        record[name] = value
    return record


def test_without_trades_there_is_no_ratio() -> None:
    found = metrics_of(account(), np.array([100.0]))
    assert math.isnan(found["profit_factor"][0]) and math.isnan(found["win_rate"][0])
    assert math.isnan(found["sharpe_365"][0]) and found["roi"][0] == 0.0


def test_without_losses_the_profit_factor_is_infinite() -> None:
    found = metrics_of(account(trades=2, wins=2, gross_win=5.0), np.array([100.0]))
    assert found["profit_factor"][0] == math.inf and found["win_rate"][0] == 1.0


def test_without_wins_the_profit_factor_is_zero() -> None:
    found = metrics_of(account(trades=2, gross_loss=5.0), np.array([100.0]))
    assert found["profit_factor"][0] == 0.0 and found["win_rate"][0] == 0.0


def test_one_day_or_equal_days_have_no_sharpe() -> None:
    one_day = metrics_of(account(equity=110.0), np.array([100.0]))
    flat = metrics_of(account(days=4), np.array([100.0]))
    assert math.isnan(one_day["sharpe_365"][0]) and math.isnan(flat["sharpe_365"][0])


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1.5, 3, True, None, "text"])
def test_spelling_goes_both_ways(value: object) -> None:
    assert unspelled(spelled(value)) == value
    assert not isinstance(spelled(value), float) or math.isfinite(spelled(value))


def test_nan_is_spelled() -> None:
    assert spelled(math.nan) == "nan" and math.isnan(unspelled("nan"))


def test_daily_equity_takes_each_days_last_bar() -> None:
    hour = DAY_NS // 24
    ts = np.array([0, 5, 23, 24, 30, 49]) * hour
    assert daily_equity(ts, np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), 0.5).tolist() == [0.5, 3.0, 5.0, 6.0]


def test_worst_rolling_roi_against_a_loop() -> None:
    daily = np.array([100.0, 90.0, 99.0, 120.0, 60.0, 75.0])
    for days in range(1, 6):
        slow = min(daily[i + days] / daily[i] - 1.0 for i in range(len(daily) - days))
        assert worst_rolling_roi(daily, days) == slow
    assert worst_rolling_roi(daily, 1) == -0.5
    assert math.isnan(worst_rolling_roi(daily, 6))
