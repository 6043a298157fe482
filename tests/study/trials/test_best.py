"""Which trials can be the best of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dolphin.study.definition.spec import read_study
from dolphin.study.trials.best import best_trials
from dolphin.study.trials.registry import Registry, trial_frame
from dolphin.workspace import Workspace, create

STUDY = """\
dataset = "m"
trials = 4
min_trades = 5
objective = {objective}
direction = {direction}
[search]
tp_pct = {{ low = 0.001, high = 0.01 }}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create(tmp_path / "w")


def trial(number: int, sharpe: float, **other: Any) -> dict[str, Any]:
    row = {"trades": 10, "sharpe_365": sharpe, "max_drawdown": 0.1, "ruined": False, "state": "done"} | other
    return {"trial": number, "config_hash": str(number), "dataset_digest": "d", "config": "{}"} | row


@pytest.mark.parametrize(
    ("objective", "direction"),
    [('"sharpe_365"', '"maximize"'), ('["sharpe_365", "max_drawdown"]', '["maximize", "minimize"]')],
)
def test_neither_the_ruined_nor_the_idle_is_the_best(workspace: Workspace, objective: str, direction: str) -> None:
    path = workspace.experiments / "s.toml"
    path.write_text(STUDY.format(objective=objective, direction=direction))
    study = read_study(path)
    rows = [
        trial(0, 9.0, ruined=True, max_drawdown=0.01),  # its Sharpe ratio is that of the days before the ruin
        trial(1, 8.0, trades=4, max_drawdown=0.01),
        trial(2, float("nan")),
        trial(3, 7.0, state="pruned", max_drawdown=0.01),
        trial(4, 1.0),
        trial(5, 2.0, ruined=None),  # registered before ruin was told
        trial(6, 8.5, dataset_digest="other", max_drawdown=0.01),
        trial(7, float("inf"), max_drawdown=0.01),
        trial(8, 8.0, role="search", fold=0, max_drawdown=0.01),  # of a train window
        trial(9, 8.0, role="test", fold=0, max_drawdown=0.01),
    ]
    Registry(workspace).append(trial_frame([row | {"study_hash": study.hash} for row in rows]))
    found = best_trials(Registry(workspace), study, "d")["trial"].to_list()
    assert found == ([5, 4] if len(study.objectives) == 1 else [5])
