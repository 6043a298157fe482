"""The suite that every plug-in feature must pass finds what is wrong, names the rule and the bar."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from own_features_for_tests import BREADTH, SMOOTH, prices

from dolphin.core.jit import inline
from dolphin.errors import DolphinError
from dolphin.features import Feature, compute_feature, conformance
from dolphin.features.conformance import conform

RULES = [
    "stays inside its arrays", "deterministic", "streaming is the batch", "started later, same bits", "append-only",
    "no look-ahead", "warm-up stated and true", "missing prices",
]  # fmt: skip
BARS = 3500


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    return prices(bars=BARS, seed=11)


def broken(feature: Feature, rows: tuple[np.ndarray, ...]) -> conformance.Rule:
    """The one rule that the feature breaks."""
    found = conform(feature, *rows)
    wrong = [rule for rule in found.rules if not rule.passed]
    assert len(wrong) == 1 and not found.passed, str(found)
    return wrong[0]


def test_honest_features_pass_every_rule(rows: tuple[np.ndarray, np.ndarray]) -> None:
    for feature, inputs in ((SMOOTH, None), (BREADTH, rows[1][:, 1:2])):
        found = conform(feature, *rows, inputs)
        assert found.passed and [rule.name for rule in found.rules] == RULES, str(found)
        assert found.as_dict()["passed"] and str(found).count("ok ") == len(RULES)


@inline
def next_row(state, bar, out):
    """The first price of the row that lies behind this one in memory."""
    out[0] = bar.price[bar.price.size] - bar.price[0]


@inline
def peek(bar, j):
    return bar.price[j]


@inline
def next_row_by_a_helper(state, bar, out):
    out[0] = peek(bar, bar.price.size)


@inline
def too_much_state(state, bar, out):
    state[3] += 1.0
    out[0] = state[3]


@inline
def too_many_columns(state, bar, out):
    out[0] = 1.0
    out[1] = 2.0


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (next_row, "IndexError"),
        (next_row_by_a_helper, "depends on what lies outside its arrays"),
        (too_much_state, "IndexError"),
        (too_many_columns, "IndexError"),
    ],
)
def test_whoever_leaves_its_arrays_is_stopped_at_the_bar(update, words: str, rows) -> None:
    rule = broken(Feature("outside", update, 2, 1), rows)
    assert rule.name == RULES[0] and rule.bar == 0 and words in rule.detail


def test_writing_beyond_the_state_through_a_helper_is_seen_by_the_guards(rows) -> None:
    @inline
    def store(state, k):
        state[k] = 1.0

    @inline
    def update(state, bar, out):
        store(state, 5)
        out[0] = 1.0

    rule = broken(Feature("outside", update, 2, 1), rows)
    assert "bar 0 writes outside its state of 2" in rule.detail


def test_a_peek_is_seen_as_look_ahead_too(rows) -> None:
    ts, close = rows
    feature = Feature("peek", next_row_by_a_helper, 2, 1)
    days = [0, *(np.flatnonzero(np.diff(ts // conformance.DAY_NS)) + 1).tolist()]
    case = conformance._Case(feature, ts, close, np.empty((BARS, 0)), compute_feature(feature, ts, close), days)
    for rule in (conformance._look_ahead(case), conformance._append_only(case)):
        assert not rule.passed and rule.bar is not None
    assert conformance._look_ahead(case).bar == case.cuts()[0]


def test_an_understated_warm_up_is_caught(rows) -> None:
    rule = broken(dataclasses.replace(SMOOTH, warmup_bars=12), rows)
    assert rule.name == "warm-up stated and true" and "4 times the stated 12 bars" in rule.detail
    assert rule.bar == 119, "the first midnight, two hours after the data begins"
    assert conform(dataclasses.replace(SMOOTH, warmup_bars=12, tolerance=0.2), *rows).passed


def test_a_value_that_never_comes_is_caught(rows) -> None:
    @inline
    def late(state, bar, out):
        state[0] += 1.0
        if state[0] > 30.0:
            out[0] = bar.price[0]

    rule = broken(Feature("late", late, 1, 10), rows)
    assert rule.name == "warm-up stated and true" and "bar 10 is no number (late = nan)" in rule.detail
    assert conform(Feature("late", late, 1, 30), *rows).passed


def test_what_depends_on_the_call_is_caught(rows) -> None:
    counter = iter(range(10**9))
    feature = Feature("clock", SMOOTH.update, SMOOTH.memory, SMOOTH.warmup_bars)
    advance = feature.advance

    def unsteady(*arrays: np.ndarray) -> None:
        advance(*arrays)
        arrays[-1][:] += next(counter) * 1e-9

    feature.__dict__["advance"] = unsteady
    found = conform(feature, *rows)
    assert not found.passed


def test_an_exception_on_missing_prices_is_told(rows) -> None:
    @inline
    def picky(state, bar, out):
        if not bar.price[0] > 0.0:
            raise ValueError("no price")
        out[0] = bar.price[0]

    rule = broken(Feature("picky", picky, 0, 1), rows)
    assert rule.name == "no exception" and "feature 'picky' raised ValueError: no price" in rule.detail


def test_what_cannot_be_judged_is_refused(rows) -> None:
    ts, close = rows
    with pytest.raises(DolphinError, match="function is no Feature"):
        conform(lambda: None, ts, close)  # type: ignore[arg-type]
    with pytest.raises(DolphinError, match="100 bars are too few to check feature 'smooth'; give 80 warm-up bars"):
        conform(SMOOTH, ts[:100], close[:100])
