"""A backtest or a stress test killed at any moment: run again, it is one look and leaves no rubbish."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from command_line import Answer, dolphin, environment
from thorough import thorough

from dolphin.files import publish_folder
from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace

Call = Callable[..., Answer]
DRIVER = Path(__file__).with_name("killed_backtest.py")


def killed(home: Path, moment: str, *arguments: object) -> None:
    words = [sys.executable, str(DRIVER), moment, *map(str, arguments)]
    done = subprocess.run(words, env=environment(home), capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr


def rows(home: Path) -> pl.DataFrame:
    return Registry(Workspace(home)).trials().collect()


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(".*") if path.suffix in (".part", ".old"))


@pytest.mark.slow
@pytest.mark.parametrize("moment", thorough(["registered", "writing"]))
def test_a_backtest_is_registered_once(home: Path, call: Call, moment: str) -> None:
    before = rows(home).height
    run = ("backtest", "m", "--config", home / "config.toml", "--set", "tp_pct=0.003", "--out", home / "runs" / "k")
    for _ in range(2):
        killed(home, moment, *run)
    assert leftovers(home / "runs") and not (home / "runs" / "k").exists()
    assert call(home, *run).code == 0
    assert rows(home).height == before + 1 and leftovers(home / "runs") == []
    assert call(home, *run).code == 0, "the same run again is fine"
    assert rows(home).height == before + 1 and Registry(Workspace(home)).problems() == []
    assert call(home, "report", home / "runs" / "k", "--out", home / "x.html").code == 0


@pytest.mark.slow
def test_a_run_that_was_moved_aside_comes_back(home: Path, call: Call) -> None:
    run = home / "runs" / "run"
    old = {path.name: path.read_bytes() for path in run.iterdir()}
    killed(home, "moved", "backtest", "m", "--config", home / "config.toml", "--out", run)
    assert not run.exists() and len(leftovers(home / "runs")) == 2
    other = ("backtest", "m", "--config", home / "config.toml", "--out", home / "runs" / "other")
    assert call(home, *other).code == 0
    assert {path.name: path.read_bytes() for path in run.iterdir()} == old and leftovers(home / "runs") == []


def test_the_folder_of_a_living_writer_stays(home: Path, call: Call) -> None:
    with publish_folder(home / "runs" / "slow") as part:
        (part / "x").write_text("x")
        run = ("backtest", "m", "--config", home / "config.toml", "--out", home / "runs" / "quick")
        assert dolphin(home, *run).code == 0
        assert (part / "x").is_file() and leftovers(home / "runs") == [part.name]
    assert (home / "runs" / "slow" / "x").is_file() and leftovers(home / "runs") == []


@pytest.mark.slow
def test_a_stress_test_is_registered_once(home: Path, call: Call) -> None:
    before = rows(home).height
    words = ("stress", "m", "--config", home / "config.toml", "--out", home / "runs" / "s", "--runs", 1)
    for _ in range(2):
        killed(home, "registered", *words)
    assert call(home, *words).code == 0
    once = rows(home).slice(before)
    assert call(home, *words).code == 0
    assert rows(home).slice(before).equals(once) and once.height > 40
    looks = once.select("config", "sampler", "seed", "first_ts")
    assert looks.is_unique().all()


def test_another_run_is_not_overwritten_in_silence(home: Path, call: Call) -> None:
    run = home / "runs" / "run"
    kept = {path.name: path.read_bytes() for path in run.iterdir()}
    base = ("backtest", "m", "--config", home / "config.toml", "--out", run)
    before = rows(home).height
    for more, what in (
        (("--set", "tp_pct=0.004"), "another configuration"),
        (("--from", "2025-01-02"), "another configuration and window"),  # vol_p60 is of the window
        (("--set", "vol_p60=0.0001", "--to", "2025-01-03"), "another configuration and window"),
    ):
        done = call(home, *base, *more)
        assert done.code == 2 and what in done.complaint and "--force" in done.complaint
    assert {path.name: path.read_bytes() for path in run.iterdir()} == kept and rows(home).height == before
    assert call(home, *base).code == 0
    assert call(home, *base, "--set", "tp_pct=0.004", "--force").code == 0
    assert (run / "config.json").read_bytes() != kept["config.json"]
    (run / "run.json").write_text("{")
    assert "cannot be read" in call(home, *base).complaint
    shutil.rmtree(run)
    assert call(home, *base).code == 0
