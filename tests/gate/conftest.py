"""One small generated market with a planted edge, and floors and a policy that fit its six days."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolphin.catalog import generate
from dolphin.gate import Candidate, find_candidate
from dolphin.gate.floors import DEFAULT
from dolphin.gate.policy import DEFAULT as POLICY
from dolphin.workspace import Workspace, create

MINUTE = 60_000_000_000

CONFIG = """\
[params]
vol_gate_mode = "off"
soft_cap = 2.0
short_threshold = -0.01
"""

#: The package's floors on windows that the small market has, with limits that it meets.
SMALL = {
    "days = 55": "days = 5",
    "days = 10": "days = 2",
    "limit = 1.08": "limit = 0.1",
    "limit = 0.42": "limit = 0.1",
    "limit = -0.05": "limit = -0.5",
    "limit = 1.5": "limit = -100.0",
    "limit = 0.35": "limit = -0.5",
    "limit = 2.0": "limit = -100.0",
}


def small_floors() -> str:
    text = DEFAULT.read_text()
    for old, new in SMALL.items():
        assert old in text
        text = text.replace(old, new)
    return text


def mild_policy() -> str:
    """A policy that any candidate of the small market meets: what is tested with it is not the evidence."""
    text = POLICY.read_text()
    for old, new in {"total = 0.05": "total = 1.0", "guard = 0.30": "guard = 1.0"}.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The market ``edge``: six days of one-minute bars of six assets."""
    made = create(tmp_path_factory.mktemp("gate") / "workspace")
    generate(made, "edge", preset="edge", days=6, assets=6, spacing_ns=MINUTE, seed=3)
    (made.promote / "floors.toml").write_text(small_floors())
    (made.promote / "policy.toml").write_text(mild_policy())
    (made.root / "candidate.toml").write_text(CONFIG)
    return made


@pytest.fixture(scope="module")
def candidate(workspace: Workspace) -> Candidate:
    return find_candidate(workspace, str(workspace.root / "candidate.toml"), dataset="edge")


@pytest.fixture
def config_file(workspace: Workspace) -> Path:
    return workspace.root / "candidate.toml"
