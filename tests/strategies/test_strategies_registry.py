from __future__ import annotations

from pathlib import Path

import pytest

from dolphin.core.strategy import Strategy
from dolphin.errors import DolphinError
from dolphin.strategies import BUNDLED, load, presets

OWN = """
from dataclasses import replace
from dolphin.strategies.vel_div import VEL_DIV
PRESETS = {"mine": {"tp_pct": 0.5}}
COPY = replace(VEL_DIV, name="copy")
NUMBER = 3
"""


@pytest.fixture
def research(tmp_path: Path) -> Path:
    (tmp_path / "own_idea.py").write_text(OWN)
    return tmp_path


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_bundled_strategies_are_whole(name: str) -> None:
    strategy = load(name)
    assert isinstance(strategy, Strategy) and strategy.name == name
    assert strategy is load(name)
    defaults = strategy.params()
    assert strategy.warmup_bars(defaults) > 0 and strategy.slots_of(3) >= 1
    assert strategy.reasons[0] == "" and len(set(strategy.reasons)) == len(strategy.reasons)
    assert strategy.source.is_file()
    for values in presets(strategy).values():
        assert strategy.params(**values) is not None


def test_an_own_strategy_of_the_workspace(research: Path) -> None:
    strategy = load("own_idea:COPY", research)
    assert strategy.name == "copy" and load("own_idea:COPY", research) is strategy


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vel_dev", "unknown strategy 'vel_dev'; did you mean 'vel_div'?"),
        ("", "unknown strategy ''; known: breakout, cross_momentum, pair_reversion, vel_div, vel_div_sleeves"),
        ("own_ide:COPY", "own_ide.py: no such strategy module; did you mean 'own_idea'?"),
        ("own_idea:COPIES", "own_idea.py: defines no Strategy named 'COPIES'"),
        ("own_idea:NUMBER", "own_idea.py: defines no Strategy named 'NUMBER'"),
        ("own_idea:", "own_idea.py: defines no Strategy named ''"),
        (":COPY", "needs a module of the workspace's research folder"),
        ("../own_idea:COPY", "needs a module of the workspace's research folder"),
        ("os.path:join", "needs a module of the workspace's research folder"),
    ],
)
def test_what_cannot_be_loaded_says_why(research: Path, name: str, said: str) -> None:
    with pytest.raises(DolphinError) as caught:
        load(name, research)
    assert said in str(caught.value)


def test_without_a_workspace_there_are_only_bundled_ones() -> None:
    with pytest.raises(DolphinError, match="needs a module of the workspace's research folder"):
        load("own_idea:COPY")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("1 / 0", "does not import: ZeroDivisionError: division by zero"),
        ("def (", "does not import: SyntaxError"),
        ("import no_such_module_anywhere", "does not import: ModuleNotFoundError"),
    ],
)
def test_a_module_that_does_not_import_is_named_and_forgotten(research: Path, code: str, said: str) -> None:
    file = research / "broken.py"
    file.write_text(code)
    with pytest.raises(DolphinError) as caught:
        load("broken:X", research)
    assert f"{file}:1: {said}" in str(caught.value)
    file.write_text(OWN)
    assert load("broken:COPY", research).name == "copy"


def test_two_workspaces_may_have_a_module_of_one_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "twin.py").write_text(OWN.replace('"copy"', f'"copy_{name}"'))
    names = [load("twin:COPY", tmp_path / folder).name for folder in ("a", "b", "a")]
    assert names == ["copy_a", "copy_b", "copy_a"]
