"""``pair_reversion`` against its own plain Python on the slow engine, and on markets made by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from bundled_for_tests import CAPITAL, assert_one_run, assert_warm, case_of, hand_market, random_market, run_both
from pydantic import ValidationError

from dolphin.core.records import Market
from dolphin.parity.slow.engine import SlowRun, run_slow
from dolphin.parity.slow.fills import Friction
from dolphin.parity.slow.in_python import in_python
from dolphin.strategies.pair_reversion import PAIR_REVERSION, PairReversionParams, z_score

FREE = Friction(slippage_bps=0.0, fee_bps=0.0, maker_fee_bps=0.0)
REASONS = PAIR_REVERSION.reasons
SYMBOLS = np.array([(0, 1)], np.dtype([("first", "i8"), ("second", "i8")]))


def pair_market(seed: int) -> dict[str, np.ndarray]:
    return random_market(seed) | {"symbols": SYMBOLS}


def varied(seed: int) -> PairReversionParams:
    rng = np.random.default_rng(seed)
    return PairReversionParams(
        window=int(rng.integers(5, 40)),
        entry_z=1.2,
        exit_z=0.3,
        stop_z=float(rng.choice([2.0, 4.0])),
        max_hold_bars=int(rng.integers(2, 40)),
        leverage=float(rng.choice([1.0, 12.0])),
        expires=int(rng.integers(1, 5)),
        offset_bps=float(rng.choice([0.0, 1.0, 5.0])),
    )


@pytest.mark.slow
def test_it_agrees_with_its_plain_python_in_every_way_of_running() -> None:
    reasons: Counter[str] = Counter()
    for seed in range(16):
        model, timing = ("scan_price", "volume_share")[seed % 2], ("close", "next")[seed // 2 % 2]
        friction = Friction(fill_model=model, timing=timing, maintenance=0.05, volume_share=0.3, maker_fee_bps=1.0)
        params = varied(seed)
        case, slow, _ = run_both(PAIR_REVERSION, params, pair_market(seed), friction)
        assert_one_run(PAIR_REVERSION, params, case)
        reasons.update(REASONS[trade.reason] for trade in slow.trades)
        if timing == "close":
            assert not any(code for row in slow.refused for code in row)
    assert min(reasons[name] for name in REASONS if name) >= 1, reasons


def test_it_needs_no_more_history_than_it_says() -> None:
    for seed in (3, 4, 6):
        params = varied(seed)
        case = case_of(PAIR_REVERSION, params, pair_market(seed), Friction(fill_model="scan_price"))
        assert_warm(PAIR_REVERSION, params, case, 60)


@pytest.mark.parametrize("window", [3, 4, 5, 6, 7, 50])
def test_the_score_is_that_of_the_window(window: int) -> None:
    market = pair_market(2)
    logs = market["log_price"]
    names = ("ts", "price", "log_price", "age", "features", "risk", "instruments")
    seen = Market(**{name: market[name] for name in names})
    known = 0
    for i in range(0, 360, 7):
        ours = in_python(z_score)(seen, i, 0, 1, window)
        ratio = (logs[:, 0] - logs[:, 1])[i - window + 1 : i + 1]
        if i < window - 1 or np.isnan(ratio).any():
            assert np.isnan(ours)
        elif ratio.std() > 0.0:
            assert ours == pytest.approx((ratio[-1] - ratio.mean()) / ratio.std(), rel=1e-9, abs=1e-9)
            known += 1
    assert known > 30


def by_hand(after: list[tuple[float, float]], **values: Any) -> SlowRun:
    """Ten quiet bars, a jump of the first to 103.00 at bar 10, then ``after``."""
    quiet = [(100.00 + 0.05 * (k % 2), 100.00) for k in range(10)]
    often = {"window": 10, "entry_z": 2.0, "exit_z": 0.5, "stop_z": 9.0, "offset_bps": 1.0, "expires": 2}
    params = PairReversionParams(**(often | values))
    market = hand_market([*quiet, (103.00, 100.00), *after]) | {"symbols": SYMBOLS}
    return run_slow(case_of(PAIR_REVERSION, params, market, FREE))


def test_both_legs_are_limits_a_little_better_and_close_when_the_ratio_comes_back() -> None:
    run = by_hand([(103.10, 99.90), (100.00, 100.00), (100.00, 100.00)])
    assert [(f.bar, f.slot, f.direction, f.price) for f in run.fills] == [
        (11, 0, -1, 103.02), (11, 1, 1, 99.99), (12, 0, 1, 100.00), (12, 1, -1, 100.00),
    ]  # fmt: skip
    assert {REASONS[t.reason] for t in run.trades} == {"REVERTED"}
    for fill in run.fills[:2]:  # half of the capital each at the price that was seen
        assert fill.qty * (103.0 if fill.slot == 0 else 100.0) == pytest.approx(0.5 * CAPITAL, rel=1e-4)


def test_a_leg_that_stays_alone_is_closed_when_the_other_order_is_gone() -> None:
    run = by_hand([(103.10, 100.00), (103.10, 100.00), (103.10, 100.00)])
    assert [(f.bar, f.slot, f.direction, f.price) for f in run.fills] == [(11, 0, -1, 103.02), (12, 0, 1, 103.10)]
    assert [REASONS[t.reason] for t in run.trades] == ["ONE_LEG"]


def test_what_runs_away_is_stopped_and_what_does_not_move_runs_out() -> None:
    stopped = by_hand([(103.10, 99.90), (140.00, 99.90)], window=12, stop_z=3.1)
    assert {(t.exit_bar, REASONS[t.reason]) for t in stopped.trades} == {(12, "STOP_LOSS")}
    late = by_hand([(103.10, 99.90), *[(103.20, 99.90)] * 4], max_hold_bars=3, window=30, exit_z=-1.0)
    assert not late.fills  # a window that is not full yet has no score
    late = by_hand([(103.10, 99.90), *[(103.20, 99.90)] * 4], max_hold_bars=3, exit_z=-1.0)
    assert {(t.exit_bar, REASONS[t.reason]) for t in late.trades} == {(14, "MAX_HOLD")}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"second": "ETHUSDT"}, "a pair has two symbols"),
        ({"exit_z": 2.5}, "must rise in this order"),
        ({"stop_z": 1.5}, "must rise in this order"),
        ({"expires": 0}, "greater than or equal to 1"),
    ],
)
def test_parameters_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PairReversionParams(**wrong)
