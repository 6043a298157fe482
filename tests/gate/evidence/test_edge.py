"""Search and holdout against shifted signals: whatever the threads, resumed, and with every fallback."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from dolphin.config import parse_config
from dolphin.gate import Candidate, find_candidate
from dolphin.gate.anchors import rules_problems
from dolphin.gate.case import judge_case, open_case
from dolphin.gate.evaluation import _measure, evaluate
from dolphin.gate.evidence.combining import spent, stouffer
from dolphin.gate.evidence.edge import Edge
from dolphin.gate.evidence.searches import CannotRerun, Rerun, find_search
from dolphin.gate.evidence.shifting import draw_shifts, least_rows, scores_under, seed_of, shifted
from dolphin.gate.policy import Policy, read_policy
from dolphin.gate.second_look import _edge
from dolphin.gate.unshifted import search_by_returns
from dolphin.report import gate_page
from dolphin.study.definition.spec import read_study
from dolphin.study.measure.measured import measure
from dolphin.study.sweep import sweep
from dolphin.study.trials.choice import Choice
from dolphin.study.trials.holdouts import Holdouts


def judged(searched: Any, candidate: Any = None, policy: Policy | None = None) -> Edge:
    candidate = candidate or searched.candidate()
    case = open_case(searched.workspace, candidate)
    measured = _measure(candidate, candidate.config, None)
    return judge_case(searched.workspace, case, measured, policy or read_policy(searched.workspace))


@pytest.mark.slow
def test_a_planted_edge_is_found_and_the_verdict_says_why(searched: Any) -> None:
    report = evaluate(searched.workspace, searched.candidate(), tier2=False, parity=False)
    edge = report.evidence["edge"]
    assert report.answers["edge"]["answer"] == "yes" and report.answers["floors"]["answer"] == "no"
    assert edge["search"]["method"] == "search rerun" and len(edge["search"]["under_shifts"]) == 99
    assert edge["holdout"]["method"] == "shifted signals" and len(edge["holdout"]["under_shifts"]) == 199
    assert edge["p"] == stouffer(edge["search"]["p"], edge["holdout"]["p"]) <= edge["alpha"] == 0.05
    assert report.evidence["looks"]["looks_at_this_market_and_time"] == 64
    names = [a["name"] for a in report.evidence["advisory"]]
    assert names[:4] == [
        "probabilistic Sharpe ratio", "minimum track record, days", "deflated Sharpe ratio",
        "profit factor, lower end of 90 %",
    ]  # fmt: skip
    assert names[-1] == "trades" and len(report.evidence["chances"]["floors"]) == len(report.floors)
    document = report.as_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    page = gate_page(document)
    assert page.count("<svg") >= 12 and page.index("Is there an edge?") < page.index("<h2>Floors")
    assert "not measured here" in page


@pytest.mark.slow
def test_a_verdict_can_be_had_again_bit_for_bit(searched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = judged(searched).document()
    kept = sorted((searched.workspace.promote / ".shifts").glob("*.json"))
    assert len(kept) == 2
    monkeypatch.setattr(Rerun, "best", lambda *_: pytest.fail("what is finished is not run again"))
    assert judged(searched).document() == first
    monkeypatch.undo()
    for path in kept:
        path.unlink()
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert judged(searched).document() == first


@pytest.mark.slow
def test_an_interrupted_rerun_goes_on(searched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, calls = Rerun.best, []

    def stop(self: Rerun, shift: int, on_done: Any = None) -> float:
        if len(calls) == 30:
            raise KeyboardInterrupt
        calls.append(shift)
        return whole(self, shift)

    monkeypatch.setattr(Rerun, "best", stop)
    with pytest.raises(KeyboardInterrupt):
        judged(searched)
    again: list[int] = []
    monkeypatch.setattr(Rerun, "best", lambda self, shift, on_done=None: again.append(shift) or whole(self, shift))
    found = judged(searched)
    assert len(again) == 69 and not {*again} & {*calls}
    for path in (searched.workspace.promote / ".shifts").glob("*.json"):
        path.write_text(path.read_text().replace("0.", "1.", 1))  # not whole any more: run again
    monkeypatch.undo()
    assert judged(searched).document() == found.document()


def test_shifts_are_the_engine_on_rolled_features(searched: Any) -> None:
    candidate = searched.candidate()
    market = _measure(candidate, candidate.config, None).market
    start, stop = candidate.start, candidate.stop
    moved = shifted(market, start, stop, 700)
    assert np.array_equal(moved.features[start + 700 : stop], market.features[start : stop - 700], equal_nan=True)
    assert np.array_equal(moved.features[:start], market.features[:start], equal_nan=True)
    assert moved.price is market.price and shifted(market, start, stop, 0) is market
    found = scores_under(candidate.config, market, start, stop, [0, 700], Choice(), threads=2)
    for score, there in zip(found, (market, moved), strict=True):
        assert score == measure([candidate.config], there, start, stop).metrics["sharpe_365"][0]


def test_shifts_are_drawn_without_repeats_and_by_content() -> None:
    shifts = draw_shifts(1000, 300, 199, seed_of(1, "a"))
    assert len({*shifts}) == 199 and min(shifts) >= 300 and max(shifts) <= 700
    assert shifts == draw_shifts(1000, 300, 199, seed_of(1, "a")) != draw_shifts(1000, 300, 199, seed_of(1, "b"))
    assert draw_shifts(600, 300, 9, [1]) == [300] and draw_shifts(599, 300, 9, [1]) == []
    assert least_rows(0.5, 60 * 10**9) == 720


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_without_its_study_a_search_is_checked_by_its_returns(searched: Any, damage: str) -> None:
    path = searched.workspace.experiments / "s" / "study.json"
    path.unlink() if damage == "missing" else path.write_text(path.read_text().replace('"seed": 1', '"seed": 2'))
    found = judged(searched)
    assert found.search is not None and found.search.method in ("reality check", "none")
    assert "cannot be rerun" in found.search.words and found.search.p > 1 / 1001


def test_a_search_that_gives_other_results_is_not_rerun(searched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = searched.candidate()
    found = find_search(searched.workspace, candidate.config.hash, candidate.dataset.digest)
    assert found is not None and found.rows.height == 64 and found.returns.shape == (64, 10)
    scores = Rerun.scores
    monkeypatch.setattr(Rerun, "scores", lambda self, shift, on_done=None: scores(self, 700))
    with pytest.raises(CannotRerun, match="other results than are registered"):
        Rerun(searched.workspace, found, candidate.dataset)


def test_few_trials_leave_it_to_the_holdout(searched: Any) -> None:
    text = (searched.workspace.promote / "policy.toml").read_text()
    (searched.workspace.promote / "policy.toml").write_text(text.replace("least_trials = 50", "least_trials = 65"))
    found = judged(searched)
    assert found.search is None and found.p == found.holdout.p and found.trials == 64
    assert found.sentence.startswith("the holdout alone: p = 0.1") and "is not within 0.05" in found.sentence


def test_what_the_search_has_seen_is_no_holdout(searched: Any) -> None:
    seen = searched.candidate(start=None)  # all sixteen days: the last seven count
    case = open_case(searched.workspace, seen)
    assert (case.unseen.start, case.unseen.stop) == (searched.candidate().start, seen.stop)
    inside = searched.candidate(start="2025-01-02")
    inside = type(inside)(**{**vars(inside), "stop": searched.candidate().start - 10})
    found = judged(searched, inside)
    assert found.holdout.p == 1.0 and not found.passed and "no untouched holdout" in found.holdout.words


@pytest.mark.slow
def test_later_configurations_on_one_holdout_have_less_left(searched: Any) -> None:
    first = judged(searched)
    assert (first.family, first.alpha) == (1, 0.05)
    candidate = searched.candidate()
    other = type(candidate)(**{**vars(candidate), "config": candidate.config.with_values({"max_hold_bars": 33})})
    second = judged(searched, other)
    assert (second.family, second.alpha) == (2, spent(0.05, 2)) and "configuration 2" in second.sentence
    assert judged(searched).family == 1  # the first stays the first
    opened = [e["config_hash"] for e in Holdouts(searched.workspace).entries()]
    assert opened == [candidate.config.hash, other.config.hash]


def test_other_searches_of_the_market_count(searched: Any) -> None:
    alone = judged(searched)
    assert alone.search is not None
    path = searched.workspace.experiments / "more.toml"
    path.write_text(
        (searched.workspace.experiments / "s.toml").read_text() + "min_alignment = { low = 0.0, high = 0.3 }\n"
    )
    sweep(searched.workspace, read_study(path))
    both = judged(searched)
    assert both.search is not None and both.search.more["looks_outside"] == 64
    assert both.search.p == pytest.approx(1.0 - (1.0 - alone.search.p) ** 2)


def test_a_search_that_learns_is_rerun_by_its_sampler(searched: Any) -> None:
    path = searched.workspace.experiments / "learns.toml"
    text = (searched.workspace.experiments / "s.toml").read_text()
    path.write_text('sampler = { name = "cmaes", population = 16 }\n' + text)
    sweep(searched.workspace, read_study(path))
    best = searched.workspace.experiments / "learns" / "best.toml"
    candidate = find_candidate(searched.workspace, str(best), dataset="e", start="2025-01-10")
    found = find_search(searched.workspace, candidate.config.hash, candidate.dataset.digest)
    assert found is not None and found.sampler == "cmaes"
    rerun = Rerun(searched.workspace, found, candidate.dataset)
    one, two = rerun.best(1500), rerun.best(3000)
    assert one != two and np.isfinite([one, two]).all() and rerun.best(1500) == one


@pytest.mark.slow
def test_a_strategy_without_signals_is_judged_by_its_days(searched: Any) -> None:
    candidate = searched.candidate()
    config = parse_config({"strategy": "cross_momentum", "params": {"lookback": 30, "rebalance_bars": 30}}, where="t")
    plain = Candidate("plain", "config", config, candidate.dataset, candidate.start, candidate.stop, {})
    found = judged(searched, plain)
    assert found.holdout.method == "resampled days" and 0.0 < found.holdout.p <= 1.0


@pytest.mark.slow
def test_the_judge_asks_the_registry_for_the_search(searched: Any) -> None:
    """A search that was left out, or whose reality check is told smaller than it is, is not believed."""
    home, candidate = searched.workspace, searched.candidate()
    (home.experiments / "s" / "study.json").unlink()
    found = judged(searched)
    assert found.search is not None and found.search.method == "reality check"
    policy, digest = read_policy(home), candidate.config.hash
    p = search_by_returns(home, candidate.dataset, digest, policy)
    assert p == found.search.p and search_by_returns(home, candidate.dataset, "another", policy) is None
    opening = Holdouts(home).entries()[-1]["hash"]
    report = {
        "candidate": {"config_hash": digest, "opened_as": digest},
        "evidence": {"edge": found.document(), "holdout": {"opening": opening}},
    }
    kept, again = copy.deepcopy(report), copy.deepcopy(report)
    assert not any("registry" in line for line in _edge(home, report, candidate.dataset))
    report["evidence"]["edge"]["search"]["p"] /= 2.0
    assert any("by the registry, and was told as" in line for line in _edge(home, report, candidate.dataset))
    kept["evidence"]["edge"]["search"] = None
    assert any("is not the registry's" in line for line in _edge(home, kept, candidate.dataset))
    other = searched.workspace.experiments / "more.toml"
    other.write_text((home.experiments / "s.toml").read_text() + "min_alignment = { low = 0.0, high = 0.3 }\n")
    sweep(home, read_study(other))
    assert search_by_returns(home, candidate.dataset, digest, policy) == pytest.approx(1.0 - (1.0 - p) ** 2)
    assert any(
        "64 looks outside" in line and "and 0 were told" in line for line in _edge(home, again, candidate.dataset)
    )
    text = (home.promote / "policy.toml").read_text()
    (home.promote / "policy.toml").write_text(text.replace("least_trials = 50", "least_trials = 65"))
    assert search_by_returns(home, candidate.dataset, digest, read_policy(home)) is None


@pytest.mark.parametrize("rules", ["floors", "policy"])
def test_rules_that_were_changed_after_the_search(searched: Any, rules: str) -> None:
    """What a search is judged by is written down where its holdout is declared, before a trial has run."""
    home, candidate = searched.workspace, searched.candidate()
    study, dataset = searched.study, candidate.dataset
    first, last = (int(ts) for ts in dataset.grid()[[candidate.start, candidate.stop - 1]])
    Holdouts(home).declare(dataset, first, last, study.name, study.hash)
    Holdouts(home).declare(dataset, first, last - 1, "another", "another")
    found = judged(searched)
    opening = Holdouts(home).entries()[-1]["hash"]
    about = {"config_hash": candidate.config.hash, "opened_as": candidate.config.hash}
    report = {"candidate": about, "evidence": {"edge": found.document(), "holdout": {"opening": opening}}}
    assert rules_problems(home, candidate.config.hash) == []
    path = home.promote / f"{rules}.toml"
    path.write_text(path.read_text() + "# stricter, who knows\n")
    (problem,) = rules_problems(home, candidate.config.hash)
    assert problem.startswith(f"{rules}.toml is not the one that the search was declared with (line 1 of")
    assert problem in [*_edge(home, report, dataset)]
    checks = evaluate(home, candidate, tier2=False, parity=False).checks
    assert [check.detail for check in checks if check.name == "rules" and not check.passed] == [problem]
    assert rules_problems(home, "no search of it") == []
