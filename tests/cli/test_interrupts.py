"""Interrupts, kills and a full disk: what was there stays, what was finished is kept, a rerun completes."""

from __future__ import annotations

import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from command_line import STUDY, Answer, command, dolphin, environment, klines, process, tree, write_source
from thorough import rounds, thorough

from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace

Call = Callable[..., Answer]
SYMBOLS = ("ADAUSDT", "BTCUSDT", "DOTUSDT", "ETHUSDT", "LTCUSDT", "SOLUSDT", "XMRUSDT", "XRPUSDT")


def start(home: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(home)
    )


def wait_for(process: subprocess.Popen[str], seen: Callable[[], bool]) -> bool:
    """Until ``seen()``; False if the process ended before."""
    for _ in range(60_000):
        if seen():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.001)
    raise AssertionError("never seen")


def stop(process: subprocess.Popen[str], number: int) -> Answer:
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    return Answer(process.returncode, out, err)


def without_litter(files: dict[str, bytes | None]) -> dict[str, bytes | None]:
    """The tree without what a killed writer may leave: hidden temporary files."""
    return {name: data for name, data in files.items() if not any(part.startswith(".") for part in Path(name).parts)}


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_where_it_stopped(home: Path, call: Call) -> None:
    study = home / "study.toml"
    study.write_text(STUDY.format(trials=6_000))
    registry = Registry(Workspace(home))
    process = start(home, "sweep", study, "--json")
    # The first segment is of the backtest that the workspace came with.
    assert wait_for(process, lambda: (registry.folder / "000003.parquet").exists()), process.communicate()
    done = stop(process, signal.SIGINT)
    assert done.code == 130 and done.out == ""
    assert f"go on with: dolphin sweep {study} --resume" in done.complaint
    mine = registry.trials().filter(pl.col("study") == "study")
    stopped = mine.filter(pl.col("state") != "done").collect()
    assert stopped.height in (0, 1024, 6_000 % 1024) and set(stopped["state"]) <= {"interrupted"}
    kept = mine.filter(pl.col("state") == "done").collect()
    assert 1024 <= kept.height < 6_000 and kept["trial"].n_unique() == kept.height
    assert registry.problems() == []
    resumed = call(home, "sweep", study, "--resume", "--json")
    assert resumed.code == 0
    assert (resumed.json["planned"], resumed.json["known"]) == (6_000, kept.height)
    assert resumed.json["ran"] == 6_000 - kept.height
    trials = registry.trials().filter(pl.col("study") == "study", pl.col("state") == "done").collect()
    assert sorted(trials["trial"].to_list()) == list(range(6_000))
    assert registry.problems() == []


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_stopped(home: Path, call: Call) -> None:
    study = home / "study.toml"
    study.write_text(STUDY.format(trials=6_000))
    registry = Registry(Workspace(home))
    process = start(home, "sweep", study)
    assert wait_for(process, lambda: (registry.folder / "000002.parquet").exists()), process.communicate()
    assert stop(process, signal.SIGKILL).code == -signal.SIGKILL
    assert registry.problems() == []
    assert call(home, "sweep", study, "--resume").code == 0
    trials = registry.trials().filter(pl.col("study") == "study").collect()
    assert sorted(trials["trial"].to_list()) == list(range(6_000)) and registry.problems() == []


def test_an_interrupt_anywhere_else_is_one_line(home: Path) -> None:
    market = "data generate --name long --preset null --days 60 --assets 20 --spacing 1m"
    process = start(home, *market.split())
    drafts = home / "data_catalog" / "bars" / "long"
    before = {name: data for name, data in tree(home).items() if "long" not in name}
    assert wait_for(process, lambda: any(drafts.glob(".draft.*"))), process.communicate()
    done = stop(process, signal.SIGINT)
    assert tree(home) == before
    assert done.code == 130 and done.out == "" and "interrupted; what was finished is kept" in done.complaint


@pytest.fixture
def imported(home: Path, tmp_path: Path, call: Call) -> Path:
    """A workspace with a first version of dataset ``k``; its next one is in ``tmp_path / 'next'``."""
    first = write_source(tmp_path / "first", klines())
    assert call(home, "data", "import", first, "--name", "k").code == 0
    write_source(tmp_path / "next", *(klines((symbol,), bars=4000) for symbol in SYMBOLS))
    return home


def kill_import(imported: Path, tmp_path: Path, call: Call, number: int, delay: float) -> None:
    before = tree(imported)
    drafts = imported / "data_catalog" / "bars" / "k"
    process = start(imported, "data", "import", tmp_path / "next", "--name", "k")
    assert wait_for(process, lambda: any(drafts.glob(".draft.*"))), process.communicate()
    time.sleep(delay)
    done = stop(process, number)
    manifest = imported / "data_catalog" / "k.json"
    if manifest.read_bytes() == before["data_catalog/k.json"]:
        assert done.code == (130 if number == signal.SIGINT else -number)
        after = tree(imported)
        if number == signal.SIGINT:
            assert after == before and done.complaint
        else:
            # All that was there is there; a version moved into place but not yet named does no harm.
            assert {name: after.get(name) for name in before} == before
    assert call(imported, "data", "verify", "k").code == 0
    again = call(imported, "data", "import", tmp_path / "next", "--name", "k", "--json")
    assert (again.code, again.json["symbols"], again.json["bars"]) == (0, 8, 4000)
    assert call(imported, "data", "verify", "k").code == 0
    assert not list(drafts.glob(".*.*"))


@pytest.mark.parametrize("number", thorough([signal.SIGINT, signal.SIGKILL]))
@pytest.mark.parametrize("delay", thorough([0.0, 0.05]))
def test_a_stopped_import_leaves_the_old_version(
    imported: Path, tmp_path: Path, call: Call, number: int, delay: float
) -> None:
    kill_import(imported, tmp_path, call, number, delay)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(rounds(20, 4)))
def test_an_import_stopped_at_any_moment(imported: Path, tmp_path: Path, call: Call, seed: int) -> None:
    draw = random.Random(seed)
    kill_import(imported, tmp_path, call, draw.choice([signal.SIGINT, signal.SIGKILL]), draw.uniform(0.0, 0.5))


def kill_scan(home: Path, call: Call, delay: float) -> None:
    whole = tree(home / "data_catalog" / "scans" / "m")
    shutil.rmtree(home / "data_catalog" / "scans")
    process = start(home, "scan", "m")
    assert wait_for(process, lambda: (home / "data_catalog" / "scans").exists()), process.communicate()
    time.sleep(delay)
    stop(process, signal.SIGKILL)
    assert call(home, "scan", "m").code == 0
    assert without_litter(tree(home / "data_catalog" / "scans" / "m")) == whole


@pytest.mark.slow
@pytest.mark.parametrize("delay", thorough([0.0, 0.02]))
def test_a_killed_scan_is_completed_by_the_next(home: Path, call: Call, delay: float) -> None:
    kill_scan(home, call, delay)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(rounds(20, 4)))
def test_a_scan_killed_at_any_moment(home: Path, call: Call, seed: int) -> None:
    kill_scan(home, call, random.Random(seed).uniform(0.0, 0.15))


def small_files() -> None:
    """Make every write beyond 12 kB of a file fail, as a full disk would."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))


FULL = {
    "import": "data import {tmp}/next --name k",
    "generate": "data generate --name g --preset null --days 1 --assets 8 --spacing 1m",
    "scan": "scan m",
    "backtest": "backtest m --config {home}/config.toml --out {home}/runs/run --set tp_pct=0.0031 --force",
    "sweep": "sweep {home}/study.toml",
    "report": "report {home}/runs/run --out {home}/sheet.html --force",
}


@pytest.mark.slow
@pytest.mark.parametrize("verb", thorough(sorted(FULL)))
def test_a_full_disk_leaves_the_old_state(imported: Path, tmp_path: Path, verb: str) -> None:
    if verb == "scan":
        shutil.rmtree(imported / "data_catalog" / "scans")
    (imported / "study.toml").write_text(STUDY.format(trials=500))
    (imported / "sheet.html").write_text("the old page")
    if verb == "sweep":  # compiled kernels are files too; here the registry is what must not fit
        assert dolphin(Path(shutil.copytree(imported, tmp_path / "warm")), "sweep", imported / "study.toml").code == 0
    arguments = FULL[verb].format(home=imported, tmp=tmp_path).split()
    if verb == "generate":  # a process of its own keeps its compiled kernel elsewhere than this one
        assert process(Path(shutil.copytree(imported, tmp_path / "warm")), *arguments).code == 0
    before = tree(imported)
    done = process(imported, *arguments, preexec_fn=small_files)
    assert done.code == 2 and done.out == "", (done.out, done.err)
    assert "cannot" in done.complaint and "space" in done.complaint
    after = {name: data for name, data in tree(imported).items() if data is not None}
    # A verification stamp of the cache may be renewed: it says nothing of the data.
    stamps = {name for name in before if name.endswith("verified.json")}
    assert {k: v for k, v in after.items() if k not in stamps} == {
        k: v for k, v in before.items() if v is not None and k not in stamps
    }
    assert dolphin(imported, *arguments).code == 0


SWALLOWED = """
import signal, sys, time
from dolphin.cli import app

class Closing:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

@app.app.command("close")
def close():
    Closing()
    time.sleep(60)

sys.exit(app.main(["close"]))
"""


def test_an_interrupt_that_falls_into_a_destructor_is_not_lost(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED], capture_output=True, text=True, env=environment(home), timeout=50
    )
    assert Answer(done.returncode, done.stdout, done.stderr).complaint.startswith("dolphin: interrupted")
    assert done.returncode == 130
