"""Orders that rest, through Nautilus' real Binance clients against the fake exchange, with and without faults."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from drill_for_tests import BREAKOUT, PAIR, Drill

from dolphin.config import parse_config
from dolphin.core.records import BRACKET, CLOSE, OPEN, ORDER
from dolphin.journal import Journal, replay
from dolphin.live.binance.resting import leg_names, not_carried
from dolphin.market.assemble import open_market

START, BARS = 2300, 40
UPDATE = "ORDER_TRADE_UPDATE"


def research(config, market):
    state = config.engine.new_state(market.price.shape[1], config.account.initial_capital)
    return config.engine.run(
        state, config.params_record(), config.friction_record(), market, START, START + BARS
    ).digests  # fmt: skip


@pytest.fixture
def drill(dataset, tmp_path):
    def run(document, during: dict[int, dict[str, Any]] | None = None, *, deaf: bool = False):
        config = parse_config(document, where="drill")
        market = open_market(dataset, config)
        one = Drill(dataset, market, config, START, START + BARS, tmp_path)
        one.during, one.ask_after, one.deaf = during or {}, 1.0, deaf
        out = one.run()
        sound(one, out)
        return out, research(config, market)

    return run


def sound(one: Drill, out: Any) -> None:
    """What holds whatever went wrong: no order twice, books are the exchange's, every trade is booked once, replay."""
    assert out.trader.failure is None and out.trader.foreign == []
    state, session = out.state, out.session
    sent = [order["clientOrderId"] for order in state["orders"]]
    assert len(sent) == len(set(sent)), "an order was sent twice"
    laid = [order["clientAlgoId"] for order in state["conditionals"]]
    assert len(laid) == len(set(laid)), "a stop was sent twice"
    ours: dict[str, Decimal] = {}
    for slot in session.state.slots:
        if slot["side"]:
            symbol = one.dataset.symbols[int(slot["asset"])]
            lots = round(Decimal(float(slot["qty"])), one.dataset.instruments[int(slot["asset"])].lot_exp)
            ours[symbol] = ours.get(symbol, Decimal(0)) + int(slot["side"]) * lots
    assert ours == {symbol: Decimal(amount) for symbol, amount in state["positions"].items()}, "books differ"
    journal = Journal(one.path)
    found = replay(journal)
    assert found.equal and found.bars == BARS, found.sentence
    assert sorted(booked_trades(journal)) == sorted(str(trade["id"]) for trade in state["trades"])
    rests = {leg.client_id for resting in out.trader.rests.of.values() for leg in resting.legs}
    there = {o["clientOrderId"] for o in state["orders"] if o["status"] in ("NEW", "PARTIALLY_FILLED")}
    there |= {o["clientAlgoId"] for o in state["conditionals"] if o["algoStatus"] == "NEW"}
    assert there == rests, "what rests by our books is not what the exchange has"


def booked_trades(journal: Journal) -> list[str]:
    """The trades that the bookings of a journal name."""
    index, found = journal.index(), []
    for k in index.of("event").tolist():
        of, place = index.templates[int(index.which[k])], int(index.places[k]) * 8
        text = journal.text_at(place, of)
        if text and (trades := json.loads(text).get("trade_id")):
            found += trades.split(",")
    return found


@pytest.mark.slow
def test_limits_that_expire_or_fill_are_what_research_decides(drill):
    out, expected = drill(PAIR)
    np.testing.assert_array_equal(out.session.digests, expected)
    counts = out.trader.rests.counts
    ends = [order["status"] for order in out.state["orders"] if order["type"] == "LIMIT"]
    assert "FILLED" in ends and "CANCELED" in ends and counts["laid"] == len(ends) and counts["late"] == 0


@pytest.mark.slow
def test_stops_and_brackets_inside_the_bar_are_what_research_decides(drill):
    out, expected = drill(BREAKOUT)
    np.testing.assert_array_equal(out.session.digests, expected)
    ends = [order["algoStatus"] for order in out.state["conditionals"]]
    assert "FINISHED" in ends and "CANCELED" in ends
    assert any(order["type"] == "LIMIT" for order in out.state["orders"])  # the other half of a bracket


def update(do: str, what: str, **more: Any) -> dict[str, Any]:
    return {"fault": {"where": UPDATE, "do": do, "only": f'"x": "{what}"', **more}}


def request(where: str, status: int, code: int, **more: Any) -> dict[str, Any]:
    return {"fault": {"where": where, "status": status, "code": code, **more}}


LIMIT, STOP, CANCEL = "POST /fapi/v1/order", "POST /fapi/v1/algoOrder", "DELETE /fapi/v1/order"

#: Faults that change nothing but the way there.
HARMLESS = {
    "updates twice": (PAIR, {"fault": {"where": UPDATE, "do": "dup", "times": 99}}),
    "acceptance lost": (PAIR, update("drop", "NEW", times=2)),
    "a limit's -1007 after it was taken": (PAIR, request(LIMIT, 503, -1007, after=True)),
    "a stop's 5xx after it was taken": (BREAKOUT, request(STOP, 502, -1000, after=True)),
    "the cancel is not told of": (PAIR, update("drop", "CANCELED", times=2)),
    "a cancel is answered with 5xx": (PAIR, request(CANCEL, 503, -1000, after=True)),
    "user stream dropped with orders in the market": (PAIR, {"drop_user": True}),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", HARMLESS)
def test_with_this_fault_every_digest_is_still_researchs(drill, fault):
    document, control = HARMLESS[fault]
    out, expected = drill(document, {START + 1: control})
    np.testing.assert_array_equal(out.session.digests, expected)
    assert not out.state["faults_pending"] or "twice" in fault


#: Faults that change what was filled, or what rests: books, journal and exchange agree all the same.
COSTLY = {
    "a limit is refused by its price": (PAIR, {START: request(LIMIT, 400, -4014)}, "refused"),
    "a limit never came": (PAIR, {START: request(LIMIT, 503, -1000)}, "refused"),
    "a stop would trigger at once": (BREAKOUT, {START + 4: request(STOP, 400, -2021)}, "refused"),
    "limits fill in parts, over rows": (PAIR, {START: {"parts": 3, "unfilled_parts": 1}}, "laid"),
    "stops fill in parts": (BREAKOUT, {START: {"parts": 3, "part_ticks": 1}}, "laid"),
    "cancels come too late": (BREAKOUT, {START: {"race": 99}}, "late"),
    "orders are filled when they are over": (PAIR, {START: {"race": 99}}, "taken_out"),
    "a cancel comes after a part": (PAIR, {START: {"race": 99, "race_share": 0.5}}, "taken_out"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", COSTLY)
def test_with_this_fault_books_journal_and_exchange_agree(drill, fault):
    document, during, counted = COSTLY[fault]
    out, _ = drill(document, during)
    assert out.trader.rests.counts[counted] >= 1, out.trader.rests.counts


#: What may be lost: a fill is then heard of when its order is over.
LOST = {
    "fills": (PAIR, update("drop", "TRADE", times=2)),
    "what became of stops": (BREAKOUT, {"fault": {"where": "ALGO_UPDATE", "do": "drop", "times": 3}}),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", LOST)
def test_what_nobody_told_of_is_asked_for_when_its_order_is_over(drill, what):
    document, control = LOST[what]
    out, _ = drill(document, {START + 1: control}, deaf=True)
    assert out.trader.session.fills


def test_an_opening_bracket_is_not_carried():
    order = np.zeros((), ORDER)
    order["action"], order["kind"] = OPEN, BRACKET
    assert "bracket that opens" in str(not_carried(order))
    order["action"] = CLOSE
    assert not_carried(order) is None
    assert leg_names("n", 7, 2, BRACKET) == [("n-7-2s", True), ("n-7-2l", False)]
