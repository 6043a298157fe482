from __future__ import annotations

import os
import shlex
import tomllib
from pathlib import Path

import pytest

from dolphin import workspace
from dolphin.catalog import generate
from dolphin.cli import main
from dolphin.config import read_config
from dolphin.core.mistakes import StrategyError
from dolphin.errors import DolphinError
from dolphin.parity.debugging import debug
from dolphin.starters import KINDS, start, start_example
from dolphin.times import parse_spacing


@pytest.fixture
def home(tmp_path: Path) -> workspace.Workspace:
    made = workspace.create(tmp_path / "home")
    generate(made, "demo", preset="edge", days=3, assets=4, spacing_ns=parse_spacing("5m"), seed=1)
    return made


def run(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A command as it is typed in a folder."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DOLPHIN_HOME", raising=False)
    words = shlex.split(line)
    assert words[0] == "dolphin"
    return main(words[1:])


def test_a_new_strategy_runs_as_it_is(home: workspace.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("dolphin new strategy crossing", home.root, monkeypatch) == 0
    assert run("dolphin backtest demo --config research/crossing.toml --out runs/crossing", home.root, monkeypatch) == 0
    assert (home.root / "runs" / "crossing" / "trades.parquet").is_file()
    assert run("dolphin new study first --strategy crossing:STRATEGY", home.root, monkeypatch) == 0
    study = tomllib.loads((home.experiments / "first.toml").read_text())
    assert study["dataset"] == "demo" and study["search"]["fast"] == {"low": 5, "high": 20, "step": 5}
    assert study["trials"] == 16


def test_a_new_study_asks_as_often_as_there_is_something_to_ask(home: workspace.Workspace) -> None:
    start(home, "strategy", "crossing")
    source = (home.research / "crossing.py").read_text()
    one = "slow: Annotated[int, Field(ge=2, le=2000)] = 50"
    assert one in source
    (home.research / "single.py").write_text(source.replace(one, "slow: int = 1"))
    start(home, "study", "single", strategy="single:STRATEGY")
    study = tomllib.loads((home.experiments / "single.toml").read_text())
    assert study["trials"] == 4 and list(study["search"]) == ["fast"]
    none = "fast: Annotated[int, Field(ge=2, le=500)] = 10"
    (home.research / "shares.py").write_text(source.replace(one, "slow: int = 1").replace(none, "fast: int = 1"))
    start(home, "study", "shares", strategy="shares:STRATEGY")
    study = tomllib.loads((home.experiments / "shares.toml").read_text())
    assert study["trials"] == 16 and study["search"] == {"share": {"low": 0.475, "high": 1.9}}


def test_plain_python_prints_and_checks_bounds(
    home: workspace.Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start(home, "strategy", "crossing")
    source = (home.research / "crossing.py").read_text()
    told = source.replace("    slot = state", "    print('seen', i)\n    slot = state")
    (home.research / "talking.py").write_text(told)
    assert run("dolphin check strategy talking:STRATEGY --debug", home.root, monkeypatch) == 0
    out = capsys.readouterr().out
    assert "seen 549" in out and "8 trades" in out
    (home.research / "outside.py").write_text(source.replace("features[i, 1]", "features[i, 2]"))
    (home.research / "outside.toml").write_text('strategy = "outside:STRATEGY"\n')
    with pytest.raises(StrategyError, match=r"outside\.py:37: IndexError: index 2 is out of bounds .* \(at bar 0"):
        debug(home, read_config(home.research / "outside.toml"))
    assert run("dolphin check feature x demo --debug", home.root, monkeypatch) == 2


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        ("strateg", "x", "did you mean 'strategy'"),
        ("strategy", "My-Idea", "no name of a module"),
        ("strategy", "class", "no name of a module"),
        ("study", "x", "is there already"),
    ],
)
def test_what_is_not_begun(tmp_path: Path, kind: str, name: str, says: str) -> None:
    home = workspace.create(tmp_path)
    (home.experiments / "x.toml").write_text("mine")
    with pytest.raises(DolphinError, match=says):
        start(home, kind, name)
    assert (home.experiments / "x.toml").read_text() == "mine" and not list(home.research.glob("*.py"))


def test_every_kind_has_files(tmp_path: Path) -> None:
    home = workspace.create(tmp_path)
    for kind in KINDS:
        started = start(home, kind, f"a_{kind}")
        assert started.files and started.next and all((home.root / path).is_file() for path in started.files)


@pytest.mark.slow
def test_the_example_and_all_that_it_says_comes_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = start_example(tmp_path / "lab")
    monkeypatch.setitem(os.environ, "NUMBA_NUM_THREADS", "1")
    for line in started.next:
        assert run(line, tmp_path / "lab", monkeypatch) == 0, line
    feature = start(workspace.Workspace(tmp_path / "lab"), "feature", "level")
    for line in feature.next:
        assert run(line, tmp_path / "lab", monkeypatch) == 0, line
