"""``cross_momentum`` against its own plain Python on the slow engine, and on markets made by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from bundled_for_tests import CAPITAL, assert_one_run, assert_warm, case_of, hand_market, random_market, run_both
from pydantic import ValidationError

from dolphin.parity.slow.engine import run_slow
from dolphin.parity.slow.fills import Friction
from dolphin.strategies.cross_momentum import CROSS_MOMENTUM, CrossMomentumParams

FREE = Friction(slippage_bps=0.0, fee_bps=0.0, maker_fee_bps=0.0)
REASONS = CROSS_MOMENTUM.reasons


def varied(seed: int) -> CrossMomentumParams:
    rng = np.random.default_rng(seed)
    return CrossMomentumParams(
        lookback=int(rng.integers(2, 30)),
        rebalance_bars=int(rng.integers(1, 10)),
        per_side=int(rng.integers(1, 4)),
        gross_leverage=float(rng.choice([1.0, 5.0, 15.0])),
        tolerance=float(rng.choice([0.0, 0.05, 0.2])),
        direction=str(rng.choice(["long_only", "bidirectional"])),
    )


def by_hand(prices: list[list[float]], age: object = None, **values: object):  # type: ignore[no-untyped-def]
    often = {"lookback": 2, "rebalance_bars": 3, "per_side": 1, "tolerance": 0.05}
    params = CrossMomentumParams(**(often | values))
    return run_slow(case_of(CROSS_MOMENTUM, params, hand_market(prices, age=age), FREE))


@pytest.mark.slow
def test_it_agrees_with_its_plain_python_in_every_way_of_running() -> None:
    reasons: Counter[str] = Counter()
    for seed in range(10):
        model, timing = ("scan_price", "volume_share")[seed % 2], ("close", "next")[seed // 2 % 2]
        friction = Friction(fill_model=model, timing=timing, maintenance=0.05, volume_share=0.3)
        params = varied(seed)
        case, slow, _ = run_both(CROSS_MOMENTUM, params, random_market(seed), friction)
        assert_one_run(CROSS_MOMENTUM, params, case)
        reasons.update(REASONS[trade.reason] for trade in slow.trades)
        if timing == "close":  # it never asks for what cannot be
            assert not any(code for row in slow.refused for code in row)
    assert min(reasons[name] for name in REASONS if name) > 3


def test_it_needs_no_more_history_than_it_says() -> None:
    for seed in range(4):
        params = varied(seed)
        assert_warm(CROSS_MOMENTUM, params, case_of(CROSS_MOMENTUM, params, random_market(seed), FREE), 60)


def test_the_best_is_bought_and_the_worst_sold_for_equal_money() -> None:
    run = by_hand([[100, 100, 100, 100], [101, 99, 100, 100], [102, 98, 100.5, 99.5], [102, 98, 100, 100]])
    assert [(f.bar, f.asset, f.direction) for f in run.fills] == [(2, 0, 1), (2, 1, -1)]
    for fill in run.fills:  # half of the equity each, to the lot
        assert 0.0 <= 0.5 * CAPITAL - fill.qty * fill.price < 0.001 * fill.price


def test_what_turns_is_reversed_what_leaves_is_closed_what_grew_is_cut() -> None:
    risen = [[100, 100, 100], [110, 100, 90], [120, 100, 80], [120, 100, 80], [120, 100, 80]]
    turned = by_hand([*risen, [90, 100, 110]])
    assert [(t.exit_bar, t.asset, t.side, REASONS[t.reason]) for t in turned.trades] == [
        (5, 0, 1, "REVERSED"), (5, 2, -1, "REVERSED"),
    ]  # fmt: skip
    assert [slot.side for slot in turned.slots] == [-1, 0, 1]
    left = by_hand([*risen, [120, 150, 80]], direction="long_only")
    assert [(t.asset, REASONS[t.reason]) for t in left.trades] == [(0, "LEFT_SET")]
    assert [slot.side for slot in left.slots] == [0, 1, 0]
    grown = by_hand([*risen, [180, 100, 79]])
    assert [(t.asset, REASONS[t.reason]) for t in grown.trades] == [(0, "RESIZED")]
    assert grown.slots[0].qty * 180 == pytest.approx(0.5 * grown.equity[-1], rel=1e-4)
    assert grown.slots[2].qty * 79 == pytest.approx(0.5 * grown.equity[-1], rel=1e-4)  # and more of the other
    kept = by_hand([*risen, [180, 100, 79]], tolerance=1.0)
    assert not kept.trades and len(kept.fills) == 2


def test_a_stale_price_is_neither_entered_nor_added_to() -> None:
    prices = [[100, 100, 100], [110, 100, 90], [120, 100, 80], [120, 100, 80], [120, 100, 80], [180, 100, 60]]
    stale = np.zeros((6, 3), int)
    stale[2:, 0] = 9
    run = by_hand(prices, stale, max_stale_bars=5)
    assert [(f.bar, f.asset, f.direction) for f in run.fills[:2]] == [(2, 1, 1), (2, 2, -1)]
    later = np.zeros((6, 3), int)
    later[5, 0] = 9  # held when it goes stale: kept as it is
    kept = by_hand([*prices[:5], [60, 100, 50]], later, direction="long_only", per_side=3)
    assert not [f for f in kept.fills if f.bar == 5 and f.asset == 0] and kept.slots[0].side == 1


def test_fewer_assets_than_asked_for_are_shared_without_overlap() -> None:
    run = by_hand([[100, 100, 100]] * 4, per_side=5)
    assert [(f.asset, f.direction) for f in run.fills] == [(0, 1), (2, -1)]  # equals: the lower column is the better


@pytest.mark.parametrize("wrong", [{"per_side": 0}, {"rebalance_bars": 0}, {"gross_leverage": 0.0}, {"tolerance": -1}])
def test_parameters_have_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CrossMomentumParams(**wrong)
