from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

import numpy as np
import pytest

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import ACCOUNT, Market
from dolphin.study.measure.metrics import (
    METRICS,
    daily_equity,
    metrics_of,
    worst_rolling_roi,
)
from dolphin.study.measure.run import Run, run

DAY_NS = 86_400 * 10**9


def by_hand(done: Run) -> dict[str, Any]:
    """The metrics of ENGINE section 5 from trades and equity, in plain Python."""
    capital = done.config.account.initial_capital
    pnl = [float(x) for x in done.recording.trades["pnl"]]
    equity = [float(x) for x in done.recording.equity]
    days = [(int(t) - 1) // DAY_NS for t in done.market.ts[done.start : done.stop]]
    wins, losses = [p for p in pnl if p > 0], [p for p in pnl if p <= 0]
    peak, drawdown = capital, 0.0
    for value in equity:
        peak = max(peak, value)
        drawdown = max(drawdown, (peak - value) / peak)
    closes: dict[int, float] = dict(zip(days, equity, strict=True))
    levels = [capital, *closes.values()]
    returns = [b / a - 1.0 for a, b in itertools.pairwise(levels)]
    per_day = statistics.mean(returns) / statistics.stdev(returns) if len(returns) > 1 else math.nan
    tails = np.percentile(returns, [95.0, 5.0]) if len(returns) > 1 else [math.nan, math.nan]
    trades, slot = done.recording.trades, done.recording.state.slots[0]
    traded = sum(float(t["qty"]) * (float(t["entry_price"]) + float(t["exit_price"])) for t in trades)
    traded += float(slot["qty"] * slot["entry_price"]) if slot["side"] else 0.0
    reasons = [done.config.strategy.reasons[t["reason"]] for t in trades]
    return {
        "exposure": float(np.mean(done.recording.position != 0)),
        "turnover": traded / capital,
        "worst_10_days": min((levels[k + 10] / levels[k] - 1.0 for k in range(len(levels) - 10)), default=math.nan),
        "tail_ratio": float(tails[0] / abs(tails[1])),
        "gross_win": sum(wins),
        "gross_loss": abs(sum(losses)),
        "ruined": bool((done.recording.capital <= 0.0).any()),
        "funding_paid": 0.0,
        "exits": {name: reasons.count(name) for name in done.config.strategy.reasons if name},
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
    expected = by_hand(done)
    assert done.metrics["exits"] == expected.pop("exits")
    assert set(expected) | {"exits", "fees_paid"} == set(done.metrics)
    for name, value in expected.items():
        assert done.metrics[name] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), name
    closed = done.recording.trades
    rate = done.config.friction.fee_bps / 1e4
    fees = rate * float((closed["qty"] * (closed["entry_price"] + closed["exit_price"])).sum())
    slot = done.recording.state.slots[0]
    fees += float(slot["entry_fee"]) if slot["side"] else 0.0
    assert done.metrics["fees_paid"] == pytest.approx(fees, rel=1e-12)
    levels = daily_equity(done.market.ts[start:stop], done.recording.equity, done.config.account.initial_capital)
    assert (done.daily_returns == levels[1:] / levels[:-1] - 1.0).all()


def test_the_names_are_the_contract() -> None:
    assert METRICS == (
        "trades", "profit_factor", "win_rate", "roi", "max_drawdown", "sharpe_365", "sharpe_252",
        "final_equity", "fees_paid", "open_position", "bars",
    )  # fmt: skip


def accounts_of(levels: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An account that ended its days with these levels of equity, the first being what it began with."""
    final = account(equity=levels[-1], day=len(levels) - 2, bars=len(levels))
    return final, np.array([levels[0]]), np.array([[*levels[1:-1], 0.0, 0.0]])  # room to spare


def test_worst_ten_days_and_tail_ratio_by_hand() -> None:
    levels = [100.0, 101, 99, 102, 103, 100, 98, 97, 99, 105, 96, 94, 120]
    found = metrics_of(*accounts_of(levels))
    assert found["worst_10_days"][0] == 94 / 101 - 1
    returns = np.diff(levels) / levels[:-1]
    high, low = np.percentile(returns, [95, 5])
    assert found["tail_ratio"][0] == pytest.approx(high / abs(low), rel=1e-12)
    assert math.isnan(metrics_of(*accounts_of(levels[:10]))["worst_10_days"][0])


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([100.0, 90.0], math.nan),
        ([100.0, 100.0, 100.0], math.nan),
        ([100.0, 100.0, 100.0, 150.0], math.inf),
        ([100.0, 90.0, 81.0, 72.9], -1.0),
        ([100.0, 110.0, -5.0, -5.0], 0.0427272727 / 0.9881818182),
    ],
)
def test_tail_ratio_without_tails(levels: list[float], expected: float) -> None:
    found = metrics_of(*accounts_of(levels))["tail_ratio"][0]
    assert found == pytest.approx(expected, nan_ok=True)


def test_ten_days_that_begin_without_equity_are_not_judged() -> None:
    found = metrics_of(*accounts_of([-5.0, *[1.0] * 10, 0.5]))
    assert found["worst_10_days"][0] == 0.5 / 1.0 - 1.0
    assert math.isnan(metrics_of(*accounts_of([-5.0] * 12))["worst_10_days"][0])


def test_without_the_days_their_metrics_are_nan() -> None:
    accounts, capital, _ = accounts_of([100.0] * 15)
    found = metrics_of(accounts, capital)
    assert math.isnan(found["worst_10_days"][0]) and math.isnan(found["tail_ratio"][0])


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


def test_daily_equity_takes_each_days_last_bar() -> None:
    hour = DAY_NS // 24
    ts = np.array([0, 5, 23, 24, 30, 49]) * hour
    assert daily_equity(ts, np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), 0.5).tolist() == [0.5, 1.0, 4.0, 5.0, 6.0]


def test_worst_rolling_roi_against_a_loop() -> None:
    daily = np.array([100.0, 90.0, 99.0, 120.0, 60.0, 75.0])
    for days in range(1, 6):
        slow = min(daily[i + days] / daily[i] - 1.0 for i in range(len(daily) - days))
        assert worst_rolling_roi(daily, days) == slow
    assert worst_rolling_roi(daily, 1) == -0.5
    assert math.isnan(worst_rolling_roi(daily, 6))
