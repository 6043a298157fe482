"""Funding that the exchange settles is booked once, over restarts too."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest
from drill_for_tests import until
from live_drill_for_tests import LiveDrill
from small_market import BUSY

from dolphin.config import parse_config
from dolphin.core.records import SLOT
from dolphin.journal import Journal, replay
from dolphin.live.binance.funding import Paid, rates_of

#: A position is held from 2305 to 2309.
START, HELD, STOP = 2300, 2306, 2318
FUNDED = BUSY | {"friction": {"slippage_bps": 0.0, "fee_bps": 5.0}, "market": {"funding": "rates"}}


def settles(drill):
    """Funding of everything, and the session has asked for it."""
    before = drill.exchange.calls["GET /fapi/v1/income"]
    drill.thread.control(funding=dict.fromkeys(drill.dataset.symbols, "0.001"))
    until(lambda: drill.exchange.calls["GET /fapi/v1/income"] > before, "nobody asks")


def income(drill):
    return sum(float(line["income"]) for line in drill.exchange.income)


@pytest.mark.slow
def test_funding_is_booked_in_the_next_row_and_once_over_restarts(pristine, dataset, tmp_path):
    with LiveDrill(pristine, dataset, parse_config(FUNDED, where="x"), START, STOP, tmp_path / "state") as drill:
        drill.trade(START, HELD + 1, {HELD: settles})
        drill.thread.control(funding=dict.fromkeys(dataset.symbols, "0.002"))  # nobody is there
        ended = drill.trade(HELD + 2, STOP - 2)
        assert len(drill.exchange.income) == 2 and income(drill) != 0.0
        assert ended.status["funding"] == pytest.approx(income(drill), abs=1e-9)
        assert ended.status["funding_unbooked"] == 0.0
        again = drill.trade(STOP - 1, STOP - 1)
        assert again.status["funding"] == ended.status["funding"]
        assert float(drill.exchange.account.balance) == pytest.approx(again.status["capital"], abs=1e-5)
        journal = Journal(drill.folder.newest_journal())
        assert replay(journal).equal
        lines = [json.loads(text) for text in operators(journal)]
        assert sum(len(line.get("funding", ())) for line in lines) == 2


def operators(journal):
    index = journal.index()
    for k in index.of("operator").tolist():
        yield journal.text_at(int(index.places[k]) * 8, index.templates[int(index.which[k])])


def test_rates_book_what_the_exchange_booked_and_leave_out_what_is_not_held():
    slots = np.zeros(2, SLOT)
    slots["side"], slots["asset"], slots["qty"] = [-1, 0], [1, 0], [3.0, 1.0]
    price = np.array([10.0, 7.0])
    paid = [Paid("B", Decimal("0.21"), 1, 5), Paid("A", Decimal("-0.1"), 1, 6), Paid("Z", Decimal(1), 1, 7)]
    rates, booked, unbooked = rates_of(paid, slots, price, ("A", "B"))
    assert [line.symbol for line in booked] == ["B"] and [line.symbol for line in unbooked] == ["A", "Z"]
    assert -(-1 * 3.0 * 7.0 * rates[1]) == pytest.approx(0.21, rel=1e-15) and rates[0] == 0.0
