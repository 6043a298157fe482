from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.live.binance.outcomes import Outcome, Part, code_of, is_certain, total

D = Decimal


def part(k, qty="1", price="100", maker=False):
    return Part(str(k), D(qty), D(price), D("0.05"), k, maker)


def order(qty="3"):
    return Outcome("s-1-0", "AUSDT", 0, D(qty))


def test_an_order_is_settled_when_its_parts_add_up_and_not_before():
    one = order()
    one.fill(part(1))
    one.fill(part(1))
    one.fill(part(2, price="103"))
    assert not one.settled and one.repeated == 1
    one.fill(part(3, price="101"))
    assert one.settled and one.filled[:3] == (3.0, float(D("304") / 3), 0.15) and one.filled.ts == 3


@pytest.mark.parametrize("code", [-1111, -2010, -2019, -2022, -4164, -5022, -1021])
def test_these_codes_say_not_executed(code):
    one = order()
    one.reject(f"{{'code': {code}, 'msg': 'no'}}")
    assert one.settled and one.filled.qty == 0.0


@pytest.mark.parametrize("reason", ["{'code': -1007, 'msg': ''}", "{'code': -1000}", "UNKNOWN", "", "{'code': -4116}"])
def test_every_other_rejection_is_a_doubt(reason):
    one = order()
    one.reject(reason)
    assert one.doubtful and not one.settled


def test_a_certain_rejection_of_what_was_filled_is_a_doubt():
    one = order()
    one.fill(part(1))
    one.reject("{'code': -2019}")
    assert one.doubtful and not one.settled


def test_a_code_is_read_from_either_spelling():
    assert code_of('{"code": -2019, "msg": ""}') == -2019 == code_of("{'code': -2019}")
    assert code_of("nothing") is None and not is_certain("nothing")


def test_what_comes_after_the_end_changes_nothing():
    one = order()
    one.answer([part(1)], "asked: expired")
    before = one.filled
    one.fill(part(2))
    one.reject("{'code': -2019}")
    one.doubt("late")
    one.answer([part(3)], "again")
    assert one.filled == before and one.settled and not one.doubtful


@given(st.lists(st.sampled_from("abcdn"), max_size=12), st.integers(0, 10**6))
def test_no_order_of_events_gives_another_fill(events, _):
    parts = {"a": part(1), "b": part(2, price="101"), "c": part(3, price="99.5"), "d": part(1)}
    one = order()
    for event in events:
        one.reject("{'code': -1007}") if event == "n" else one.fill(parts[event])
    one.answer([parts[name] for name in "abc"], "asked")
    assert one.filled == total(parts[name] for name in "abc") and one.settled


def test_equal_prices_average_to_themselves():
    price = "0.1"
    assert total([part(k, "0.3", price) for k in range(7)]).price == 0.1
