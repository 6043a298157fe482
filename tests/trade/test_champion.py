"""A champion runs only as it was frozen; each thing that is not is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dolphin.errors import BadInput, DolphinError, Refused
from dolphin.trade.champion import champion_to_run, config_to_run
from dolphin.workspace import create

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path):
    """A workspace with this repository's champion."""
    made = create(tmp_path / "home")
    shutil.copytree(REPOSITORY / "promote" / "champions", made.promote / "champions")
    shutil.copy(REPOSITORY / "promote" / "blue.json", made.promote)
    return made


def test_a_changed_file_and_a_changed_lock_are_refused_by_name(home, monkeypatch, tmp_path):
    other = tmp_path / "requirements.lock"
    other.write_text("nothing\n")
    monkeypatch.setattr("dolphin.gate.freeze.lock_file", lambda workspace: other)
    with pytest.raises(Refused, match="library lock: frozen with") as caught:
        champion_to_run(home, "blue")
    assert caught.value.exit_code == 1
    config = next(home.promote.glob("champions/*/config.json"))
    config.chmod(0o644)
    config.write_text(config.read_text() + " ")
    with pytest.raises(Refused, match=r"config\.json: changed since it was frozen"):
        champion_to_run(home, "blue")


def test_a_changed_strategy_is_named(home, monkeypatch):
    monkeypatch.setattr("dolphin.trade.champion.runtime_problems", lambda *_: [])
    monkeypatch.setattr("dolphin.trade.champion.sources", lambda strategy: {"strategy.py": b"another"})
    with pytest.raises(Refused, match=r"strategy source strategy\.py: not as it was frozen"):
        champion_to_run(home, "blue")


def test_no_champion_is_a_mistake_and_a_percentile_is_no_number(home, tmp_path):
    with pytest.raises(DolphinError, match="no green champion"):
        champion_to_run(home, "green")
    path = tmp_path / "c.toml"
    path.write_text('[params]\nvol_p60 = "p60"\n')
    with pytest.raises(BadInput, match="vol_p60 is a percentile of a window"):
        config_to_run(home, path)
