"""``dolphin sweep`` as a user has it: options over the file, forks, budgets, and what it refuses."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from command_line import STUDY, Answer, command, environment, tree

from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace

Call = Callable[..., Answer]
SEARCH = """\
dataset = "m"
trials = 40
config = "config.toml"
{keys}
[search]
tp_pct = {{ low = 0.001, high = 0.01 }}
max_hold_bars = {{ low = 5, high = 60 }}
{more}
"""


def test_options_win_over_the_file_and_more_trials_are_the_same_study(home: Path, call: Call) -> None:
    study = home / "study.toml"
    options = ("--sampler", "tpe", "--n-trials", 20, "--seed", 9, "--threads", 1, "--json")
    first = call(home, "sweep", study, *options).json
    assert (first["planned"], first["ran"], first["checked"] != []) == (20, 20, True)
    more = call(home, "sweep", study, "--sampler", "tpe", "--n-trials", 36, "--seed", 9, "--resume", "--json").json
    assert (more["planned"], more["ran"], more["known"]) == (36, 16, 20)
    left = json.loads((home / "experiments" / "study" / "study.json").read_text())
    assert left["study"]["sampler"]["name"] == "tpe" and left["trials"] == 36 and left["state"] == "finished"
    forked = call(home, "sweep", study, "--fork", "--n-trials", 8, "--storage", "none")
    assert forked.code == 0 and "a new study, forked from study; go on with it by --resume --fork" in forked.out
    assert not (home / "experiments" / "study-2" / "optuna.journal").exists()
    timed = call(home, "sweep", study, "--timeout", 0.000001, "--json").json
    assert (timed["stopped"], timed["ran"]) == ("timeout", 0)


def test_several_objectives_are_shown_as_a_front(home: Path, call: Call) -> None:
    aims = 'objective = ["roi", "max_drawdown"]\ndirection = ["maximize", "minimize"]'
    (home / "two.toml").write_text(SEARCH.format(keys=aims, more=""))
    shown = call(home, "sweep", home / "two.toml")
    assert shown.code == 0 and "Pareto front of " in shown.out
    assert "(maximize roi, minimize max_drawdown)" in shown.out
    assert (home / "experiments" / "two" / "best.toml").is_file()


def test_a_study_with_validation_is_validated(home: Path, call: Call) -> None:
    (home / "v.toml").write_text(
        SEARCH.format(keys="min_trades = 0\nobjective = 'roi'", more='[validation]\nscheme = "holdout"\nshare = 0.4')
    )
    done = call(home, "sweep", home / "v.toml", "--json")
    assert done.code == 0 and done.json["validation"]["scheme"]["scheme"] == "holdout"
    folder = home / "experiments" / "v"
    assert (folder / "validation.json").is_file() and (folder / "oos_equity.parquet").is_file()
    again = call(home, "sweep", home / "v.toml", "--resume", "--json")
    assert again.json["ran"] == 0 and again.json["validation"] == done.json["validation"]


REFUSED = {
    "parameter": ("", "tp = { low = 1, high = 2 }", "unknown key 'tp'; did you mean 'tp_pct'?"),
    "range": ("", "stop_pct = { low = 2, high = 1 }", "empty range: high (1) lies below low (2)"),
    "constraint": ("constraints = ['tp_pct > 1']", "", "impossible constraints: none of 4,096 points"),
    "objective": ("objective = 'sharp'", "", "unknown objective 'sharp'; did you mean 'sharpe_365'?"),
    "direction": ("direction = 'up'", "", "unknown direction 'up'"),
    "sampler": ("sampler = { name = 'cmaes', pop = 3 }", "", "the cmaes sampler has no option 'pop'"),
    "window": ("from = '2031-01-01'", "", "no bars between --from and --to; the data closes from"),
    "warm-up": ("to = '2025-01-01T00:30:00Z'", "", "fewer bars than its warm-up"),
    "storage": ("storage = 'sqlite:////none/such/a.db'", "", "the Optuna storage cannot be used"),
    "grid": ("sampler = 'grid'", "", "a grid over 'tp_pct' needs a step"),
    "objectives": ("sampler = 'cmaes'\nobjective = ['roi', 'trades']", "", "takes one objective, not 2"),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_what_cannot_be_run_is_one_line_and_leaves_nothing(
    pristine: Path, call: Call, tmp_path: Path, what: str
) -> None:
    keys, more, said = REFUSED[what]
    study = tmp_path / "bad.toml"
    study.write_text(SEARCH.format(keys=keys, more=more))
    shutil.copy(pristine / "config.toml", tmp_path)
    before = tree(pristine)
    done = call(pristine, "sweep", study)
    assert done.code == 2 and done.out == "" and said in done.complaint
    assert tree(pristine) == before


def test_a_study_that_another_process_runs(home: Path, call: Call) -> None:
    folder = home / "experiments" / "study"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = call(home, "sweep", home / "study.toml")
    assert done.code == 2 and "study: another process is running this study; wait for it" in done.complaint
    assert call(home, "sweep", home / "study.toml", "--json").json["ran"] == 50


def test_other_data_under_resume_are_refused_and_forked(home: Path, call: Call) -> None:
    assert call(home, "sweep", home / "study.toml").code == 0
    again = "data generate --name m --preset edge --days 3 --assets 8 --spacing 1m --seed 4"
    assert call(home, *again.split()).code == 0
    refused = call(home, "sweep", home / "study.toml", "--resume")
    assert refused.code == 2
    assert "the dataset 'm' has changed since this study began; start a new study of it" in refused.complaint
    forked = call(home, "sweep", home / "study.toml", "--fork", "--json").json
    assert (forked["study"], forked["forked_from"], forked["ran"]) == ("study-2", "study", 50)


@pytest.mark.slow
def test_an_interrupt_says_the_exact_command_to_go_on(home: Path, call: Call) -> None:
    study = home / "long.toml"
    study.write_text(STUDY.format(trials=50_000))
    words = ("sweep", study, "--sampler", "cmaes", "--n-trials", "40000", "--fork")
    process = subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(home)
    )
    while not (home / "experiments" / "registry" / "000004.parquet").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    line = err.splitlines()[-1]
    assert line.endswith(f"go on with: dolphin sweep {study} --resume --fork --sampler cmaes --n-trials 40000"), err
    left = json.loads((home / "experiments" / "long-2" / "study.json").read_text())
    assert left["state"] == "interrupted" and left["trials"] % 64 == 0 and left["trials"] > 0
    assert (home / "experiments" / "long-2" / "optuna.journal").is_file()
    known = Registry(Workspace(home)).trials().filter(pl.col("study") == "long-2", pl.col("state") == "done")
    kept = known.collect().height
    assert kept - left["trials"] in (0, 64)  # an interrupt may come between the registry and the count
    more = ("--resume", "--fork", "--sampler", "cmaes", "--n-trials", kept + 64, "--json")
    resumed = call(home, "sweep", study, *more).json
    assert (resumed["known"], resumed["ran"]) == (kept, 64)
