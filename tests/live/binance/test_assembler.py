from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dolphin.catalog.store.filling import Filler
from dolphin.live.binance.assembler import Assembler

MINUTE = 60_000


def feed(assembler, bars, now=0.0):
    return [row for column, minute, price in bars for row in assembler.bar(column, minute * MINUTE, price, now)]


def test_a_row_closes_when_its_last_symbol_comes():
    one = Assembler(2, MINUTE, last_ms=0)
    assert feed(one, [(1, 1, 20.0)]) == []
    (row,) = feed(one, [(0, 1, 10.0)])
    assert (row.close_ms, row.price.tolist(), row.age.tolist(), row.came, row.trade) == (
        MINUTE,
        [10, 20],
        [0, 0],
        2,
        True,
    )


def test_a_row_closes_at_its_deadline_by_the_exchanges_time():
    one = Assembler(2, MINUTE, deadline_ms=1500, last_ms=0, price=[5.0, 6.0], age=[0, 3])
    assert feed(one, [(0, 1, 10.0)], now=7_000.0) == []
    assert one.wait_ms(7_000.0) == 1500.0 and one.due(8_499.0) == []
    (row,) = one.due(8_500.0)
    assert row.price.tolist() == [10.0, 6.0] and row.age.tolist() == [0, 4] and row.trade
    assert one.wait_ms(8_500.0) is None


def test_a_later_bar_closes_what_waits_whatever_this_machines_clock_says():
    one = Assembler(2, MINUTE, last_ms=0)
    feed(one, [(0, 1, 10.0)])
    (row,) = feed(one, [(0, 2, 11.0)])
    assert row.close_ms == MINUTE and row.age.tolist() == [0, -1]


def test_minutes_that_nobody_told_of_are_rows_without_trading():
    one = Assembler(1, MINUTE, last_ms=0, price=[5.0], age=[0])
    rows = feed(one, [(0, 3, 10.0)])
    assert [(row.close_ms // MINUTE, row.trade, row.age[0]) for row in rows] == [
        (1, False, 1),
        (2, False, 2),
        (3, True, 0),
    ]


def test_late_repeated_and_corrected_bars_change_nothing_and_are_told():
    one = Assembler(2, MINUTE, last_ms=0)
    feed(one, [(0, 1, 10.0), (0, 1, 10.0), (0, 1, 12.0), (1, 1, 20.0), (1, 1, 21.0)])
    one.bar(0, 1234, 1.0, 0.0)
    assert [late.why for late in one.late] == ["repeated", "corrected", "late", "off the grid"]
    (row,) = feed(one, [(0, 2, 11.0), (1, 2, 22.0)])
    assert row.price.tolist() == [11.0, 22.0]


def told(closes):
    """Closes by minute and column as what was asked for."""
    return {
        minute * MINUTE: {column: (price, ()) for column, price in bars.items()} for minute, bars in closes.items()
    }  # fmt: skip


def test_what_was_asked_for_brings_its_columns():
    one = Assembler(2, MINUTE, last_ms=0, price=[1.0, 2.0], age=[0, 0], columns=("open", "volume"), asks=True)
    assert one.bar(0, 2 * MINUTE, 12.0, 0.0, (11.5, 7.0)) == []
    rows = one.fill({MINUTE: {0: (11.0, (10.5, 5.0))}, 2 * MINUTE: {1: (22.0, (21.5, 3.0))}}, 100.0)
    assert [row.more.tolist() for row in rows] == [[[10.5, 2.0], [5.0, 0.0]], [[11.5, 21.5], [7.0, 3.0]]]


def test_rows_wait_behind_a_hole_for_what_is_asked_and_are_then_real_but_not_traded_on():
    one = Assembler(2, MINUTE, last_ms=0, price=[1.0, 2.0], age=[0, 0], asks=True)
    assert feed(one, [(0, 1, 10.0)]) == [] and not one.held
    assert feed(one, [(0, 3, 12.0), (1, 3, 22.0)], now=5.0) == []  # whole, and yet it waits
    assert one.held and one.holes() == [MINUTE, 2 * MINUTE] and one.lacking(one.holes()) == [0, 1]
    rows = one.fill(told({1: {0: 99.0, 1: 20.0}, 2: {0: 11.0, 1: 21.0}}), 100.0)
    assert [row.price.tolist() for row in rows] == [[10.0, 20.0], [11.0, 21.0], [12.0, 22.0]]
    assert [row.trade for row in rows] == [False, False, True] and not one.held


def test_without_an_answer_rows_close_at_the_deadline_and_what_comes_then_is_late():
    one = Assembler(1, MINUTE, last_ms=0, price=[1.0], age=[0], asks=True)
    assert feed(one, [(0, 2, 12.0)], now=0.0) == [] and one.wait_ms(0.0) == 1500.0
    rows = one.due(1500.0)
    assert [(row.price[0], row.age[0], row.trade) for row in rows] == [(1.0, 1, False), (12.0, 0, True)]
    assert one.fill(told({1: {0: 11.0}}), 1600.0) == [] and [late.why for late in one.late] == ["late"]
    assert one.fill({}, 1700.0) == []


def test_what_was_asked_for_in_time_is_traded_on_and_beyond_the_deadline_it_is_not():
    for after, clock, trade in ((1200.0, 0.0, True), (1600.0, 0.0, False), (1200.0, 2 * MINUTE + 9e5, False)):
        one = Assembler(1, MINUTE, last_ms=0, price=[1.0], age=[0], asks=True)
        feed(one, [(0, 1, 10.0)], now=0.0)
        assert one.next_close() == 2 * MINUTE and one.next_close(2 * MINUTE) == 3 * MINUTE
        (row,) = one.fill(told({2: {0: 11.0}}), MINUTE + after, clock)
        assert row.trade == trade and row.price[0] == 11.0


@given(st.data())
def test_rows_are_the_catalogs_fill_of_what_came_in_time_in_any_order(data):
    assets, minutes = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 8))
    here = data.draw(
        st.lists(st.lists(st.booleans(), min_size=assets, max_size=assets), min_size=minutes, max_size=minutes)
    )
    close = np.array(
        [[100.0 * (j + 1) + k if there else np.nan for j, there in enumerate(row)] for k, row in enumerate(here)]
    )
    one = Assembler(assets, MINUTE, last_ms=0)
    rows = []
    for k in range(minutes):
        came = [(j, k + 1, close[k, j]) for j in range(assets) if here[k][j]]
        again = data.draw(st.lists(st.sampled_from(came), max_size=3)) if came else []
        old = (
            [
                (j, data.draw(st.integers(1, k)), 1.0)
                for j in data.draw(st.lists(st.integers(0, assets - 1), max_size=2))
            ]
            if k
            else []
        )
        # What is old may come at any moment once its row is closed: that is when a bar of this minute has come.
        order = data.draw(st.permutations(came + again))
        rows += feed(one, order[:1]) + feed(one, old if order else []) + feed(one, order[1:])
    rows += one.due(1e12)
    last = max((k for k in range(minutes) if any(here[k])), default=-1) + 1
    expected, age = close[:last].copy(), np.empty((last, assets), np.int32)
    if last:
        Filler(assets)(expected, age)
    assert [row.close_ms for row in rows] == [MINUTE * (k + 1) for k in range(last)]
    for k, row in enumerate(rows):
        np.testing.assert_array_equal(row.price, expected[k])
        np.testing.assert_array_equal(row.age, age[k])
        assert row.trade == any(here[k])
