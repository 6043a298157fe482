"""A market with a planted edge, searched on its first nine days, and the best of it judged on the next seven."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from dolphin.catalog import generate
from dolphin.gate import Candidate, find_candidate
from dolphin.study.definition.spec import Study, read_study
from dolphin.study.sweep import sweep
from dolphin.workspace import Workspace, create

STUDY = """\
dataset = "e"
to = "2025-01-10"
trials = 64
min_trades = 5
[config.params]
vol_gate_mode = "off"
vol_p60 = "p60"
[search]
short_threshold = { low = -0.05, high = -0.005 }
tp_pct = { low = 0.004, high = 0.02 }
max_hold_bars = { low = 20, high = 120, step = 5 }
"""
UNSEEN = "2025-01-10"


@dataclass(frozen=True)
class Searched:
    """A workspace with the dataset ``e`` and the study ``s`` that has run."""

    workspace: Workspace

    @property
    def study(self) -> Study:
        return read_study(self.workspace.experiments / "s.toml")

    def candidate(self, start: str | None = UNSEEN) -> Candidate:
        """The best of the study, on the days from ``start`` on."""
        best = self.workspace.experiments / "s" / "best.toml"
        return find_candidate(self.workspace, str(best), dataset="e", start=start)


@pytest.fixture(scope="module")
def pristine_search(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    home = create(tmp_path_factory.mktemp("searched") / "w")
    generate(home, "e", preset="edge", days=16, assets=10, spacing_ns=60 * 10**9, seed=6)
    (home.experiments / "s.toml").write_text(STUDY)
    found = Searched(home)
    sweep(home, found.study)
    return found


@pytest.fixture
def searched(pristine_search: Searched, tmp_path: Path) -> Searched:
    """A copy that a test may write into."""
    return Searched(Workspace(Path(shutil.copytree(pristine_search.workspace.root, tmp_path / "w"))))
