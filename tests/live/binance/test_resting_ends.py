"""Orders in the market when a margin call closes everything."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from drill_for_tests import BREAKOUT, Drill
from test_resting_drill import BARS, START, research, sound

from dolphin.config import parse_config
from dolphin.core.records import BRACKET
from dolphin.journal import Journal
from dolphin.journal.held import hold
from dolphin.journal.schema import CANCELLED
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
