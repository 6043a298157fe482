"""The luck of the floors: chances that can be had in closed form come out."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dolphin.gate.evidence.normal import phi
from dolphin.gate.evidence.power import chances, drawn_days, worst_rolling_of
from dolphin.gate.report import FloorResult


def floor(metric: str, op: str, limit: float, days: float = 55.0, rolling: bool = False) -> FloorResult:
    return FloorResult(metric, metric, "w", op, limit, 0.0, True, "", days, rolling)


def measure(sharpe: float = 4.0, volatility: float = 0.02, days: int = 55) -> Any:
    """As much of a measure as the chances are drawn from."""
    returns = np.tile([1.0, -1.0], days)[:days] * volatility
    trades = np.zeros(60, [("pnl_pct", "f8"), ("leverage", "f8")])
    trades["pnl_pct"] = np.where(np.arange(60) % 3, 0.01, -0.01)
    trades["leverage"] = 2.0
    run = SimpleNamespace(
        daily_returns=returns, metrics={"sharpe_365": sharpe}, recording=SimpleNamespace(trades=trades)
    )
    return SimpleNamespace(whole=run)


def test_chances() -> None:
    floors = [
        floor("sharpe_365", ">", 1.5), floor("trades", ">=", 1), floor("win_rate", ">=", 0.1),
        floor("profit_factor", ">=", 1.0, 10.0), floor("roi", ">=", -0.05, 10.0, True),
        floor("max_drawdown", "<", 0.99),
    ]  # fmt: skip
    found = chances(measure(), floors)
    rows = {row["floor"]: row for row in found["floors"]}
    # The ratio of n normal days has a standard error of about sqrt(365 / n).
    expected = phi((1.5 - 4.0) / math.sqrt(365 / 55 * (1 + 0.5 * 16 / 365)))
    assert rows["sharpe_365"]["normal_days"] == pytest.approx(expected, abs=0.02)
    assert (
        rows["trades"]["normal_days"] == rows["win_rate"]["normal_days"] == rows["max_drawdown"]["normal_days"] == 0.0
    )
    assert 0.02 < rows["profit_factor"]["normal_days"] < 0.3
    together = found["all_together"]["normal_days"]
    assert max(row["normal_days"] for row in found["floors"]) <= together <= 1.0
    power = found["power"]
    # z = SR sqrt(T / 365) - 1.645: 46 % at a ratio of 4 on 55 days.
    assert power["edge_alone"] == pytest.approx(0.46, abs=0.04)
    assert power["both"] <= min(power["edge_alone"], power["floors_alone"])
    assert found == chances(measure(), floors) and "Sharpe ratio of 4" in found["words"]
    assert chances(measure(sharpe=math.nan), floors)["floors"] == []


def test_drawn_days_have_the_ratio_and_the_spread_that_were_asked_for() -> None:
    for fat in (False, True):
        days = drawn_days(4.0, 0.02, 400, fat=fat)
        assert days.std() == pytest.approx(0.02, rel=0.02)
        assert days.mean() / days.std() * math.sqrt(365) == pytest.approx(4.0, rel=0.05)


def test_worst_rolling() -> None:
    days = np.array([[0.1, -0.5, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0]])
    assert worst_rolling_of(days, 2) == pytest.approx([1.1 * 0.5 - 1.0, 0.0])
    assert np.isnan(worst_rolling_of(days, 5)).all()
