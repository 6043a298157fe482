"""A config with the fill model ``volume_share``, whose orders the exchange fills in parts of its own."""

from __future__ import annotations

import json

import pytest
from live_drill_for_tests import LiveDrill, sound
from small_market import BUSY

from dolphin.config import parse_config
from dolphin.core.records import MARKET
from dolphin.journal.schema import PARTLY_FILLED

START, STOP = 2300, 2325
SHARE = {"slippage_bps": 0.0, "fee_bps": 5.0, "maker_fee_bps": 2.0, "fill_model": "volume_share", "volume_share": 0.1}
#: The exchange gives two parts of three, and cancels what is left of an order that is to be filled now.
PARTS = {"parts": 3, "part_ticks": 1, "unfilled_parts": 1}


@pytest.mark.slow
def test_what_the_exchange_gives_is_booked_and_what_it_does_not_give_is_asked_for_in_the_next_bar(
    pristine, dataset, tmp_path
):
    config = parse_config(BUSY | {"friction": SHARE}, where="x")
    with LiveDrill(pristine, dataset, config, START, STOP, tmp_path / "state") as drill:
        drill.trade(START, STOP - 8, {START: PARTS})
        drill.trade(STOP - 7, STOP - 1, {STOP - 4: {"parts": 1, "unfilled_parts": 0}})
        events, state = sound(drill), drill.exchange.state()
        status = json.loads(drill.folder.status.read_text())
        assert status["capital"] == pytest.approx(float(state["balance"]), abs=1e-5) and status["hibernates"] == []
        booked = {one for event in events for one in str(event.ids.get("trade_id", "")).split(",") if one}
        assert booked == {str(trade["id"]) for trade in state["trades"]} and len(booked) >= 6
        parts = [event for event in events if event["status"] == PARTLY_FILLED and event["kind"] == MARKET]
        assert parts
        for event in parts:  # the rest goes out under an id of its own
            ids = [one["clientOrderId"].split("-") for one in state["orders"]]
            assert any(int(one[2]) == event.bar + 1 and int(one[3][0]) == int(event["slot"]) for one in ids)
