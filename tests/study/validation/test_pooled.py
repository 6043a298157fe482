"""Runs put together: against a single run over the same bars, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dolphin.config import Config
from dolphin.core.records import DAY_NS, Market
from dolphin.errors import DolphinError
from dolphin.study.measure.measured import Measures, run_alone
from dolphin.study.validation.pooled import POOLED, check_poolable, compounded, per_day, pooled


def piece(daily: list[float], trades: int, wins: int, gain: float, loss: float) -> Measures:
    metrics = {
        "trades": np.array([trades]),
        "win_rate": np.array([wins / trades if trades else math.nan]),
        "gross_win": np.array([gain]),
        "gross_loss": np.array([loss]),
    }
    return Measures(metrics, np.array([daily]), np.zeros((1, 1), np.int64))


def test_by_hand() -> None:
    found = pooled([piece([0.1, -0.2], 3, 2, 30.0, 20.0), piece([0.05], 0, 0, 0.0, 0.0), piece([0.0], 1, 0, 0.0, 5.0)])
    assert tuple(found) == POOLED
    assert (found["trades"][0], found["win_rate"][0], found["profit_factor"][0]) == (4, 0.5, 30.0 / 25.0)
    assert found["roi"][0] == pytest.approx(1.1 * 0.8 * 1.05 - 1.0, rel=1e-15)
    assert found["max_drawdown"][0] == pytest.approx(0.2, rel=1e-15)
    days = np.array([0.1, -0.2, 0.05, 0.0])
    assert found["sharpe_365"][0] == pytest.approx(days.mean() / days.std(ddof=1) * math.sqrt(365), rel=1e-14)


def test_what_is_not_known() -> None:
    nothing = pooled([piece([0.0, 0.0], 0, 0, 0.0, 0.0)])
    assert nothing["roi"][0] == 0.0 and nothing["max_drawdown"][0] == 0.0
    assert all(math.isnan(nothing[name][0]) for name in ("win_rate", "profit_factor", "sharpe_365"))
    assert pooled([piece([0.1], 1, 1, 5.0, 0.0)])["profit_factor"][0] == math.inf
    assert math.isnan(per_day(np.array([[0.3, 0.3, 0.3]]))[0])


def test_an_account_without_equity_stays_at_zero() -> None:
    curve = compounded(np.array([[0.5, -1.2, math.nan, 0.0]]))
    assert curve.tolist() == [[1.0, 1.5, 0.0, 0.0, 0.0]]


def test_one_run_is_itself(busy: Config, market: Market) -> None:
    whole = run_alone(busy, market, 900, len(market.ts))
    found = pooled([whole])
    for name in ("trades", "win_rate", "profit_factor"):
        assert found[name].tobytes() == np.asarray(whole.metrics[name], found[name].dtype).tobytes(), name
    for name in ("roi", "sharpe_365", "sharpe_252"):
        assert found[name][0] == pytest.approx(whole.metrics[name][0], rel=1e-9)
    assert 0.0 < found["max_drawdown"][0] <= whole.metrics["max_drawdown"][0]


def test_pieces_compound_and_their_trades_add_up(busy: Config, market: Market) -> None:
    ts = market.ts
    cut = int(np.searchsorted(ts, (ts[-1] // DAY_NS) * DAY_NS))
    first, second = run_alone(busy, market, 900, cut), run_alone(busy, market, cut, len(ts))
    found = pooled([first, second])
    assert found["trades"][0] == first.metrics["trades"][0] + second.metrics["trades"][0] > 20
    assert found["roi"][0] == pytest.approx(
        (1 + first.metrics["roi"][0]) * (1 + second.metrics["roi"][0]) - 1, rel=1e-9
    )


def test_other_objectives_are_refused() -> None:
    check_poolable("sharpe_365", "s")
    with pytest.raises(DolphinError, match=r"s: \[validation\]: objective 'turnover' is not defined over stretches"):
        check_poolable("turnover", "s")
