from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ladder_cases import CASES, RICH, case_of, rich_case
from strategies_for_tests import TWO_SLOTS
from thorough import thorough

from dolphin.core.records import MARKET
from dolphin.journal import Journal, JournalWriter, SessionJournal, replay
from dolphin.journal.header import header_of, shape_for
from dolphin.live.rows import own_market
from dolphin.live.session import Session
from dolphin.parity.case import ORDER_FILLED
from dolphin.strategies.breakout import BREAKOUT


class Recorded:
    """A transport that keeps what it is given, for a test that plays the exchange."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.rests: dict[int, Any] = {}
        self.said: list[tuple[str, int]] = []

    def send(self, slot: int, order: Any) -> None:
        self.said.append(("send", slot))
        self.sent.append(slot)

    def rest(self, slot: int, order: Any) -> None:
        self.said.append(("rest", slot))
        assert order["kind"] != MARKET and slot not in self.rests
        self.rests[slot] = order.copy()

    def withdraw(self, slot: int) -> None:
        self.said.append(("withdraw", slot))
        del self.rests[slot]


def session_of(case, journal=None):
    market, window = own_market(case.market, case.start, case.stop), (case.start, case.stop)
    session = Session(case.engine, case.params, case.friction, market, case.capital, *window, journal=journal)
    session.transport = Recorded()
    return session


def open_bar(session, market, i):
    columns = {name: getattr(market, name)[i] for name in ("open", "high", "low", "volume", "funding")
               if len(getattr(market, name))}  # fmt: skip
    session.open(i, int(market.ts[i]), market.price[i], market.age[i], market.features[i], market.risk[i], columns)


def first_orders(case):
    """A session in the first bar that sends orders, and their slots."""
    session, i = session_of(case), case.start
    while True:
        open_bar(session, case.market, i)
        session.matched()
        if session.transport.sent:
            return session, list(session.transport.sent), i
        i += 1


def play(case, session, *, refuse=False):
    """Answer with the fills of the case's own run, those of one bar in reverse; or refuse all orders of some bars."""
    fills = {}
    for fill in case.trace.fills:
        fills.setdefault((int(fill["bar"]), int(fill["slot"])), []).append(fill)

    def answer(i, slot):
        if refuse and i % 7 == 0:
            session.refused(slot)
            return
        fill = made_up(case, session.order(slot), i) if refuse else fills[i, slot].pop(0)
        qty, price = float(fill["qty"]), float(fill["price"])
        session.filled(slot, qty, price, 0.0, passive=bool(fill["passive"]))
        if slot in transport.rests and session.order(slot)["action"] == 0:
            transport.rests.pop(slot)

    transport = session.transport
    for i in range(case.start, case.stop):
        open_bar(session, case.market, i)
        for slot in sorted(transport.rests, reverse=True):
            if fills.get((i, slot)):
                fill = fills[i, slot].pop(0)
                session.filled(slot, float(fill["qty"]), float(fill["price"]), 0.0, passive=bool(fill["passive"]))
                if fill["qty"] == transport.rests[slot]["qty"]:
                    transport.rests.pop(slot)
                else:
                    transport.rests[slot]["qty"] -= fill["qty"]
        session.matched()
        while transport.sent:
            for slot in [transport.sent.pop() for _ in range(len(transport.sent))]:
                answer(i, slot)
        assert session.closed
    assert refuse or not any(fills.values())


def made_up(case, order, i):
    """A fill at the bar's price: refusals have led the session away from the run."""
    return {"qty": order["qty"], "price": case.market.price[i, order["asset"]], "passive": 0}


def assert_equal(case, session):
    assert (session.digests == case.batch.digests).all()
    assert (session.stages == case.trace.stages).all()
    mine = np.array([fill[:9] for fill in session.fills], ORDER_FILLED)
    order = ["bar", "slot", "action", "qty"]
    assert np.sort(mine, order=order).tolist() == np.sort(case.trace.fills, order=order).tolist()


@pytest.mark.parametrize(("strategy", "timing"), CASES)
def test_with_the_fills_of_the_model_it_is_the_batch_loop(strategy, timing):
    # Answers in reverse: the books must not depend on which fill arrives first.
    case = case_of(strategy, timing)
    session = session_of(case)
    play(case, session)
    assert_equal(case, session)


@pytest.mark.parametrize("timing", ["close", "next"])
@pytest.mark.parametrize("strategy", thorough(RICH), ids=lambda s: s.name)
def test_with_orders_that_rest_it_is_the_batch_loop(strategy, timing):
    case = rich_case(strategy, timing, "bar_range" if strategy is BREAKOUT else "scan_price", funded=True)
    assert len(case.trace.fills) > 100
    session = session_of(case)
    play(case, session)
    assert_equal(case, session)


def test_it_sees_no_row_before_it_comes():
    case = case_of(TWO_SLOTS)
    session = session_of(case)
    open_bar(session, case.market, case.start)
    market = session.market
    assert np.isnan(market.price[case.start + 1 :]).all() and (market.ts[case.start + 1 :] == 0).all()
    for mine, theirs in zip(market.by_row().values(), case.market.by_row().values(), strict=True):
        assert mine[: case.start + 1].tobytes() == theirs[: case.start + 1].tobytes()


def test_a_bar_cannot_begin_while_an_order_is_open():
    case = case_of(TWO_SLOTS)
    session, _, i = first_orders(case)
    assert not session.closed and session.digests[i - case.start] == 0
    with pytest.raises(RuntimeError, match="orders of bar"):
        open_bar(session, case.market, i + 1)


def test_nothing_is_decided_before_what_rests_was_matched():
    case = case_of(TWO_SLOTS)
    session = session_of(case)
    open_bar(session, case.market, case.start)
    assert not session.closed and session.transport.said == []
    session.matched()
    assert session.closed or session.transport.sent


def test_a_refused_order_is_not_booked():
    case = case_of(TWO_SLOTS)
    session, slots, _ = first_orders(case)
    for slot in slots:
        session.refused(slot)
    assert session.closed and session.fills == []
    assert (session.state.slots["side"] == 0).all()
    assert session.state.account["capital"][0] == case.capital


def test_fees_are_our_rate_and_the_commission_is_kept_beside():
    case = case_of(TWO_SLOTS)
    session, slots, i = first_orders(case)
    for slot in slots:
        session.filled(slot, 2.0, 10.0, 0.12345678)
    bar, slot, action, _, direction, qty, price, fee, passive, commission = session.fills[0]
    assert (bar, slot, action, direction, qty, price, passive) == (i, slots[0], 1, 1, 2.0, 10.0, 0)
    assert fee == case.friction["fee"][0] * 20.0
    assert commission == 0.12345678


JOURNALED = [case_of(strategy, timing) for strategy, timing in CASES] + [
    rich_case(strategy, timing, model, funded=True)
    for strategy, timing, model in (
        *((strategy, "close", "touch") for strategy in RICH),
        *((strategy, "next", "scan_price") for strategy in RICH),
    )
]


@pytest.mark.parametrize("write_ahead", [False, True])
@pytest.mark.parametrize(
    "case", thorough(JOURNALED, fast=3), ids=lambda case: f"{case.config.strategy_name} {case.config.hash[:6]}"
)
def test_its_journal_is_replayed_digest_by_digest(case, write_ahead, tmp_path):
    header = header_of(
        case.dataset, case.market, case.config, case.start, session="test", versions={}, write_ahead=write_ahead
    )
    writer = JournalWriter(tmp_path / "j", shape_for(case.market, case.config), header, policy="never")
    journal = SessionJournal(writer, write_ahead=write_ahead)
    journal.history(case.market, case.start, case.start)
    session = session_of(case, journal)
    play(case, session, refuse=not case.config.engine.strategy.orders)
    writer.close()
    found = replay(Journal(tmp_path / "j"), config=case.config)
    assert found.equal and found.bars == case.bars, found
    index = Journal(tmp_path / "j").index()
    assert len(index.of("intent")) > 0 and len(index.of("history")) == case.start
