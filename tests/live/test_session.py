from __future__ import annotations

import numpy as np
import pytest
from ladder_cases import CASES, case_of
from strategies_for_tests import TWO_SLOTS

from dolphin.core.grid import round_against
from dolphin.journal import Journal, JournalWriter, SessionJournal, replay
from dolphin.journal.header import header_of, shape_for
from dolphin.live.session import Session, own_market


def session_of(case):
    market = own_market(case.market, case.start, case.stop)
    return Session(case.engine, case.params, case.friction, market, case.capital, case.start, case.stop)


def open_bar(session, market, i):
    return session.open(i, int(market.ts[i]), market.price[i], market.age[i], market.features[i], market.risk[i])


def model_fill(case, order, i):
    side = int(order["side"]) if order["action"] == 1 else -int(order["side"])
    asset = int(order["asset"])
    slipped = case.market.price[i, asset] * (1.0 + side * case.friction["slippage"][0])
    return round_against.py_func(slipped, side, case.market.instruments.view(np.recarray)[asset])


@pytest.mark.parametrize(("strategy", "timing"), CASES)
def test_with_the_fills_of_the_model_it_is_the_batch_loop(strategy, timing):
    case = case_of(strategy, timing)
    session = session_of(case)
    for i in range(case.start, case.stop):
        # Answers in reverse: the books must not depend on which fill arrives first.
        for slot in reversed(open_bar(session, case.market, i)):
            order = session.order(slot)
            session.filled(slot, float(order["qty"]), float(model_fill(case, order, i)), 0.0)
        assert session.closed
    assert (session.digests == case.batch.digests).all()
    assert (session.stages == case.trace.stages).all()
    assert [fill[:8] for fill in session.fills] == case.trace.fills.tolist()


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
    session = session_of(case)
    i = case.start
    while not open_bar(session, case.market, i):
        i += 1
    assert not session.closed and session.digests[i - case.start] == 0
    with pytest.raises(RuntimeError, match="orders of bar"):
        open_bar(session, case.market, i + 1)


def test_a_refused_order_is_not_booked():
    case = case_of(TWO_SLOTS)
    session = session_of(case)
    i = case.start
    while not (slots := open_bar(session, case.market, i)):
        i += 1
    for slot in slots:
        session.refused(slot)
    assert session.closed and session.fills == []
    assert (session.state.slots["side"] == 0).all()
    assert session.state.account["capital"][0] == case.capital


def test_fees_are_our_rate_and_the_commission_is_kept_beside():
    case = case_of(TWO_SLOTS)
    session = session_of(case)
    i = case.start
    while not (slots := open_bar(session, case.market, i)):
        i += 1
    for slot in slots:
        session.filled(slot, 2.0, 10.0, 0.12345678)
    bar, slot, action, _, direction, qty, price, fee, commission = session.fills[0]
    assert (bar, slot, action, direction, qty, price) == (i, slots[0], 1, 1, 2.0, 10.0)
    assert fee == case.friction["fee"][0] * 20.0
    assert commission == 0.12345678


@pytest.mark.parametrize("write_ahead", [False, True])
@pytest.mark.parametrize(("strategy", "timing"), CASES)
def test_its_journal_is_replayed_digest_by_digest(strategy, timing, write_ahead, tmp_path):
    case = case_of(strategy, timing)
    market = own_market(case.market, case.start, case.stop)
    header = header_of(
        case.dataset, case.market, case.config, case.start, session="test", versions={}, write_ahead=write_ahead,
        funded=False,
    )  # fmt: skip
    writer = JournalWriter(tmp_path / "j", shape_for(case.market, case.config), header, policy="never")
    journal = SessionJournal(writer, write_ahead=write_ahead)
    journal.history(case.market, case.start, case.start)
    window = case.start, case.stop
    session = Session(case.engine, case.params, case.friction, market, case.capital, *window, journal=journal)
    for i in range(*window):
        for slot in reversed(open_bar(session, case.market, i)):
            order = session.order(slot)
            if i % 7 == 0:
                session.refused(slot)
            else:
                session.filled(slot, float(order["qty"]), float(model_fill(case, order, i)), 0.0)
    writer.close()
    found = replay(Journal(tmp_path / "j"), config=case.config)
    assert found.equal and found.bars == case.bars, found
    index = Journal(tmp_path / "j").index()
    assert len(index.of("intent")) >= len(session.fills) > 0 and len(index.of("history")) == case.start
