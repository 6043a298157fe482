"""Ways in which a worthless strategy was once promoted: the judged window was searched, or windows were shopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dolphin.gate import Candidate, find_candidate
from dolphin.gate.case import judge_case, open_case
from dolphin.gate.evaluation import _measure
from dolphin.gate.evidence.combining import spent
from dolphin.gate.evidence.edge import Edge
from dolphin.gate.policy import read_policy
from dolphin.study.trials.registry import Registry, trial_frame


def judged(searched: Any, candidate: Candidate) -> Edge:
    case = open_case(searched.workspace, candidate)
    measured = _measure(candidate, candidate.config, None)
    return judge_case(searched.workspace, case, measured, read_policy(searched.workspace))


@pytest.mark.slow
def test_a_sweep_on_the_judged_window(searched: Any) -> None:
    best = searched.workspace.experiments / "s" / "best.toml"
    mine = find_candidate(searched.workspace, str(best), dataset="e", stop="2025-01-10")
    found = judged(searched, mine)
    assert not found.passed and found.holdout.p == 1.0
    assert "no bars are left that the search has not seen" in found.holdout.words


def test_the_best_of_a_sweep_under_another_hash(searched: Any, tmp_path: Path) -> None:
    """A digit that changes nothing makes a configuration that no search met: all that were are before it."""
    text = (searched.workspace.experiments / "s" / "best.toml").read_text()
    file = tmp_path / "mine.toml"
    file.write_text(text.replace("[params]", "[account]\ninitial_capital = 25000.5\n\n[params]", 1))
    if "initial_capital = 25000.0" in text:
        file.write_text(text.replace("initial_capital = 25000.0", "initial_capital = 25000.5"))
    found = judged(searched, find_candidate(searched.workspace, str(file), dataset="e", stop="2025-01-10"))
    assert found.search is None and found.family == 65
    assert found.alpha == spent(0.05, 65) < 1e-5 and not found.passed


@pytest.mark.parametrize("windows", [1, 4])
def test_windows_that_were_shopped(searched: Any, windows: int) -> None:
    """Other configurations tried by hand on windows that touch the holdout: each costs a share of the level."""
    dataset = searched.candidate().dataset
    rows = []
    for k in range(windows):
        rows.append(
            {
                "study": "by hand", "state": "done", "role": "backtest", "config_hash": f"tried {k}", "time_ns": 7 + k,
                "dataset": "e", "dataset_digest": dataset.digest, "first_ts": dataset.last_ts - (k + 1) * 10**15,
                "last_ts": dataset.last_ts,
            }
        )  # fmt: skip
    Registry(searched.workspace).append(trial_frame(rows))
    found = judged(searched, searched.candidate())
    assert found.family == 1 + windows and found.alpha == spent(0.05, 1 + windows)
    assert "what is left for configuration" in found.sentence
