"""A session through Nautilus' real Binance clients against the fake exchange, with and without faults."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from drill_for_tests import Drill
from small_market import BUSY

from dolphin.config import parse_config
from dolphin.errors import DolphinError
from dolphin.journal import Journal, replay

START, BARS = 2300, 40
#: The first order of these bars is sent at 2305, and held until 2309.
HELD = 2306
UPDATE = "ORDER_TRADE_UPDATE"


def order_fails(status: int, code: int, **more: Any) -> dict[str, Any]:
    return {"fault": {"where": "POST /fapi/v1/order", "status": status, "code": code, **more}}


def update(do: str, what: str, **more: Any) -> dict[str, Any]:
    return {"fault": {"where": UPDATE, "do": do, "only": f'"x": "{what}"', **more}}


@pytest.fixture(scope="module")
def config():
    return parse_config(
        {"strategy": "vel_div", **BUSY, "friction": {"slippage_bps": 0.0, "fee_bps": 5.0}}, where="drill"
    )


@pytest.fixture(scope="module")
def research(config, market):
    state = config.engine.new_state(market.price.shape[1], config.account.initial_capital)
    return config.engine.run(
        state, config.params_record(), config.friction_record(), market, START, START + BARS
    ).digests


@pytest.fixture
def drill(dataset, market, config, tmp_path):
    def run(during: dict[int, dict[str, Any]] | None = None, lost=()):
        one = Drill(dataset, market, config, START, START + BARS, tmp_path)
        one.during, one.lost, one.ask_after = during or {}, set(lost), 1.0
        out = one.run()
        sound(one, out)
        return out

    return run


def sound(one: Drill, out: Any) -> None:
    """What holds whatever went wrong."""
    sent = [order["clientOrderId"] for order in out.state["orders"]]
    assert len(sent) == len(set(sent)), "an order was sent twice"
    slot, ours = out.session.state.slots[0], {}
    if slot["side"]:
        ours = {one.dataset.symbols[int(slot["asset"])]: int(slot["side"]) * float(slot["qty"])}
    assert ours == {symbol: float(amount) for symbol, amount in out.state["positions"].items()}, "books differ"
    booked = [(float(fill[5]), float(fill[6])) for fill in out.session.fills]
    executed: dict[str, list[Any]] = {}
    for trade in out.state["trades"]:
        executed.setdefault(trade["orderId"], []).append(trade)
    assert len(booked) == len(executed)
    for (qty, price), trades in zip(booked, executed.values(), strict=True):
        total = sum(Decimal(trade["qty"]) for trade in trades)
        value = sum(Decimal(trade["qty"]) * Decimal(trade["price"]) for trade in trades)
        assert qty == float(total) and price == float(value / total)
    journal = Journal(one.path)
    found = replay(journal)
    assert found.equal and found.bars == BARS, found.sentence
    assert out.trader.foreign == [] and out.trader.failure is None


@pytest.mark.slow
def test_a_session_decides_and_books_what_research_does(drill, research):
    out = drill()
    assert len(out.session.fills) == 8 and out.trader.asked == []
    np.testing.assert_array_equal(out.session.digests, research)


#: Faults that change nothing but the way there.
HARMLESS = {
    "parts": {START: {"parts": 3}},
    "updates twice": {START: {"fault": {"where": UPDATE, "do": "dup", "times": 99}}},
    "acceptance lost": {START: update("drop", "NEW")},
    "fill lost": {START: update("drop", "TRADE")},
    "fill late": {START: update("late", "TRADE", delay=0.5)},
    "updates swapped": {START: update("reverse", "NEW")},
    "-1007 after execution": {START: order_fails(503, -1007, after=True)},
    "5xx after execution": {START: order_fails(502, -1000, after=True)},
    "user stream dropped in a position": {HELD: {"drop_user": True}},
    "user stream cut in a position": {HELD: {"drop_user": "hard"}},
    "listen key expires in a position": {HELD: {"expire_key": True}},
    "market stream dropped": {HELD: {"drop_market": True}},
    "market stream cut": {HELD: {"drop_market": "hard"}},
    "klines twice": {HELD: {"fault": {"where": "kline", "do": "dup", "times": 8}}},
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", HARMLESS)
def test_with_this_fault_every_digest_is_still_researchs(drill, research, fault):
    out = drill(HARMLESS[fault])
    np.testing.assert_array_equal(out.session.digests, research)
    asked = [why for _, why in out.trader.asked]
    if fault == "fill lost":
        assert asked == ["no answer in time"]
    elif "after execution" in fault:  # the fill may be told before the error: then there is no doubt
        assert len(asked) <= 1


class Gone(Drill):
    """The exchange takes the first order with an error and answers nothing about it; then somebody wants to leave."""

    told: list[list[str]]

    async def _play(self, exchange, trader):
        self.told, trader.house.interrupted = [], lambda orders: self.told.append(list(orders))
        await exchange.control(order_fails(503, -1000))
        await exchange.control({"fault": {"where": "GET /fapi/v1/order", "status": 503, "code": -1000, "times": 9999}})
        playing = asyncio.create_task(super()._play(exchange, trader))
        while not trader.asked:
            await asyncio.sleep(0.01)
        for _ in range(2):
            trader._loop.call_soon_threadsafe(trader.interrupt)
        await playing


@pytest.mark.slow
def test_who_wants_to_leave_while_the_exchange_is_gone_is_told_what_is_open_and_the_second_time_let_go(
    dataset, market, config, tmp_path
):
    one = Gone(dataset, market, config, START, START + BARS, tmp_path)
    one.ask_after = 1.0
    with pytest.raises(DolphinError, match="ended before it was known what became of drill-"):
        one.run()
    assert len(one.told) == 1 and one.told[0][0].startswith("drill-")
    assert replay(Journal(one.path)).equal  # the row without an end is not there yet; those before it are right


#: Faults that change what is there to decide on, or what was filled.
COSTLY = {
    "5xx before execution": ({START: order_fails(503, -1000)}, ()),
    "429": ({START: order_fails(429, -1003, headers={"Retry-After": "1"})}, ()),
    "margin is insufficient": ({START: order_fails(400, -2019)}, ()),
    "klines lost": ({HELD: {"fault": {"where": "kline", "do": "drop", "times": 2}}}, ()),
    "silence": ({HELD: {"silence": True}, HELD + 2: {"silence": False}}, (HELD, HELD + 1)),
    "a rest that is not filled": ({START: {"parts": 3, "unfilled_parts": 1}, HELD: {"unfilled_parts": 0}}, ()),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", COSTLY)
def test_with_this_fault_books_and_journal_are_still_right(drill, fault):
    during, lost = COSTLY[fault]
    out = drill(during, lost)
    if fault == "margin is insufficient":
        assert out.trader.asked == [] and len(out.state["orders"]) == 6
    if fault == "silence":
        ages = out.session.market.age[HELD : HELD + 3].max(axis=1).tolist()
        assert ages == [0, 0, 0]  # asked for when the stream was back
