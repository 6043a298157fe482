"""The command as a user has it, and a workspace for it to work on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CONFIG, STUDY, Answer, dolphin
from once import made_once


@pytest.fixture
def call() -> Callable[..., Answer]:
    """Run the command in this process: ``call(home, "data", "list")``."""
    return dolphin


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with config.toml, study.toml, the scanned dataset ``m`` and the run ``run``.

    Nobody writes into it. Tests about bad input compare it before and after.
    """
    return Path(shutil.copytree(made_once(tmp_path_factory, "cli", furnish), tmp_path_factory.mktemp("cli") / "home"))


def furnish(home: Path) -> None:
    """Make the workspace of :func:`pristine`."""
    (home / "runs").mkdir(parents=True)
    (home / "config.toml").write_text(CONFIG)
    (home / "study.toml").write_text(STUDY.format(trials=50))
    generate = "data generate --name m --preset edge --days 3 --assets 8 --spacing 1m --seed 3"
    for arguments in (
        ("init", home),
        generate.split(),
        ("scan", "m"),
        ("backtest", "m", "--config", home / "config.toml", "--out", home / "runs" / "run"),
    ):
        done = dolphin(home, *arguments)
        assert done.code == 0, done.err


@pytest.fixture
def home(pristine: Path, tmp_path: Path) -> Path:
    """A copy of the workspace for tests that write."""
    return Path(shutil.copytree(pristine, tmp_path / "home"))
