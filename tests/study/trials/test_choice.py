"""The rule by which the best trial is chosen."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dolphin.study.trials.choice import MEASURED, VALUE, Choice, best_first, pareto
from dolphin.study.trials.registry import trial_frame

INF, NAN = math.inf, math.nan
BOTH = Choice(("roi", "max_drawdown"), ("maximize", "minimize"), 5)


def metrics(roi: list[Any], **other: list[Any]) -> dict[str, Any]:
    count = len(roi)
    return {"roi": roi, "trades": [9] * count, "ruined": [False] * count, "max_drawdown": [0.1] * count} | other


def rows(*columns: dict[str, Any]) -> pl.DataFrame:
    base = {"state": "done", "trades": 9, "ruined": False, "dataset_digest": "d", "first_ts": 0, "last_ts": 9}
    return trial_frame([base | {"trial": k, "config_hash": str(k)} | row for k, row in enumerate(columns)])


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_is_the_first_of_equals_that_count(direction: str) -> None:
    choice = Choice(("roi",), (direction,), 5)
    sign = 1.0 if direction == "maximize" else -1.0
    roi = [sign * value for value in (1.0, NAN, 3.0, 3.0, 9.0, 8.0, INF, -INF)]
    found = metrics(roi, trades=[9, 9, 5, 9, 4, 9, 9, 9], ruined=[False] * 5 + [True, False, False])
    assert choice.first(found) == 2
    assert np.isnan(choice.scores(found)[:, 0]).tolist() == [False, True, False, False, True, True, True, True]
    assert Choice(("roi",), (direction,), 50).first(found) is None


def test_ruin_that_was_not_told_is_none_and_so_is_no_value() -> None:
    found = metrics([1.0, None, 2.0], ruined=[None, False, None], trades=[9, 9, None])
    assert Choice(("roi",), ("maximize",), 0).first(found) == 0


def test_of_equals_the_second_objective_decides_so_that_the_best_is_on_the_front() -> None:
    found = metrics([2.0, 2.0, 2.0, 1.0], max_drawdown=[0.3, 0.2, 0.2, 0.0])
    scores = BOTH.scores(found)
    assert best_first(scores).tolist() == [1, 2, 0, 3]
    assert pareto(scores).tolist() == [False, True, True, True]
    # An objective that is no number drops the trial, whichever it is.
    assert BOTH.first(metrics([9.0, 1.0], max_drawdown=[NAN, 0.5])) == 1


def test_rows_that_were_not_measured_or_only_in_part() -> None:
    many = [
        {"state": "done", "trades": 9, "roi": 1.0},
        {"state": "invalid"},
        {"state": "pruned", "trades": 9, "roi": 2.0, "ruined": False},
        {"state": "failed", "trades": 9, "roi": 3.0},
    ]
    choice = Choice(("roi",), ("maximize",), 5)
    assert np.isnan(choice.scores_of(many)[:, 0]).tolist() == [False, True, True, True]
    assert np.isnan(choice.scores_of(many, MEASURED)[:, 0]).tolist() == [False, True, False, True]


def test_judged_trials_are_distinct_and_best_first() -> None:
    trials = rows(
        {"roi": 1.0},
        {"roi": 5.0, "trades": 1},
        {"roi": 2.0},
        {"roi": 2.0, "config_hash": "2"},  # the configuration of trial 2 again
        {"roi": 9.0, "state": "pruned"},
        {"roi": 1.0},
        {"trial": 0, "config_hash": "0", "roi": 3.0},  # trial 0 was run again
    )
    choice = Choice(("roi",), ("maximize",), 5)
    judged = choice.judged(trials)
    assert judged["trial"].to_list() == [0, 2, 5, 1]
    assert judged[VALUE].to_list()[:3] == [3.0, 2.0, 1.0] and math.isnan(judged[VALUE][3])
    assert choice.ranked(trials)["trial"].to_list() == [0, 2, 5]
    assert choice.ranked(trials[:0]).is_empty()


numbers = arrays(np.float64, st.tuples(st.integers(0, 12), st.integers(1, 3)), elements=st.integers(0, 3).map(float))


@given(numbers)
def test_pareto_is_what_nothing_dominates(scores: np.ndarray) -> None:
    def beaten(row: np.ndarray) -> bool:
        return any((other >= row).all() and (other > row).any() for other in scores)

    kept = pareto(scores)
    assert kept.tolist() == [not beaten(row) for row in scores]
    if len(scores):
        assert kept[best_first(scores)[0]]


@given(st.permutations(range(5)))
def test_the_best_does_not_depend_on_the_order_of_registration(order: list[int]) -> None:
    trials = rows(*({"roi": roi, "max_drawdown": fall} for roi, fall in itertools.product((1.0, 2.0), (0.1, 0.2))))
    trials = pl.concat([trials, rows({"roi": 2.0, "trial": 7, "config_hash": "7", "max_drawdown": 0.1})])
    assert BOTH.ranked(trials[order])["trial"].to_list() == [2, 7, 3, 0, 1]
    assert BOTH.front(trials[order])["trial"].to_list() == [2, 7]
