"""What was to protect a position is refused by the exchange: the position is closed within the bar, and it is told."""

from __future__ import annotations

import json

import pytest
from drill_for_tests import BREAKOUT
from live_drill_for_tests import LiveDrill, sound

from dolphin.config import parse_config
from dolphin.errors import DolphinError
from dolphin.exchange.refusing import Rejection
from dolphin.live.session import Session

START, STOP = 2300, 2325


@pytest.fixture
def drill(pristine, dataset, tmp_path):
    config = parse_config(BREAKOUT, where="x")
    with LiveDrill(pristine, dataset, config, START, STOP, tmp_path / "state") as one:
        yield one


def refuse_once(orders, code):
    """The first order that only reduces is not taken."""
    place, left = orders.place, [1]

    def refuses(asked):
        if left[0] and asked.get("reduceOnly", "").lower() == "true" and asked.get("type") != "MARKET":
            left[0] = 0
            raise Rejection(code)
        return place(asked)

    orders.place = refuses


def protections(drill):
    return [one for one in drill.exchange.state()["orders"] if one["clientOrderId"].endswith("p")]


def books_are_the_exchanges(drill):
    """As :func:`sound`, with the balance and each trade booked once."""
    events, state = sound(drill), drill.exchange.state()
    status = json.loads(drill.folder.status.read_text())
    assert status["capital"] == pytest.approx(float(state["balance"]), abs=1e-5) and status["hibernates"] == []
    booked = {one for event in events for one in str(event.ids.get("trade_id", "")).split(",") if one}
    assert booked == {str(trade["id"]) for trade in state["trades"]}


@pytest.mark.slow
@pytest.mark.parametrize(("leg", "code"), [("conditionals", -2021), ("orders", -4014)], ids=["stop", "limit"])
def test_a_refused_leg_of_a_bracket_closes_its_position_at_the_market(drill, leg, code):
    refuse_once(getattr(drill.exchange, leg), code)
    drill.trade(START, STOP - 1)
    (closing,) = protections(drill)
    assert closing["status"] == "FILLED" and closing["reduceOnly"]
    bar = closing["clientOrderId"].split("-")[2]
    others = [one for one in drill.exchange.state()["conditionals"] if f"-{bar}-" in one["clientAlgoId"]]
    assert all(one["algoStatus"] != "NEW" for one in others if one["symbol"] == closing["symbol"])
    told = [line for line in drill.said if "did not take the stop of a position" in line]
    assert len(told) == 1 and f"code {code}" in told[0] and told[0].endswith("closed at the market")
    books_are_the_exchanges(drill)


@pytest.mark.slow
def test_a_closing_that_went_out_before_the_session_ended_is_asked_about_and_booked_once(drill, monkeypatch):
    refuse_once(drill.exchange.conditionals, -2021)

    def dies(*_):
        raise RuntimeError("a power cut")

    with monkeypatch.context() as patched, pytest.raises(DolphinError, match="a power cut"):
        patched.setattr(Session, "late", dies)
        drill.trade(START, STOP - 1)
    (closing,) = protections(drill)
    at = drill.closed() + 1
    assert closing["clientOrderId"].split("-")[2] == str(at) and drill.exchange.tape.at == at + 1
    drill.trade(at + 1, STOP - 1)
    assert len(protections(drill)) == 1
    books_are_the_exchanges(drill)


@pytest.mark.slow
def test_one_that_cannot_be_closed_either_is_told_and_stays_the_strategys(drill):
    refuse_once(drill.exchange.conditionals, -2021)
    place = drill.exchange.orders.place

    def refuses(asked):
        if asked["newClientOrderId"].endswith("p"):
            raise Rejection(-2022)
        return place(asked)

    drill.exchange.orders.place = refuses
    drill.trade(START, STOP - 1)
    told = [line for line in drill.said if "STILL HELD WITHOUT PROTECTION" in line]
    assert len(told) == 1 and "code -2022" in told[0] and protections(drill) == []
    books_are_the_exchanges(drill)
