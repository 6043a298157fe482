"""Studies as Optuna studies: loaded by another process, drawn by optuna.visualization, never doubled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import polars as pl
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from dolphin.errors import DolphinError
from dolphin.study.search.optuna_storage import BatchJournal, cut_torn_tail
from dolphin.study.sweep import read_study, sweep
from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace

WriteStudy = Callable[..., Path]
TEXT = """\
dataset = "m"
seed = 5
{keys}
[config.params]
direction = "bidirectional"
short_extreme = -0.05
[search]
short_threshold = {{ low = -0.02, high = -0.002 }}
tp_pct = {{ low = 0.001, high = 0.01, step = 0.0005 }}
max_hold_bars = {{ low = 5, high = 60, log = true }}
vol_gate_mode = {{ choices = ["min", "off"] }}
vol_p60 = {{ low = 0.00001, high = 0.001, log = true, when = "vol_gate_mode == 'min'" }}
soft_cap = {{ low = 1.0, high = 6.0, step = 1.0 }}
"""
PLOTS = (
    "plot_optimization_history",
    "plot_param_importances",
    "plot_parallel_coordinate",
    "plot_contour",
    "plot_timeline",
    "plot_slice",
)


def load(home: Workspace, name: str = "look") -> optuna.Study:
    backend = JournalFileBackend(str(home.experiments / name / "optuna.journal"))
    return optuna.load_study(study_name=name, storage=JournalStorage(backend))


def test_every_trial_is_an_optuna_trial(home: Workspace, write_study: WriteStudy) -> None:
    keys = 'trials = 64\nobjective = "roi"\nconstraints = ["max_hold_bars > 8"]'
    sweep(home, read_study(write_study(TEXT.format(keys=keys))))
    study = load(home)
    trials = Registry(home).trials().collect()
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE and study.metric_names == ["roi"]
    assert len(study.trials) == 64 and study.user_attrs["study_hash"] == trials["study_hash"][0]
    for trial, row in zip(study.trials, trials.iter_rows(named=True), strict=True):
        assert trial.number == trial.user_attrs["trial"] == row["trial"]
        assert trial.user_attrs["config_hash"] == row["config_hash"]
        if row["state"] == "invalid":
            assert trial.state == TrialState.FAIL and trial.user_attrs["note"] == row["note"]
        else:
            assert trial.state == TrialState.COMPLETE and trial.value == row["roi"]
            assert trial.user_attrs["trades"] == row["trades"]
            assert ("vol_p60" in trial.params) == (trial.params["vol_gate_mode"] == "min")
    assert 0 < sum(t.state == TrialState.FAIL for t in study.trials) < 20
    best = trials.filter(pl.col("state") == "done").sort("roi", descending=True)["trial"][0]
    assert study.best_trial.number == best
    for plot in PLOTS:
        figure = getattr(optuna.visualization, plot)(study)
        assert len(figure.data) > 0, plot


def test_another_process_loads_it_and_goes_on_with_it(home: Workspace, write_study: WriteStudy) -> None:
    sweep(home, read_study(write_study(TEXT.format(keys="trials = 32"))))
    journal = home.experiments / "look" / "optuna.journal"
    code = f"""
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
study = optuna.load_study(study_name="look", storage=JournalStorage(JournalFileBackend({str(journal)!r})))
trial = study.ask({{"tp_pct": study.trials[0].distributions["tp_pct"]}})
study.tell(trial, 1.0)
print(len(study.trials))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "33"
    # What others put there stays when the study grows.
    sweep(home, read_study(write_study(TEXT.format(keys="trials = 40"))), resume=True)
    study = load(home)
    assert len(study.trials) == 41 and [t.user_attrs.get("trial") for t in study.trials[33:]] == list(range(32, 40))


def test_resume_brings_the_storage_up_to_date_from_the_registry(home: Workspace, write_study: WriteStudy) -> None:
    sweep(home, read_study(write_study(TEXT.format(keys='trials = 20\nstorage = "none"'))))
    assert not (home.experiments / "look" / "optuna.journal").exists()
    grown = read_study(write_study(TEXT.format(keys="trials = 32")))
    for _ in range(2):
        sweep(home, grown, resume=True)
        assert [t.user_attrs["trial"] for t in load(home).trials] == list(range(32))
    registered = Registry(home).trials().collect()
    values = {t.user_attrs["trial"]: t.value for t in load(home).trials if t.value is not None}
    known = registered.filter(pl.col("sharpe_365").is_not_nan())
    assert values == dict(known.select("trial", "sharpe_365").iter_rows())
    sweep(home, read_study(write_study(TEXT.format(keys="trials = 8"))))  # a new start
    assert len(load(home).trials) == 8


def test_pruned_trials_have_intermediate_values(home: Workspace, write_study: WriteStudy) -> None:
    keys = 'sampler = { name = "halving", cohort = 9, rungs = 2 }\ntrials = 18\nobjective = "roi"'
    sweep(home, read_study(write_study(TEXT.format(keys=keys))))
    study = load(home)
    rows = {row["trial"]: row for row in Registry(home).trials().collect().to_dicts()}
    pruned = study.get_trials(states=[TrialState.PRUNED])
    assert len(pruned) == 12
    for trial in study.trials:
        row = rows[trial.number]
        assert trial.intermediate_values == {row["bars"]: row["roi"]}
    assert len(optuna.visualization.plot_intermediate_values(study).data) > 0


@pytest.mark.slow
def test_several_objectives_and_a_url(home: Workspace, write_study: WriteStudy, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    keys = f"""trials = 24
storage = "{url}"
objective = ["roi", "max_drawdown"]
direction = ["maximize", "minimize"]"""
    report = sweep(home, read_study(write_study(TEXT.format(keys=keys))))
    storage = optuna.storages.RDBStorage(url)
    study = optuna.load_study(study_name="look", storage=storage)
    assert len(study.trials) == 24
    usable = {t.number for t in study.best_trials if t.user_attrs["trades"] >= 1}
    assert usable and usable <= set(report.best["trial"])
    figure = optuna.visualization.plot_pareto_front(study)
    assert len(figure.data) > 0
    assert sweep(home, read_study(write_study(TEXT.format(keys=keys))), resume=True).known == 24
    assert len(optuna.load_study(study_name="look", storage=storage).trials) == 24
    storage.remove_session()
    storage.engine.dispose()


def test_a_storage_that_cannot_be_used(home: Workspace, write_study: WriteStudy, tmp_path: Path) -> None:
    bad = f"sqlite:///{tmp_path}/none/a.db"
    with pytest.raises(DolphinError, match="the Optuna storage cannot be used") as caught:
        sweep(home, read_study(write_study(TEXT.format(keys=f'trials = 8\nstorage = "{bad}"'))))
    assert "\n" not in str(caught.value)
    url = f"sqlite:///{tmp_path / 'other.db'}"
    storage = optuna.storages.RDBStorage(url)
    optuna.create_study(study_name="look", storage=storage)
    storage.remove_session()
    storage.engine.dispose()
    with pytest.raises(DolphinError, match="the Optuna storage has another study 'look'"):
        sweep(home, read_study(write_study(TEXT.format(keys=f'trials = 8\nstorage = "{url}"'))))
    assert Registry(home).trials().collect().is_empty()


def test_a_batch_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    backend = BatchJournal(path)
    storage = JournalStorage(backend)
    study = optuna.create_study(storage=storage, study_name="a")
    trial = optuna.trial.create_trial(params={}, distributions={}, value=1.0)
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), backend.batch(storage):
        study.add_trials([trial] * 3)
        raise ZeroDivisionError
    assert path.read_bytes() == before and not list(tmp_path.glob("*.lock"))
    backend = BatchJournal(path)
    storage = JournalStorage(backend)
    study = optuna.load_study(storage=storage, study_name="a")
    with backend.batch(storage):
        study.add_trials([trial] * 3)
        assert path.read_bytes() == before and len(study.trials) == 3
    study.add_trial(trial)
    again = optuna.load_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="a")
    assert len(again.trials) == len(study.trials) == 4


@pytest.mark.slow
def test_a_journal_torn_anywhere_is_written_again_from_the_registry(home: Workspace, write_study: WriteStudy) -> None:
    path = write_study(TEXT.format(keys="trials = 8"))
    sweep(home, read_study(path))
    journal = home.experiments / "look" / "optuna.journal"
    whole = journal.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10]
    # Inside and after each record with which a study begins, inside its trials, and one byte from its end.
    cuts = {1, len(whole) - 1, *ends[:6], *(end - 9 for end in ends[:9]), ends[8], *range(2000, len(whole), 1700)}
    for trials, cut in enumerate(sorted(cuts), 9):
        journal.write_bytes(whole[:cut] if cut < len(whole) else whole)
        sweep(home, read_study(path, overrides={"trials": trials}), resume=True)
        study = load(home)
        assert [t.user_attrs["trial"] for t in study.trials] == list(range(trials)), cut
        assert study.user_attrs.keys() >= {"study_hash", "dataset", "sampler"}


def test_a_tail_of_zeros_is_cut_and_a_damaged_middle_is_not(tmp_path: Path) -> None:
    journal = tmp_path / "optuna.journal"
    journal.write_bytes(b'{"a":1}\n{"b":2}\n' + bytes(300))
    cut_torn_tail(journal)
    assert journal.read_bytes() == b'{"a":1}\n{"b":2}\n'
    journal.write_bytes(b'{"a":1}\nx\n{"b":2}\n')
    cut_torn_tail(journal)
    assert journal.read_bytes() == b'{"a":1}\nx\n{"b":2}\n'
