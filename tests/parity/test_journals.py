"""Journals side by side: what differs is named, with its cause, and whether what follows comes from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exchange_for_tests import CONFIG, Session, market_of
from ladder_cases import case_of
from strategies_for_tests import TWO_SLOTS

from dolphin.core.logarithm import ln_array
from dolphin.journal import Journal
from dolphin.journal.of_run import write_run_journal
from dolphin.parity.case import Case
from dolphin.parity.divergence import Comparison, compare
from dolphin.parity.journal_side import JournalSide, ReplayedSide
from dolphin.strategies.vel_div import VEL_DIV


def written(case: Case, path: Path, **rows: object) -> JournalSide:
    """The journal of a case, with rows of its market replaced."""
    market = case.market._replace(**rows)
    write_run_journal(path, case.dataset, market, case.config, case.start, case.stop, {})
    return JournalSide(Journal(path), config=case.config)


@pytest.fixture(scope="module")
def case() -> Case:
    return case_of(VEL_DIV)


@pytest.fixture(scope="module")
def plain(case: Case, tmp_path_factory: pytest.TempPathFactory) -> JournalSide:
    return written(case, tmp_path_factory.mktemp("plain") / "a.arrow")


def altered(case: Case, name: str, row: int, column: int, factor: float) -> dict[str, np.ndarray]:
    values = getattr(case.market, name).copy()
    values[row, column] *= factor
    return {name: values}


def fields(found: Comparison) -> dict[tuple[str, str], tuple[object, object]]:
    return {(f.stage, f.name): (f.left, f.right) for f in found.fields if not f.equal}


def test_a_feature_is_named_with_both_values(case, plain, tmp_path):
    other = written(case, tmp_path / "b", **altered(case, "features", 100, 0, 1.0 + 2.0**-50))
    found = compare(plain, other)
    assert (found.bar, found.row, found.stage, found.cause) == (100 - case.start, 100, "features", "different input")
    value = float(case.market.features[100, 0])
    assert fields(found)["features", "vel_div"] == (value, value * (1.0 + 2.0**-50))
    left, right = next(f for f in found.fields if f.name == "vel_div").bits
    assert left != right and len(left) == 16
    assert found.input is not None and (found.input.row, found.input.name) == (100, "vel_div")
    assert found.later is not None and found.later.verdict == "one cause"


def test_two_inputs_are_two_causes_and_the_second_is_named(case, plain, tmp_path):
    features = case.market.features.copy()
    features[100, 1] *= 1.5
    features[170, 1] *= 1.5
    found = compare(plain, written(case, tmp_path / "b", features=features))
    assert found.row == 100 and found.later is not None
    assert found.later.verdict == "several causes" and found.later.next_bar == 170
    assert "vol" in found.later.sentence


def test_the_price_of_an_asset_that_nobody_holds_is_found(case, plain, tmp_path):
    """It is in no digest, but decides which asset is ranked first."""
    found = None
    for row in range(60, 200):
        for column in range(case.market.price.shape[1]):
            rows = altered(case, "price", row, column, 1.3)
            path = tmp_path / f"{row}-{column}"
            found = compare(plain, written(case, path, log_price=ln_array(rows["price"]), **rows))
            path.unlink()
            if not found.equal and found.stage == "intent" and found.row > row:
                assert found.cause == "different input" and found.input is not None
                assert found.input.row == row
                assert found.input.name == f"price of {case.dataset.symbols[column]}"
                return
    pytest.fail("no such price")


def test_a_missing_bar(case, plain, tmp_path):
    ts = case.market.ts.copy()
    ts[150:] += 5_000_000_000
    found = compare(plain, written(case, tmp_path / "b", ts=ts))
    assert (found.bar, found.cause, found.stage) == (150 - case.start, "missing bar", "data")


def test_another_start_has_no_common_chain(case, plain, tmp_path):
    found = compare(plain, written(replace(case, start=case.start + 1), tmp_path / "b"))
    assert found.cause == "missing bar" and found.notes == [f"{plain.label} began earlier"]


def test_the_sides_may_be_swapped(case, plain, tmp_path):
    other = written(case, tmp_path / "b", **altered(case, "features", 100, 0, 2.0))
    one, two = compare(plain, other), compare(other, plain)
    assert (one.bar, one.stage, one.cause) == (two.bar, two.stage, two.cause)
    assert {k: (b, a) for k, (a, b) in fields(two).items()} == fields(one)


def test_a_journal_is_what_it_is_decided_again(case, plain):
    class Again(ReplayedSide):
        def __init__(self) -> None:
            JournalSide.__init__(self, plain.journal, config=case.config)
            self._replay()

    assert compare(plain, Again()).equal


def test_other_fills_of_the_same_orders_are_causes_of_their_own(tmp_path):
    market = market_of(11)
    Session(market, 11).run(tmp_path / "a", write_ahead=False)
    Session(market, 11, slipped=(20, 1e-4)).run(tmp_path / "b", write_ahead=True)
    sides = [JournalSide(Journal(tmp_path / name), config=CONFIG) for name in "ab"]
    found = compare(*sides)
    assert not found.equal and found.stage in ("fill", "data") and found.row is not None and found.row >= 20
    assert found.cause == "different fill"
    assert found.later is not None and found.later.verdict in ("several causes", "not known")


def test_an_answer_in_another_bar_is_an_order_of_events(tmp_path):
    market = market_of(11)
    Session(market, 11).run(tmp_path / "a", write_ahead=False)
    Session(market, 11, delayed=20).run(tmp_path / "b", write_ahead=False)
    found = compare(*(JournalSide(Journal(tmp_path / name), config=CONFIG) for name in "ab"))
    assert not found.equal and found.cause == "order of events", found.sentence


def test_a_case_of_slots_and_memory(tmp_path):
    case = case_of(TWO_SLOTS)
    one, two = written(case, tmp_path / "a"), written(case, tmp_path / "b", **altered(case, "features", 90, 0, 3.0))
    found = compare(one, two)
    assert found.row == 90 and ("state", "memory 0") in fields(found)
