from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from dolphin.live.binance.outcomes import Part
from dolphin.live.binance.reconcile import OpenIntent, reconcile

D = Decimal


def part(k, qty):
    return Part(str(k), D(qty), D("100"), D("0.05"), k, False)


def check(books=None, intents=(), executed=None, positions=None, orders=(), **more):
    return reconcile(books or {}, intents, executed or {}, positions or {}, orders, prefix="s-", **more)


def test_equal_books_are_clean():
    assert check({"A": D("1.5"), "B": D(0)}, positions={"A": D("1.50")}).clean


def test_a_fill_that_the_journal_missed_is_booked_and_explains_the_position():
    intent = OpenIntent("s-1-0", "A", -1, D(2), frozenset({"7"}))
    found = check(
        {"A": D(-1)}, [intent], {"s-1-0": [part(9, "0.5"), part(7, "1"), part(8, "0.5"), part(9, "0.5")]}, {"A": D(-2)}
    )
    assert found.clean and [p.trade_id for p in found.booked["s-1-0"]] == ["8", "9"]


def test_what_is_not_explained_is_named_and_not_touched():
    found = check({"A": D(1), "B": D(2)}, positions={"B": D(3), "C": D(-1)})
    assert [(one.symbol, one.kind) for one in found.differences] == [
        ("A", "no position there"), ("B", "another size"), ("C", "a foreign position"),
    ]  # fmt: skip
    assert str(found.differences[1]) == "B: another size, ours 2, the exchange's 3" and not found.booked


def test_other_leverage_hedge_mode_and_foreign_orders_are_named():
    orders = [{"symbol": "A", "clientOrderId": "web_1"}, {"symbol": "A", "clientOrderId": "s-4-0"}]
    found = check(orders=orders, hedged=True, leverage={"A": (20, 20), "B": (20, 5)})
    assert [one.kind for one in found.differences] == ["position mode", "leverage", "a foreign order"]
    assert found.stale == ("s-4-0",)


def test_an_order_that_is_filled_beyond_its_size_is_named():
    found = check(
        intents=[OpenIntent("s-1-0", "A", 1, D(1))], executed={"s-1-0": [part(1, "2")]}, positions={"A": D(2)}
    )
    assert [one.kind for one in found.differences] == ["order s-1-0 is filled too far"]


sizes = st.integers(-5, 5).map(D)


@given(
    st.dictionaries(st.sampled_from("ABC"), sizes),
    st.dictionaries(st.sampled_from("ABC"), st.lists(st.integers(1, 3), max_size=3)),
    st.dictionaries(st.sampled_from("ABCD"), sizes),
)
def test_it_is_clean_exactly_when_books_and_new_fills_are_the_positions(books, fills, foreign):
    intents, executed, positions, number = [], {}, dict(books), 0
    for symbol, qtys in fills.items():
        client_id = f"s-{symbol}"
        intents.append(OpenIntent(client_id, symbol, 1, D(sum(qtys))))
        executed[client_id] = [part(number := number + 1, str(qty)) for qty in qtys]
        positions[symbol] = positions.get(symbol, D(0)) + sum(qtys)
    for symbol, amount in foreign.items():
        positions[symbol] = positions.get(symbol, D(0)) + amount
    found = check(books, intents, executed, {s: a for s, a in positions.items() if a})
    assert {one.symbol for one in found.differences} == {s for s, amount in foreign.items() if amount}
    assert sum(len(parts) for parts in found.booked.values()) == number
