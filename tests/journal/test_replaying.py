"""Every bar decided again from what was recorded: whatever the exchange did, and whenever it said so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exchange_for_tests import CONFIG, Session, journal_at, market_of
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder_cases import CASES, case_of
from thorough import thorough

from dolphin.core.records import OPEN, ORDER
from dolphin.journal import Journal, replay
from dolphin.journal.of_run import write_run_journal
from dolphin.journal.schema import FILLED, PARTLY_FILLED


@pytest.mark.parametrize(("strategy", "timing"), thorough(CASES))
def test_a_research_run_is_replayed_digest_by_digest(strategy, timing, tmp_path):
    case = case_of(strategy, timing)
    path = tmp_path / "j.arrow"
    digests = write_run_journal(path, case.dataset, case.market, case.config, case.start, case.stop, {})
    assert (digests == case.batch.digests).all()
    found = replay(Journal(path), config=case.config)
    assert found.equal and found.bars == case.bars and found.ended, found


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), write_ahead=st.booleans())
def test_parts_late_fills_rejections_and_cancellations(tmp_path_factory, seed, write_ahead):
    path = tmp_path_factory.mktemp("session") / "j.arrow"
    digests = Session(market_of(seed % 50), seed).run(path, write_ahead=write_ahead)
    found = replay(Journal(path), config=CONFIG)
    assert found.equal, (found.sentence, found.problems)
    assert found.bars == len(digests)


@pytest.mark.slow
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), shuffle=st.integers(0, 10_000))
def test_another_order_of_arrival_and_repetitions_change_nothing(tmp_path_factory, seed, shuffle):
    folder, market = tmp_path_factory.mktemp("session"), market_of(seed % 50)
    plain = Session(market, seed).run(folder / "plain.arrow", write_ahead=False)
    session = Session(market, seed, shuffle)
    shuffled = session.run(folder / "shuffled.arrow", write_ahead=False)
    assert plain == shuffled
    found = replay(Journal(folder / "shuffled.arrow"), config=CONFIG)
    assert found.equal and found.duplicates == session.repeated, (found.sentence, found.problems)


def fill(qty: float, price: float, order_bar: int, action: int = OPEN) -> np.void:
    record = np.zeros(1, ORDER)
    record["action"], record["side"], record["qty"], record["price"], record["bar"] = action, 1, qty, price, order_bar
    return record[0]


def session_with(path: Path, *events: tuple, late: bool = False):
    """Ten bars without decisions of which bar 5 has these events (order, status, trade id)."""
    market = market_of(3, 10)
    market = market._replace(features=np.full_like(market.features, 2.0))
    engine, journal = CONFIG.engine, journal_at(path, market, CONFIG, write_ahead=False)
    state = engine.new_state(market.price.shape[1], CONFIG.account.initial_capital)
    stages = np.zeros(6, np.uint64)
    for bar in range(10):
        journal.opened(market, bar)
        engine.kernels.begin_bar(state, market, bar)
        if bar == (6 if late else 5):
            for order, status, trade in events:
                journal.event(order, 5, 0, status, phase=1, ids={"trade_id": trade} if trade else None)
        engine.kernels.decide_bar(state, CONFIG.params_record(), CONFIG.friction_record(), market, bar)
        engine.kernels.end_bar(state, market, bar, stages)
        journal.closed(market, state, bar, stages)
    journal.writer.close()
    return replay(Journal(path), config=CONFIG)


def test_a_trade_that_comes_twice_with_other_values_is_named(tmp_path):
    found = session_with(tmp_path / "j", (fill(1.0, 5.0, 5), FILLED, "x"), (fill(1.0, 6.0, 5), FILLED, "x"))
    assert not found.equal and "trade x came twice with different values (bars 5, 5)" in found.problems


def test_an_event_of_a_closed_bar_is_named(tmp_path):
    found = session_with(tmp_path / "j", (fill(1.0, 5.0, 5), FILLED, "x"), late=True)
    assert any("says bar 5, which was closed before it" in line for line in found.problems)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (fill(0.0, 5.0, 5), "quantity 0.0"),
        (fill(1.0, float("nan"), 5), "price nan"),
        (fill(1.0, 5.0, 7), "comes before its order"),
    ],
)
def test_a_fill_that_cannot_be_is_named(tmp_path, order, words):
    found = session_with(tmp_path / "j", (order, PARTLY_FILLED, "x"))
    assert not found.equal and any(words in line for line in found.problems)


def test_a_fill_that_nobody_booked_is_where_it_differs(tmp_path):
    found = session_with(tmp_path / "j", (fill(1.0, 5.0, 5), FILLED, "x"))
    assert found.first == 5 and found.bar == 5 and found.stage in ("data", "fill") and not found.problems


def test_another_configuration_decides_otherwise(tmp_path):
    case = case_of(*CASES[0])
    path = tmp_path / "j.arrow"
    write_run_journal(path, case.dataset, case.market, case.config, case.start, case.stop, {})
    params = case.config.params.model_copy(update={"tp_pct": 0.5, "max_hold_bars": 4})
    found = replay(Journal(path), config=replace(case.config, params=params))
    assert found.first is not None and found.stage == "intent" and "in stage 'intent'" in found.sentence
