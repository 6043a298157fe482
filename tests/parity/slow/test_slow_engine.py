"""The slow engine on cases small enough to work out on paper; every number here was."""

from __future__ import annotations

import math
from typing import Any

import pytest
from reference.scripted import case_of, run

from dolphin.parity.slow.book import CANCEL, CLOSE, INCREASE, OPEN, REDUCE, REVERSE
from dolphin.parity.slow.engine import SlowRun, run_slow
from dolphin.parity.slow.fills import BRACKET, LIMIT, MARKET, STOP
from dolphin.parity.slow.grid import Step


def wish(action: int, side: int, qty: float, **rest: Any) -> dict[str, Any]:
    return {"action": action, "side": side, "qty": qty, **rest}


BUY_2 = wish(OPEN, 1, 2.0)
SELL_2 = wish(OPEN, -1, 2.0)


def prices_of(result: SlowRun) -> list[tuple[int, int, float, float]]:
    return [(fill.bar, fill.direction, fill.qty, fill.price) for fill in result.fills]


# The grid.


def test_rounding_goes_against_us_and_forgives_a_hair() -> None:
    tick = Step(0.1, 1.0, 10.0)
    assert [tick.above(x) for x in (0.3, 0.1 + 0.2, 0.31, 0.3 + 1e-11)] == [0.3, 0.3, 0.4, 0.3]
    assert [tick.below(x) for x in (0.3, 0.7 - 1e-11, 0.69)] == [0.3, 0.7, 0.6]
    assert Step(5.0, 5.0, 1.0).above(101.0) == 105.0
    assert Step(0.25, 25.0, 100.0).below(1.99) == 1.75


def test_the_hair_grows_with_the_number_of_steps() -> None:
    # 2**42 + 2**-9 of a lot: beyond 1e-9, but 2**-9 is 2**42 * 2**-51, which is rounding.
    assert Step(1.0, 1.0, 1.0).above(2.0**42 + 2.0**-9) == 2.0**42
    assert Step(1.0, 1.0, 1.0).above(2.0**42 + 2.0**-8) == 2.0**42 + 1.0


def test_what_is_on_the_grid_is_so_by_bits() -> None:
    lot = Step(0.001, 1.0, 1000.0)
    assert lot.holds(0.3) and not lot.holds(3 * 0.1)
    assert lot.subtract(0.3, 0.1) == 0.2 != 0.3 - 0.1
    assert lot.add(0.1, 0.2) == 0.3 != 0.1 + 0.2
    assert not lot.holds(math.inf) and not lot.holds(math.nan)


# Market orders and money.


def test_a_round_trip_pays_slippage_to_the_tick_and_two_fees() -> None:
    result = run(
        [100.0, 110.0],
        {0: [BUY_2 | {"leverage": 0.2}], 1: [wish(CLOSE, 1, 2.0, reason=1)]},
        slippage_bps=10.0,
        fee_bps=10.0,
    )
    # 100 * 1.001 = 100.1; 110 * 0.999 = 109.89, down to 109.8; fees 0.2002 and 0.2196.
    assert prices_of(result) == [(0, 1, 2.0, 100.1), (1, -1, 2.0, 109.8)]
    (trade,) = result.trades
    assert (trade.entry_bar, trade.exit_bar, trade.side, trade.reason, trade.leverage) == (0, 1, 1, 1, 0.2)
    assert trade.pnl == pytest.approx(19.4 - 0.2002 - 0.2196, abs=1e-12)
    assert trade.pnl_pct == pytest.approx(18.9802 / 200.2, abs=1e-12)
    assert (trade.capital_before, trade.capital_after) == (1000.0, pytest.approx(1018.9802, abs=1e-12))
    assert result.capital == pytest.approx([999.7998, 1018.9802], abs=1e-12)


def test_a_short_is_slipped_the_other_way() -> None:
    result = run([100.0, 90.0], {0: [SELL_2], 1: [wish(CLOSE, -1, 2.0)]}, slippage_bps=15.0)
    # 99.85 down to 99.8; 90.135 up to 90.2.
    assert prices_of(result) == [(0, -1, 2.0, 99.8), (1, 1, 2.0, 90.2)]
    assert result.trades[0].pnl == pytest.approx(19.2, abs=1e-12)


def test_timing_next_fills_a_bar_later_and_makes_that_bar_busy() -> None:
    seen: list[Any] = []
    close = wish(CLOSE, 1, 2.0)
    result = run([100.0, 101.0, 102.0, 103.0], {0: [BUY_2], 1: [close], 2: [close]}, timing="next", seen=seen)
    assert prices_of(result) == [(1, 1, 2.0, 101.0), (3, -1, 2.0, 103.0)]
    assert [row[0] for row in result.refused] == [0, 2, 0, 0]
    assert [codes[0] for codes, _, _ in seen] == [0, 0, 2, 0]
    assert result.trades[0][:2] == (1, 3)


def test_the_mark_keeps_equity_peak_drawdown_and_ruin() -> None:
    result = run([100.0, 140.0, 70.0, 45.0], {0: [wish(OPEN, 1, 20.0)], 3: [wish(CLOSE, 1, 20.0)]})
    assert result.equity == [1000.0, 1800.0, 400.0, -100.0]
    assert result.capital == [1000.0, 1000.0, 1000.0, -100.0]
    account = result.account
    assert (account.peak_equity, account.ruined) == (1800.0, 1)
    assert account.max_drawdown == pytest.approx(1900.0 / 1800.0, abs=1e-15)


def test_slots_share_the_capital_and_mark_together() -> None:
    script = {0: [BUY_2, wish(OPEN, -1, 5.0, asset=1, slot=1)], 1: [wish(CLOSE, -1, 5.0, asset=1, slot=1)]}
    result = run([[100.0, 50.0], [110.0, 40.0]], script, slots="assets", fee_bps=100.0)
    # Fees 2 and 2.5; then the short earns 50 and pays 2; the long is 20 up.
    assert result.capital == pytest.approx([995.5, 1043.5], abs=1e-12)
    assert result.equity[-1] == pytest.approx(1063.5, abs=1e-12)
    assert [slot.side for slot in result.slots] == [1, 0]
    assert result.account.open_positions == 1


# Changing a position.


def test_a_reduction_realises_pro_rata_and_is_a_trade() -> None:
    script = {0: [wish(OPEN, 1, 4.0)], 1: [wish(REDUCE, 1, 1.0, reason=2)]}
    result = run([100.0, 110.0], script, fee_bps=100.0)
    # Entry fee 4, a quarter of it is 1; gross 10; exit fee 1.1.
    (trade,) = result.trades
    assert (trade.qty, trade.reason) == (1.0, 2)
    assert trade.pnl == pytest.approx(7.9, abs=1e-12)
    assert trade.pnl_pct == pytest.approx(0.079, abs=1e-12)
    assert result.account.capital == pytest.approx(1000.0 - 4.0 + 10.0 - 1.1, abs=1e-12)
    (slot,) = result.slots
    assert (slot.qty, slot.entry_price, slot.entry_fee, slot.entry_bar) == (3.0, 100.0, 3.0, 0)


def test_an_increase_averages_the_entry_and_keeps_bar_and_leverage() -> None:
    script = {0: [wish(OPEN, 1, 1.0, leverage=0.1)], 1: [wish(INCREASE, 1, 3.0, leverage=0.7)]}
    (slot,) = run([100.0, 120.0], script, fee_bps=100.0).slots
    assert (slot.qty, slot.entry_price, slot.entry_bar, slot.leverage) == (4.0, 115.0, 0, 0.1)
    assert slot.entry_fee == pytest.approx(1.0 + 3.6, abs=1e-12)


def test_a_reversal_splits_its_fee_by_quantity() -> None:
    script = {0: [BUY_2], 1: [wish(REVERSE, -1, 3.0, leverage=0.33)]}
    result = run([100.0, 110.0], script, fee_bps=100.0)
    # Trades 5 at 110 for a fee of 5.5: 2.2 closes, 3.3 opens. 1000 - 2 + 20 - 2.2 = 1015.8.
    assert prices_of(result)[1] == (1, -1, 5.0, 110.0)
    (trade,) = result.trades
    assert trade.pnl == pytest.approx(20.0 - 2.0 - 2.2, abs=1e-12)
    assert trade.capital_after == pytest.approx(1015.8, abs=1e-12)
    (slot,) = result.slots
    assert (slot.side, slot.qty, slot.entry_price, slot.entry_bar, slot.leverage) == (-1, 3.0, 110.0, 1, 0.33)
    assert slot.entry_fee == pytest.approx(3.3, abs=1e-12)
    assert slot.capital_before == trade.capital_after
    assert result.account.capital == pytest.approx(1012.5, abs=1e-12)


# Limits and stops.


@pytest.mark.parametrize(
    ("model", "low", "filled"),
    [("bar_range", 99.0, False), ("bar_range", 98.9, True), ("touch", 99.0, True), ("touch", 99.1, False)],
)
def test_a_limit_needs_a_trade_through_unless_a_touch_is_enough(model: str, low: float, filled: bool) -> None:
    bars = [(100.0, 100.0, 100.0), (100.0, 100.5, low)]
    script = {0: [BUY_2 | {"kind": LIMIT, "limit": 99.0}]}
    result = run([100.0, 100.2], script, bars=bars, fill_model=model)
    assert prices_of(result) == ([(1, 1, 2.0, 99.0)] if filled else [])
    assert result.working[0].action == (0 if filled else OPEN)


@pytest.mark.parametrize(("price", "filled"), [(101.0, False), (101.1, True)])
def test_under_scan_price_a_sell_limit_needs_the_scan_price_one_tick_above(price: float, filled: bool) -> None:
    script = {0: [SELL_2 | {"kind": LIMIT, "limit": 101.0}]}
    bars = [(100.0, 150.0, 50.0)] * 2
    result = run([100.0, price], script, bars=bars, maker_fee_bps=50.0, fee_bps=100.0)
    assert prices_of(result) == ([(1, -1, 2.0, 101.0)] if filled else [])
    # The passive fee: half a percent of 202.
    assert [fill.fee for fill in result.fills] == pytest.approx([1.01] if filled else [], abs=1e-12)


def test_a_new_limit_waits_for_the_next_bar_even_if_the_price_is_through() -> None:
    script = {0: [BUY_2 | {"kind": LIMIT, "limit": 105.0}]}
    assert prices_of(run([100.0, 104.9], script)) == [(1, 1, 2.0, 105.0)]


@pytest.mark.parametrize(("opening", "fill"), [(96.0, 94.9), (92.0, 91.9), (95.0, 94.9)])
def test_a_stop_fills_at_the_worse_of_trigger_and_open(opening: float, fill: float) -> None:
    script = {0: [BUY_2], 1: [wish(CLOSE, 1, 2.0, kind=STOP, trigger=95.0, reason=1)]}
    bars = [(100.0, 100.0, 100.0)] * 2 + [(opening, 97.0, 91.0)]
    result = run([100.0, 100.0, 93.0], script, bars=bars, fill_model="bar_range", slippage_bps=5.0, fee_bps=100.0)
    # Slipped by 5 bps and down to the tick: 94.9525 and 91.954; the taker fee.
    assert prices_of(result)[1] == (2, -1, 2.0, fill)
    assert result.fills[1].fee == pytest.approx(0.02 * fill, abs=1e-12)
    assert result.trades[0].reason == 1


def test_under_scan_price_a_buy_stop_fills_at_the_scan_price() -> None:
    script = {0: [BUY_2 | {"kind": STOP, "trigger": 103.0}]}
    bars = [(100.0, 110.0, 90.0)] * 3
    # 102.9 does not reach it, whatever the high; 104 * 1.001 = 104.104, up to 104.2.
    assert prices_of(run([100.0, 102.9, 104.0], script, bars=bars, slippage_bps=10.0)) == [(2, 1, 2.0, 104.2)]


@pytest.mark.parametrize(
    ("high", "low", "fill"),
    [(106.0, 94.0, 95.0), (105.1, 95.1, 105.0), (104.9, 95.0, 95.0), (105.0, 95.1, None)],
)
def test_a_bracket_reached_on_both_sides_fills_as_the_stop(high: float, low: float, fill: float | None) -> None:
    protect = wish(CLOSE, 1, 2.0, kind=BRACKET, limit=105.0, trigger=95.0)
    bars = [(100.0, 100.0, 100.0)] * 2 + [(100.0, high, low)]
    result = run([100.0] * 3, {0: [BUY_2], 1: [protect]}, bars=bars, fill_model="bar_range", fee_bps=100.0)
    assert prices_of(result)[1:] == ([] if fill is None else [(2, -1, 2.0, fill)])
    if fill is not None:
        # No maker fee is charged here, so the limit is free and the stop is not.
        assert result.fills[1].fee == pytest.approx(1.9 if fill == 95.0 else 0.0, abs=1e-12)
        assert result.working[0].action == 0


@pytest.mark.parametrize(("reached", "filled"), [(1, True), (2, True), (3, False)])
def test_an_order_expires_after_the_matching_of_its_last_bar(reached: int, filled: bool) -> None:
    prices = [100.0] * 5
    prices[reached] = 98.9
    seen: list[Any] = []
    result = run(prices, {0: [BUY_2 | {"kind": LIMIT, "limit": 99.0, "expires": 2}]}, seen=seen)
    assert prices_of(result) == ([(reached, 1, 2.0, 99.0)] if filled else [])
    assert [work[0][0] for _, work, _ in seen[:3]] == [0, OPEN if reached > 1 else 0, 0]


def test_without_a_real_price_only_market_orders_fill() -> None:
    limit = BUY_2 | {"kind": LIMIT, "limit": 99.0}
    assert prices_of(run([100.0, 98.0, 98.0], {0: [limit]}, age=[0, 1, 0])) == [(2, 1, 2.0, 99.0)]
    assert prices_of(run([100.0, 100.0], {1: [BUY_2]}, age=[0, 1])) == [(1, 1, 2.0, 100.0)]


# Working orders.


def test_a_new_order_replaces_the_old_one_but_a_refused_one_does_not() -> None:
    first, second = BUY_2 | {"kind": LIMIT, "limit": 99.0}, wish(OPEN, 1, 3.0, kind=LIMIT, limit=98.0)
    refused = wish(OPEN, 1, 4.0, kind=LIMIT, limit=97.05)
    result = run([100.0, 100.0, 100.0, 97.0], {0: [first], 1: [second], 2: [refused]})
    assert [row[0] for row in result.refused] == [0, 0, 15, 0]
    assert prices_of(result) == [(3, 1, 3.0, 98.0)]


def test_cancel_and_a_market_order_both_remove_the_working_one() -> None:
    stop = wish(CLOSE, 1, 2.0, kind=STOP, trigger=95.0)
    result = run([100.0, 100.0, 100.0, 90.0], {0: [BUY_2], 1: [stop], 2: [{"action": CANCEL}]})
    assert (result.slots[0].side, result.working[0].action) == (1, 0)
    more = wish(INCREASE, 1, 1.0)
    result = run([100.0, 100.0, 100.0, 90.0], {0: [BUY_2], 1: [stop], 2: [more]})
    assert (result.slots[0].qty, result.working[0].action) == (3.0, 0)


# Parts.


def test_under_volume_share_the_rest_works_on() -> None:
    seen: list[Any] = []
    result = run(
        [100.0, 101.0, 102.0, 103.0],
        {0: [wish(OPEN, 1, 10.0)]},
        volume=[40.0, 0.0, 25.009, 900.0],
        fill_model="volume_share",
        volume_share=0.1,
        seen=seen,
    )
    # Shares of 4, nothing, 2.5009 down to 2.5, and 90 of which 3.5 are left to want.
    assert prices_of(result) == [(0, 1, 4.0, 100.0), (2, 1, 2.5, 102.0), (3, 1, 3.5, 103.0)]
    assert [work[0] for _, work, _ in seen] == [(0, 0.0), (INCREASE, 6.0), (INCREASE, 3.5), (0, 0.0)]
    assert result.slots[0].entry_bar == 0
    assert result.slots[0].entry_price == pytest.approx((400.0 + 255.0 + 360.5) / 10.0, abs=1e-12)


def test_a_reversal_in_parts_closes_first_and_opens_with_the_rest() -> None:
    script = {0: [BUY_2], 1: [wish(REVERSE, -1, 3.0)]}
    seen: list[Any] = []
    result = run(
        [100.0, 110.0, 112.0, 114.0, 116.0],
        script,
        volume=[90.0, 1.5, 0.5, 1.0, 9.0],
        fill_model="volume_share",
        volume_share=1.0,
        seen=seen,
    )
    assert prices_of(result)[1:] == [
        (1, -1, 1.5, 110.0),
        (2, -1, 0.5, 112.0),
        (3, -1, 1.0, 114.0),
        (4, -1, 2.0, 116.0),
    ]
    assert [(trade.qty, trade.pnl) for trade in result.trades] == [(1.5, 15.0), (0.5, 6.0)]
    # At bar 1 half a unit is old still: the order is a REVERSE to 3; at bar 2 it has closed and opens.
    assert [work[0] for _, work, _ in seen[2:]] == [(OPEN, 3.0), (INCREASE, 2.0), (0, 0.0)]
    assert (result.slots[0].side, result.slots[0].qty, result.slots[0].entry_bar) == (-1, 3.0, 3)


# Funding and margin.


@pytest.mark.parametrize(("side", "payment"), [(1, -0.2), (-1, 0.2)])
def test_longs_pay_a_positive_rate_and_shorts_receive_it(side: int, payment: float) -> None:
    script = {0: [wish(OPEN, side, 4.0)], 2: [wish(REDUCE, side, 1.0)]}
    # The first rate finds no position yet, the second is not a number, the third is paid on 4 at 50.
    result = run([50.0, 50.0, 50.0], script, funding=[0.01, math.nan, 0.001])
    assert result.payments == pytest.approx([payment], abs=1e-15)
    assert result.account.funding_paid == pytest.approx(payment, abs=1e-15)
    assert result.account.capital == pytest.approx(1000.0 + payment, abs=1e-12)
    # A quarter of it goes with the reduction, beside its P&L.
    assert (result.trades[0].pnl, result.trades[0].funding) == (0.0, pytest.approx(payment / 4, abs=1e-15))
    assert result.slots[0].funding == pytest.approx(0.75 * payment, abs=1e-15)


@pytest.mark.parametrize(("price", "liquidated"), [(90.0, False), (89.1, False), (89.0, True)])
def test_liquidation_closes_all_when_equity_is_not_above_the_need(price: float, liquidated: bool) -> None:
    # 50 at 100.1 for a fee of 50.05: at 89.1 equity is 449.95 against 445.5, at 89 it is 444.95 against 445.
    script = {0: [wish(OPEN, 1, 50.0)], 1: [wish(CLOSE, 1, 50.0, kind=LIMIT, limit=120.0)]}
    result = run([100.0, 100.0, price], script, maintenance=0.1, slippage_bps=10.0, fee_bps=100.0, capital=1050.0)
    assert (result.slots[0].side == 0) == liquidated
    assert (result.working[0].action == 0) == liquidated
    if liquidated:
        # 89 * 0.999 = 88.911, down to 88.9, for a fee of 44.45.
        assert prices_of(result)[-1] == (2, -1, 50.0, 88.9)
        assert result.trades[0].reason == 3
        assert result.account.capital == pytest.approx(1050.0 - 50.05 - 560.0 - 44.45, abs=1e-9)


# Refusals.

FLAT: list[tuple[int, dict[str, Any]]] = [
    (1, wish(7, 1, 1.0)),
    (1, wish(-1, 1, 1.0)),
    (1, wish(OPEN, 1, 1.0, kind=4)),
    (3, wish(CLOSE, 1, 1.0)),
    (3, wish(INCREASE, 1, 1.0)),
    (3, wish(REDUCE, 1, 1.0)),
    (3, wish(REVERSE, 1, 1.0)),
    (5, {"action": CANCEL}),
    (6, wish(OPEN, 1, 1.0, asset=2)),
    (6, wish(OPEN, 1, 1.0, asset=-1)),
    (6, wish(OPEN, 1, 1.0, asset=1)),
    (8, wish(OPEN, 0, 1.0)),
    (8, wish(OPEN, 2, 1.0)),
    (9, wish(OPEN, 1, 0.0)),
    (9, wish(OPEN, 1, -1.0)),
    (9, wish(OPEN, 1, math.nan)),
    (9, wish(OPEN, 1, math.inf)),
    (10, wish(OPEN, 1, 1.0005)),
    (10, wish(OPEN, 1, 3 * 0.1)),
    (12, wish(OPEN, 1, 1.0, reduce_only=1)),
    (13, wish(OPEN, 1, 0.049)),
    (0, wish(OPEN, 1, 0.05)),
    (15, wish(OPEN, 1, 1.0, kind=LIMIT, limit=99.05)),
    (15, wish(OPEN, 1, 1.0, kind=LIMIT, limit=0.0)),
    (15, wish(OPEN, 1, 1.0, kind=LIMIT, limit=math.inf)),
    (15, wish(OPEN, 1, 1.0, kind=STOP, limit=99.0, trigger=math.nan)),
    (0, wish(OPEN, 1, 1.0, kind=STOP, limit=-1.0, trigger=100.1)),
    (15, wish(OPEN, 1, 1.0, kind=BRACKET, limit=99.0, trigger=101.05)),
    (16, wish(OPEN, 1, 1.0, kind=LIMIT, limit=100.0, post_only=1)),
    (0, wish(OPEN, 1, 1.0, kind=LIMIT, limit=99.9, post_only=1)),
    (0, wish(OPEN, 1, 1.0, kind=LIMIT, limit=100.0)),
    (16, wish(OPEN, -1, 1.0, kind=BRACKET, limit=99.0, trigger=98.0, post_only=1)),
    (17, wish(OPEN, 1, 1.0, kind=STOP, trigger=100.0)),
    (17, wish(OPEN, -1, 1.0, kind=STOP, trigger=100.0)),
    (0, wish(OPEN, -1, 1.0, kind=STOP, trigger=99.9)),
    (18, wish(OPEN, 1, 1.0, kind=BRACKET, limit=102.0, trigger=101.0)),
    (18, wish(OPEN, -1, 1.0, kind=BRACKET, limit=99.0, trigger=99.0)),
    (0, wish(OPEN, -1, 1.0, kind=BRACKET, limit=101.0, trigger=99.0)),
]

HELD: list[tuple[int, dict[str, Any]]] = [
    (4, wish(OPEN, 1, 1.0)),
    (7, wish(CLOSE, 1, 2.0, asset=1)),
    (7, wish(CLOSE, -1, 2.0)),
    (7, wish(INCREASE, -1, 2.0)),
    (7, wish(REVERSE, 1, 2.0)),
    (0, wish(REVERSE, -1, 2.0)),
    (10, wish(REDUCE, 1, 0.0005)),
    (11, wish(CLOSE, 1, 1.0)),
    (11, wish(CLOSE, 1, 3.0)),
    (11, wish(REDUCE, 1, 2.0)),
    (11, wish(REDUCE, 1, 1e25)),
    (0, wish(REDUCE, 1, 1.999, reduce_only=1)),
    (12, wish(INCREASE, 1, 1.0, reduce_only=1)),
    (13, wish(REVERSE, -1, 0.01)),
    (0, wish(CLOSE, 1, 2.0, kind=STOP, trigger=99.9)),
    (17, wish(CLOSE, 1, 2.0, kind=STOP, trigger=100.0)),
    (16, wish(CLOSE, 1, 2.0, kind=LIMIT, limit=100.0, post_only=1)),
    (18, wish(CLOSE, 1, 2.0, kind=BRACKET, limit=98.0, trigger=99.0)),
]


@pytest.mark.parametrize(("code", "asked"), FLAT)
def test_refusals_of_a_flat_slot(code: int, asked: dict[str, Any]) -> None:
    result = run([[100.0, math.nan]], {0: [asked]})
    assert result.refused == [[code]]
    assert bool(result.fills or result.working[0].action) == (code == 0)


@pytest.mark.parametrize(("code", "asked"), HELD)
def test_refusals_of_a_slot_that_holds_two(code: int, asked: dict[str, Any]) -> None:
    result = run([[100.0, 50.0]] * 2, {0: [BUY_2], 1: [asked]})
    assert result.refused == [[0], [code]]
    assert (len(result.fills) == 1 and result.working[0].action == 0) == (code != 0)


@pytest.mark.parametrize(
    ("asked", "declared"),
    [
        (wish(OPEN, 1, 1.0, kind=LIMIT, limit=99.0), {"orders": ("stop",)}),
        (wish(OPEN, 1, 1.0, kind=STOP, trigger=101.0), {"orders": ("limit",)}),
        (wish(OPEN, 1, 1.0, kind=BRACKET, limit=99.0, trigger=101.0), {"orders": ("limit",)}),
        (wish(REDUCE, 1, 1.0), {"resize": False}),
    ],
)
def test_what_was_not_declared_is_refused_before_all_else(asked: dict[str, Any], declared: dict[str, Any]) -> None:
    assert run([100.0], {0: [asked]}, **declared).refused == [[1]]
    assert run([100.0], {0: [asked]}).refused == [[3 if asked["action"] == REDUCE else 0]]


def test_without_capital_nothing_opens_but_a_position_can_be_closed() -> None:
    script = {
        0: [wish(OPEN, 1, 20.0), BUY_2 | {"slot": 1}],
        1: [wish(CLOSE, 1, 20.0)],
        2: [BUY_2, wish(INCREASE, 1, 2.0, slot=1)],
        3: [wish(CLOSE, 1, 2.0, slot=1)],
    }
    result = run([100.0, 40.0, 40.0, 40.0], script, slots=2)
    assert result.capital == [1000.0, -200.0, -200.0, -320.0]
    assert result.refused == [[0, 0], [0, 0], [14, 14], [0, 0]]
    assert result.account.ruined == 1


def test_a_case_cut_short_is_the_beginning_of_the_run() -> None:
    case = case_of([100.0, 101.0, 102.0, 103.0], {0: [BUY_2], 2: [wish(CLOSE, 1, 2.0, kind=MARKET)]})
    whole, cut = run_slow(case), run_slow(case.first(2))
    assert cut.equity == whole.equity[:2] == [1000.0, 1002.0]
    assert len(whole.trades) == 1 and not cut.trades
