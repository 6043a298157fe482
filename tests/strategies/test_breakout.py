"""``breakout`` against its own plain Python on the slow engine, and on markets made by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from bundled_for_tests import CAPITAL, assert_one_run, assert_warm, case_of, hand_market, random_market, run_both

from dolphin.parity.slow.engine import Case, SlowRun, run_slow
from dolphin.parity.slow.fills import Friction
from dolphin.parity.slow.in_python import in_python
from dolphin.strategies.breakout import BREAKOUT, EDGE, LEFT, BreakoutParams, follow

FREE = Friction(slippage_bps=0.0, fee_bps=0.0, maker_fee_bps=0.0, fill_model="bar_range")
REASONS = BREAKOUT.reasons


def varied(seed: int) -> BreakoutParams:
    rng = np.random.default_rng(seed)
    return BreakoutParams(
        channel=int(rng.integers(2, 30)),
        range_bars=int(rng.integers(1, 15)),
        risk=float(rng.choice([0.005, 0.05])),
        max_share=float(rng.choice([0.5, 15.0])),
        max_positions=int(rng.integers(1, 5)),
        stop_atr=float(rng.choice([0.5, 2.0])),
        target_atr=float(rng.choice([1.0, 3.0])),
        trail_bars=int(rng.integers(1, 6)),
        max_hold_bars=int(rng.integers(5, 60)),
        direction=str(rng.choice(["long_only", "bidirectional", "short_only"])),
    )


def most_open(case: Case, run: SlowRun) -> int:
    """The largest number of positions after any bar, from the fills."""
    lot, held = case.market["instruments"]["lot"], Counter[int]()
    most, bar = 0, -1
    for fill in [*sorted(run.fills, key=lambda f: f.bar), None]:
        if fill is None or fill.bar != bar:
            most = max(most, sum(lots != 0 for lots in held.values()))
        if fill is not None:
            bar = fill.bar
            held[fill.slot] += fill.direction * round(fill.qty / lot[fill.asset])
    return most


@pytest.mark.slow
def test_it_agrees_with_its_plain_python_in_every_way_of_running() -> None:
    reasons: Counter[str] = Counter()
    for seed in range(16):
        model, timing = ("bar_range", "volume_share")[seed % 2], ("close", "next")[seed // 2 % 2]
        friction = Friction(fill_model=model, timing=timing, maintenance=0.1, volume_share=0.3, maker_fee_bps=1.0)
        params = varied(seed)
        case, slow, _ = run_both(BREAKOUT, params, random_market(seed), friction)
        assert_one_run(BREAKOUT, params, case)
        assert most_open(case, slow) <= params.max_positions, seed
        reasons.update(REASONS[trade.reason] for trade in slow.trades)
        if timing == "close":
            assert not any(code for row in slow.refused for code in row)
    assert min(reasons[name] for name in REASONS if name not in ("", "LIQUIDATION")) > 3


def test_it_needs_no_more_history_than_it_says() -> None:
    for seed in (0, 2, 4, 6):
        params = varied(seed)
        assert_warm(BREAKOUT, params, case_of(BREAKOUT, params, random_market(seed), FREE), 60)


@pytest.mark.parametrize("channel", [2, 3, 10, 40])
@pytest.mark.parametrize("side", [1, -1])
def test_the_edge_is_that_of_the_last_rows_wherever_one_begins(channel: int, side: int) -> None:
    rng = np.random.default_rng(channel)
    values = np.round(100.0 + np.cumsum(rng.standard_normal((300, 1)), axis=0))
    values[:23] = np.nan
    for begin in (0, 20, 150):
        memory = [0.0, 0.0]
        for i in range(begin, 300):
            in_python(follow)(memory, 0, values, side, 0, channel, i)
            window = values[max(i - channel + 1, 0) : i + 1, 0]
            known = len(window) == channel and not np.isnan(window).any()
            assert memory[EDGE] == ((window.max() if side > 0 else window.min()) if known else 0.0)
            if known:
                latest = np.flatnonzero(window == memory[EDGE])[-1]
                assert memory[LEFT] == latest + 1


def by_hand(closes: list[float], **values: Any) -> SlowRun:
    often = {
        "channel": 4, "range_bars": 4, "stop_atr": 1.0, "target_atr": 3.0, "trail_bars": 2, "direction": "long_only",
        "risk": 0.01, "max_share": 10.0,
    }  # fmt: skip
    params = BreakoutParams(**(often | values))
    return run_slow(case_of(BREAKOUT, params, hand_market([[x] for x in closes], wide=0.5), FREE))


def test_it_buys_a_tick_above_the_channel_and_risks_its_share() -> None:
    # Highs of 100.5; average true range 1 before. The bar that breaks out opens at 100 and reaches 102.5.
    run = by_hand([100.0] * 6 + [102.0, 102.0])
    assert [(f.bar, f.direction, f.price) for f in run.fills] == [(6, 1, 100.51)]
    assert run.fills[0].qty == pytest.approx(0.01 * CAPITAL / 1.0, abs=0.001)
    # The bracket of bar 6: true ranges 1, 1, 1 and 3, so 1.5 on average; it was not reached, nor moved, at bar 7.
    order = run.working[0]
    assert (order.trigger, order.limit) == (pytest.approx(99.01), pytest.approx(105.01))


def test_the_bracket_trails_and_is_filled_at_its_stop() -> None:
    run = by_hand([100.0] * 6 + [102.0, 103.0, 104.0, 104.0, 101.0])
    assert [(t.entry_bar, t.exit_bar, REASONS[t.reason]) for t in run.trades] == [(6, 10, "BRACKET")]
    # At bar 8 the ranges are 1, 3, 2 and 2: the stop goes to 104 - 2, above the entry.
    assert run.trades[0].exit_price == pytest.approx(102.0) and run.trades[0].pnl > 0.0


def test_the_target_is_a_limit() -> None:
    run = by_hand([100.0] * 6 + [102.0, 102.0, 106.0, 106.0])
    assert [(t.exit_bar, t.exit_price) for t in run.trades] == [(8, pytest.approx(105.01))]


def test_what_falls_through_its_stop_before_there_is_one_is_closed_at_once() -> None:
    market = hand_market([[100.0]] * 6 + [[97.0], [97.0]], wide=0.5)
    market["high"][6] = 101.0  # it broke out, and came back far below
    params = BreakoutParams(channel=4, range_bars=4, stop_atr=1.0, target_atr=3.0, direction="long_only")
    run = run_slow(case_of(BREAKOUT, params, market, FREE))
    assert [(t.entry_bar, t.exit_bar, REASONS[t.reason]) for t in run.trades] == [(6, 6, "STOP_LOSS")]


def test_only_the_nearest_to_their_edges_have_orders() -> None:
    market = hand_market([[100.0, 100.0, 100.0]] * 6 + [[100.0, 100.4, 99.7]])
    market["high"][:], market["low"][:] = 101.0, 99.0
    params = BreakoutParams(channel=4, range_bars=4, max_positions=2)
    run = run_slow(case_of(BREAKOUT, params, market, FREE))
    assert [(order.action, order.side) for order in run.working] == [(0, 0), (1, 1), (1, -1)]
    assert [order.trigger for order in run.working[1:]] == [101.01, 98.99]
