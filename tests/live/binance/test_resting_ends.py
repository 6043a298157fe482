"""Orders in the market when something ends: a margin call, a stop that is refused, a rest that was not filled."""

from __future__ import annotations

import copy
from decimal import Decimal

import numpy as np
import pytest
from drill_for_tests import BREAKOUT, PAIR, Drill
from opening_brackets_for_tests import HERE, OPENING
from small_market import BUSY
from test_resting_drill import BARS, START, STOP, request, research, sound

from dolphin.config import parse_config
from dolphin.core.records import BRACKET
from dolphin.journal import Journal
from dolphin.journal.held import hold
from dolphin.journal.schema import CANCELLED, REJECTED
from dolphin.live.binance.house import House
from dolphin.market.assemble import open_market
from dolphin.strategies.breakout import REASONS


class Told(House):
    """Hears what the exchange did not take."""

    def __init__(self):
        self.lines = []

    def refused(self, client_id, symbol, why):
        self.lines.append((client_id, symbol, why))


class Housed(Drill):
    """A drill whose session has a house that hears."""

    house = None

    async def _play(self, exchange, trader):
        trader.house = self.house = Told()
        await super()._play(exchange, trader)


@pytest.fixture
def run(dataset, tmp_path):
    def drill(config, during=None, **more):
        market = open_market(dataset, config)
        one = Housed(dataset, market, config, START, START + BARS, tmp_path)
        one.during, one.ask_after, one.deaf = during or {}, 1.0, True
        for name, value in more.items():
            setattr(one, name, value)
        out = one.run()
        sound(one, out)
        journal = Journal(one.path)
        return one, out, research(config, market), hold(journal, journal.index()).events

    return drill


def of(document, **more):
    return parse_config(copy.deepcopy(document) | more, where="drill")


@pytest.mark.slow
def test_a_margin_call_closes_all_and_takes_out_what_rests_as_research_does(run):
    one, out, expected, events = run(of(BREAKOUT, account={"cross_maintenance": 0.8}), deaf=False)
    np.testing.assert_array_equal(out.session.digests, expected)
    called = {event.bar for event in events if REASONS[int(event["reason"])] == "LIQUIDATION"}
    assert len(called) >= 2
    taken = [e for e in events if e.bar in called and int(e["status"]) == CANCELLED and int(e["kind"]) == BRACKET]
    assert taken and one.house.lines == []  # brackets that were at the exchange


@pytest.mark.slow
def test_a_stop_that_is_refused_leaves_no_half_of_a_bracket_and_is_laid_again_in_the_next_row(run):
    one, out, _, events = run(of(BREAKOUT), {START + 2: request(STOP, 400, -2021, times=1)})
    client_id, symbol, _ = next(line for line in one.house.lines if "-2021" in line[2])
    assert client_id.endswith("s"), one.house.lines
    bar, slot = (int(text) for text in client_id[:-1].split("-")[1:])
    refused = [e for e in events if e.bar == bar and e.slot == slot and int(e["status"]) == REJECTED]
    assert len(refused) == 1 and "-2021" in refused[0].ids["why"]
    by_name = {order["clientOrderId"]: order for order in out.state["orders"]}
    if int(refused[0]["kind"]) == BRACKET:  # its other half went out of the market with it
        assert by_name[f"{client_id[:-1]}l"]["status"] == "CANCELED"
        laid = {name for name in by_name if name.endswith("l")}
        assert f"drill-{bar + 1}-{slot}l" in laid or symbol not in out.state["positions"]


@pytest.mark.slow
def test_a_bracket_that_opens_is_refused_in_a_line_each_time_and_nothing_of_it_goes_out(run):
    _, out, _, events = run(parse_config({"strategy": OPENING}, where="drill", research=HERE))
    refused = [e for e in events if int(e["status"]) == REJECTED]
    assert len(refused) == BARS and {e.ids["why"] for e in refused} == {
        "a bracket that opens: the exchange does not cancel one order for another, and both may be filled"
    }
    assert out.state["orders"] == [] and out.state["conditionals"] == [] and out.state["positions"] == {}


@pytest.mark.slow
@pytest.mark.parametrize("document", [BUSY | {"strategy": "vel_div"}, PAIR], ids=["market", "limits"])
def test_fills_in_parts_are_booked_and_what_is_left_goes_out_in_the_next_row_under_another_name(run, document):
    shared = {"fill_model": "volume_share", "volume_share": 0.5, "slippage_bps": 0.0, "fee_bps": 5.0}
    config = of(document, friction=shared)
    _, out, _, _ = run(config, {START: {"parts": 3, "unfilled_parts": 1}, START + 12: {"unfilled_parts": 0}})
    orders = [order for order in out.state["orders"] if Decimal(order["executedQty"]) < Decimal(order["origQty"])]
    assert any(Decimal(order["executedQty"]) > 0 for order in orders), out.state["orders"]
    assert out.session.fills
