"""Orders that rest, through Nautilus' real Binance clients against the fake exchange, with and without faults."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from drill_for_tests import Drill

from dolphin.config import parse_config
from dolphin.journal import Journal, replay
from dolphin.market.assemble import open_market

START, BARS = 2300, 40
UPDATE = "ORDER_TRADE_UPDATE"
COSTS = {"slippage_bps": 0.0, "fee_bps": 5.0, "maker_fee_bps": 2.0}
PAIR = {
    "strategy": "pair_reversion",
    "params": {
        "first": "SYN01USDT", "second": "BTCUSDT", "window": 30, "entry_z": 1.0, "exit_z": 0.2, "stop_z": 8.0,
        "max_hold_bars": 12, "expires": 2, "offset_bps": 2.0,
    },
    "friction": COSTS,
}  # fmt: skip
BREAKOUT = {
    "strategy": "breakout",
    "params": {
        "channel": 12, "range_bars": 6, "trail_bars": 2, "stop_atr": 1.5, "target_atr": 2.5, "max_hold_bars": 15,
        "max_positions": 3,
    },
    "friction": COSTS | {"fill_model": "bar_range"},
}  # fmt: skip


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
    print(counts, len(out.session.fills))


@pytest.mark.slow
def test_stops_and_brackets_inside_the_bar_are_what_research_decides(drill):
    out, expected = drill(BREAKOUT)
    np.testing.assert_array_equal(out.session.digests, expected)
    ends = [order["algoStatus"] for order in out.state["conditionals"]]
    assert "FINISHED" in ends and "CANCELED" in ends
    assert any(order["type"] == "LIMIT" for order in out.state["orders"])  # the other half of a bracket
    print(out.trader.rests.counts, len(out.session.fills))
