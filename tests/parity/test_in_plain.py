"""Indexes outside an array are named with their line: by the rule, and before the first run of a new source."""

from __future__ import annotations

from pathlib import Path

import pytest

import dolphin as dp
from dolphin.core.mistakes import StrategyError
from dolphin.parity.in_plain import look_before_first_run
from dolphin.parity.strategy_conformance import tried
from dolphin.starters.files import start
from dolphin.workspace import Workspace, create


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    home = create(tmp_path)
    start(home, "strategy", "crossing")
    dp.generate("small", days=2, assets=4, spacing="5m", workspace=home)
    return home


def write(home: Workspace, name: str, old: str, new: str) -> int:
    """A copy of the starter with another text in it; the line of that text."""
    source = (home.research / "crossing.py").read_text()
    assert source.count(old) == 1
    (home.research / f"{name}.py").write_text(source.replace(old, new))
    return source[: source.index(old)].count("\n") + 1


def test_the_first_run_of_a_source_is_looked_at_before(home: Workspace) -> None:
    line = write(home, "column", "market.features[i, 1]", "market.features[i, 7]")
    with pytest.raises(StrategyError, match=rf"column\.py:{line}: IndexError: index 7 .* it declares 2 features"):
        dp.backtest("small", "column:STRATEGY", workspace=home)
    # by a late index, in a branch that is not taken at once
    line = write(home, "slot", "ask_open(state.intents[0]", "ask_open(state.intents[3]")
    with pytest.raises(StrategyError, match=rf"slot\.py:{line}: IndexError: "):
        dp.sweep("small", "slot:STRATEGY", search={"fast": [5, 10]}, trials=2, workspace=home)


def test_a_source_that_has_run_is_not_looked_at(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dp.Config("crossing:STRATEGY", workspace=home)
    assert dp.backtest("small", config, workspace=home).metrics["bars"] == 576
    monkeypatch.setattr("dolphin.parity.in_plain.prepare", None)
    look_before_first_run(home, "small", config)
    look_before_first_run(home, "small", dp.Config("vel_div"))  # bundled
    with pytest.raises(TypeError):  # another source of the same file
        write(home, "other", '"CROSSED")', '"LEFT")')
        look_before_first_run(home, "small", dp.Config("other:STRATEGY", workspace=home))


@pytest.mark.slow  # compiled with checks of bounds, which is not kept
def test_the_rule_names_the_line(home: Workspace) -> None:
    line = write(home, "column", "market.features[i, 1]", "market.features[i, 7]")
    rule = tried(dp.Config("column:STRATEGY", workspace=home), "stays inside its arrays")
    assert not rule.passed and rule.bar == 0
    assert f"column.py:{line}: IndexError: index 7 is out of bounds" in rule.detail and "market 'walk'" in rule.detail
