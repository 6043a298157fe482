"""What the evidence ranks among what, and its figures to the last digit: each against numbers made without it."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest

from dolphin.gate.case import judge_case, open_case
from dolphin.gate.evaluation import _measure
from dolphin.gate.evidence.betting import STAKES, e_process
from dolphin.gate.evidence.combining import rank, stouffer
from dolphin.gate.evidence.edge import Edge
from dolphin.gate.evidence.holdout import Unseen
from dolphin.gate.evidence.looks import earlier_families, looks_at
from dolphin.gate.evidence.part import Part
from dolphin.gate.evidence.pbo import cscv
from dolphin.gate.evidence.resampling import drawdown_of, interval, reality_check, sharpe_of, stationary_rows
from dolphin.gate.evidence.searches import configs_of, find_search
from dolphin.gate.evidence.shifting import shifted
from dolphin.gate.policy import read_policy
from dolphin.study.measure.measured import measure
from dolphin.study.trials.holdouts import Holdouts
from dolphin.study.trials.markets import remember
from dolphin.study.trials.registry import Registry, trial_frame
from dolphin.times import DAY_NS


def test_figures_of_resamples() -> None:
    two = np.array([[0.01, 0.03]])
    assert sharpe_of(two)[0] == pytest.approx(math.sqrt(365.0) * 0.02 / (0.02 / math.sqrt(2.0)), rel=1e-12)
    assert drawdown_of(np.array([[-0.5, 0.1], [0.1, -0.1]])) == pytest.approx([0.5, 0.1])
    low, high = interval(np.arange(1000.0), lambda drawn: drawn[:, 0], resamples=4000)
    assert (low, high) == (pytest.approx(50.0, abs=15.0), pytest.approx(950.0, abs=15.0))


def test_reality_check_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    returns = np.random.default_rng(6).normal(size=(20, 40))
    rows = stationary_rows(40, 199, 5.0, 9)
    best = [max(trial[row].mean() - trial.mean() for trial in returns) for row in rows]
    expected = (1 + sum(value >= returns.mean(axis=1).max() for value in best)) / 200
    assert 0.1 < expected < 1.0
    for chunk in (1024, 7):
        monkeypatch.setattr("dolphin.gate.evidence.resampling.CHUNK", chunk)
        assert reality_check(returns, 199, 5.0, 9)[0] == expected


def test_overfitting_by_the_ratio() -> None:
    """By hand: 4 blocks of 3 days, the first day is one too many, ratios by the population's deviation."""
    rng = np.random.default_rng(4)
    returns = rng.normal(0.001, 0.01, (9, 13)) * np.geomspace(0.1, 10.0, 9)[:, None]
    cut, logits = returns[:, 1:].reshape(9, 4, 3), []
    for chosen in combinations(range(4), 2):
        here, there = (
            np.array([trial[list(half)].mean() / trial[list(half)].std() for trial in cut])
            for half in (chosen, sorted({0, 1, 2, 3} - {*chosen}))
        )
        place = (there <= there[here.argmax()]).sum() / 10
        logits.append(math.log(place / (1 - place)))
    assert cscv(returns, 4).logits == pytest.approx(logits, abs=1e-5)


def test_the_first_bets() -> None:
    history = np.array([1.0, -1.0, 1.0, -1.0])
    first, second = (float(np.std([*history, *more], ddof=1)) for more in ((), (2.0,)))
    found = e_process(np.array([2.0, 1.0]), history)
    bets = [(1 + k * 2.0 / first, 1 + k * 1.0 / second) for k in STAKES]
    assert found == pytest.approx([np.mean([a for a, _ in bets]), np.mean([a * b for a, b in bets])], rel=1e-12)


@pytest.mark.parametrize(
    ("p", "p_b", "searched", "passed"),
    [(0.04, 0.2, True, True), (0.06, 0.2, True, False), (0.04, 0.31, True, False), (0.04, 0.31, False, True)],
)
def test_both_limits_count(p: float, p_b: float, searched: bool, passed: bool) -> None:
    part = Part(0.01, "search rerun", "") if searched else None
    found = Edge(part, Part(p_b, "shifted signals", ""), p, 0.05, 0.3, 1, 64, Unseen(0, 9, 0, 9, 9.0, False, None))
    assert found.passed == passed and ("is within" in found.guard_sentence) == (p_b <= 0.3)


@pytest.mark.slow
def test_what_is_ranked_among_what(searched: Any) -> None:
    """The search's best against the best of all its trials on shifted rows; the candidate on the holdout's rows."""
    candidate = searched.candidate()
    measured = _measure(candidate, candidate.config, None)
    case = open_case(searched.workspace, candidate)
    edge = judge_case(searched.workspace, case, measured, read_policy(searched.workspace))
    assert edge.search is not None and edge.p == stouffer(edge.search.p, edge.holdout.p)
    config, market = measured.config, measured.market
    start, stop = candidate.start, candidate.stop
    assert edge.holdout.value == measure([config], market, start, stop).metrics["sharpe_365"][0]
    for place in (0, 57):
        there = shifted(market, start, stop, edge.holdout.more["shifts"][place])
        assert edge.holdout.others[place] == measure([config], there, start, stop).metrics["sharpe_365"][0]
    assert edge.holdout.p == rank(edge.holdout.value, list(edge.holdout.others)) and len(edge.holdout.others) == 199
    search = find_search(searched.workspace, config.hash, candidate.dataset.digest)
    assert search is not None and edge.search.value == search.row_of(candidate.config.hash)["sharpe_365"]
    trials = configs_of(search.rows["config"].to_list(), searched.workspace)
    for place in (0, 41):
        there = shifted(market, 0, start, edge.search.more["shifts"][place])
        found = measure(trials, there, 0, start).metrics
        assert edge.search.others[place] == found["sharpe_365"][found["trades"] >= 5].max()
    assert edge.search.p == rank(edge.search.value, list(edge.search.others)) and len(edge.search.others) == 99


def test_a_declared_holdout_is_meant_wherever_the_judged_window_lies(searched: Any) -> None:
    candidate = searched.candidate()
    search = find_search(searched.workspace, candidate.config.hash, candidate.dataset.digest)
    assert search is not None
    last = candidate.dataset.last_ts
    Holdouts(searched.workspace).declare(candidate.dataset, last - 5 * DAY_NS, last, "s", search.study_hash)
    unseen = open_case(searched.workspace, candidate).unseen
    assert (unseen.first_ts, unseen.last_ts, unseen.declared) == (last - 5 * DAY_NS, last, True)
    assert unseen.entry is not None and unseen.entry["action"] == "open"


def test_another_study_s_holdout_among_the_judged_bars_is_opened(searched: Any) -> None:
    candidate = searched.candidate()
    last, holdouts = candidate.dataset.last_ts, Holdouts(searched.workspace)
    holdouts.declare(candidate.dataset, last - 3 * DAY_NS, last, "another", "its hash")
    open_case(searched.workspace, candidate)
    opened = [(e["first_ts"], e["last_ts"]) for e in holdouts.entries() if e["action"] == "open"]
    assert len(opened) == 2 and (last - 3 * DAY_NS, last) in opened


def test_looks_under_other_times_and_states(searched: Any) -> None:
    """A copy whose times were moved by nine days is the same market, at the same time."""
    dataset, home = searched.candidate().dataset, searched.workspace
    kept = remember(home, dataset)
    moved = pl.read_parquet(kept).with_columns(pl.col("ts") + 9 * DAY_NS)
    moved.write_parquet(kept.with_name(kept.name.replace(dataset.digest[:32], "c0de" * 8)))
    base = {"study": "other", "state": "done", "dataset": "copy", "dataset_digest": "c0de" * 16, "time_ns": 7}
    span = {"first_ts": dataset.last_ts + 2 * DAY_NS, "last_ts": dataset.last_ts + 9 * DAY_NS}
    before = looks_at(home, dataset).count(dataset.last_ts - DAY_NS, dataset.last_ts)
    rows = [base | span | {"config_hash": "x"}, base | span | {"config_hash": "never ran", "state": "invalid"}]
    Registry(home).append(trial_frame(rows))
    looks = looks_at(home, dataset)
    assert looks.count(dataset.last_ts - DAY_NS, dataset.last_ts) == before + 1
    assert "x" in earlier_families(home, looks, dataset, dataset.last_ts - DAY_NS, dataset.last_ts, "new")
