"""Searches by every sampler on the small market: resumed as undisturbed, constraints, halving, budgets, forks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from thorough import thorough
from typed_documents import is_typed

from dolphin.config import parse_config
from dolphin.errors import DolphinError
from dolphin.study.backtest import backtest
from dolphin.study.search.study_document import StudyDocument
from dolphin.study.sweep import alone, read_study, sweep
from dolphin.study.trials.best import best_trials
from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace

WriteStudy = Callable[..., Path]
TEXT = """\
dataset = "m"
seed = 5
storage = "none"
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
"friction.fee_bps" = {{ low = 1.0, high = 4.0 }}
{more}
"""
SAMPLERS = {
    "random": ('"random"', 40),
    "sobol": ('"sobol"', 40),
    "cmaes": ('{ name = "cmaes", population = 8 }', 44),
    "tpe": ('{ name = "tpe", batch = 4, startup = 12 }', 30),
    "nsga2": ('{ name = "nsga2", population = 8 }', 44),
    "halving": ('{ name = "halving", cohort = 18, rungs = 2, eta = 3 }', 45),
}


def text(sampler: str = "sobol", keys: str = "", more: str = "", trials: int | None = None) -> str:
    spelled, count = SAMPLERS[sampler]
    return TEXT.format(keys=f"sampler = {spelled}\ntrials = {trials or count}\n{keys}", more=more)


def rows(home: Workspace) -> pl.DataFrame:
    found = Registry(home).trials().filter(pl.col("state").is_in(["done", "pruned", "invalid"])).collect()
    return found.sort("trial").drop("time_ns")


@pytest.mark.parametrize("sampler", thorough(sorted(set(SAMPLERS) - {"sobol", "random"})))
def test_an_interrupted_search_ends_as_an_undisturbed_one(
    home: Workspace, tmp_path: Path, write_study: WriteStudy, sampler: str
) -> None:
    import shutil

    twin = Workspace(Path(shutil.copytree(home.root, tmp_path / "twin")))
    study = read_study(write_study(text(sampler)))
    whole = sweep(home, study)
    calls = 0

    def interrupt(done: int, total: int, stage: str) -> None:
        nonlocal calls
        calls += stage == "trials" and done > 20
        if calls == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(twin, study, progress=interrupt)
    left = json.loads((twin.experiments / "look" / "study.json").read_text())
    kept = rows(twin).height
    assert is_typed(left, StudyDocument)
    assert left["state"] == "interrupted" and 0 < kept < whole.planned
    resumed = sweep(twin, study, resume=True)
    assert (resumed.known, resumed.ran) == (kept, whole.planned - kept)
    assert rows(twin).equals(rows(home), null_equal=True)
    assert resumed.best.drop("time_ns").equals(whole.best.drop("time_ns"), null_equal=True)


@pytest.mark.parametrize("sampler", thorough(sorted(set(SAMPLERS) - {"halving"})))
def test_a_study_grows_by_resuming_with_more_trials(home: Workspace, write_study: WriteStudy, sampler: str) -> None:
    few = read_study(write_study(text(sampler, trials=21)))
    sweep(home, few)
    report = sweep(home, read_study(write_study(text(sampler))), resume=True)
    assert report.known == 21 and report.ran == SAMPLERS[sampler][1] - 21
    grown = rows(home)
    fresh = read_study(write_study(text(sampler), "fresh"))
    sweep(home, fresh)
    both = rows(home).drop("study", "study_hash")
    assert fresh.hash != few.hash and grown["trial"].to_list() == list(range(SAMPLERS[sampler][1]))
    assert both.unique(maintain_order=True, subset=["trial", "config"]).height == grown.height


def test_conditions_constraints_and_derived_parameters(home: Workspace, write_study: WriteStudy) -> None:
    more = "[derived]\nstop_pct = 'tp_pct * 2'\nlong_threshold = '-short_threshold'"
    study = read_study(write_study(text(keys="constraints = ['max_hold_bars > 10 or tp_pct < 0.005']", more=more)))
    report = sweep(home, study)
    trials = rows(home)
    invalid = trials.filter(pl.col("state") == "invalid")
    assert 0 < invalid.height == report.invalid < 20
    assert set(invalid["note"]) == {"breaks the constraint 'max_hold_bars > 10 or tp_pct < 0.005'"}
    assert invalid["roi"].null_count() == invalid.height
    for row in trials.filter(pl.col("state") == "done").iter_rows(named=True):
        params = json.loads(row["config"])["params"]
        assert params["stop_pct"] == params["tp_pct"] * 2 and params["long_threshold"] == -params["short_threshold"]
        assert params["max_hold_bars"] > 10 or params["tp_pct"] < 0.005
        assert (params["vol_p60"] == 0.000099) == (params["vol_gate_mode"] == "off")


def test_symbols_are_searched_as_choices(home: Workspace, write_study: WriteStudy) -> None:
    (home.research / "own_pair.py").write_text("from pair_for_tests import PAIR\n")
    content = (
        'dataset = "m"\nsampler = "grid"\nstorage = "none"\n[config]\nstrategy = "own_pair:PAIR"\n[search]\n'
        'first = { choices = ["BTCUSDT", "SYN02USDT", "SYN09USDT"] }\nhold = { choices = [5, 9] }\n'
    )
    study = read_study(write_study(content), home.research)
    with pytest.raises(DolphinError, match="names the symbol 'SYN09USDT', which is not in it; did you mean 'SYN0"):
        sweep(home, study)
    sweep(home, read_study(write_study(content.replace(', "SYN09USDT"', ""), "whole"), home.research))
    done = rows(home).filter(pl.col("study") == "whole", pl.col("state") == "done")
    assert done.height == 4 and done["config_hash"].n_unique() == 4 and done["roi"].n_unique() == 4
    for row in done.iter_rows(named=True):
        document = {key: value for key, value in json.loads(row["config"]).items() if value is not None}
        config = parse_config(document, where="row", research=home.research)
        assert config.hash == row["config_hash"]
        assert backtest(home, "m", config).metrics["roi"] == row["roi"]


@pytest.mark.parametrize(
    ("keys", "more", "said"),
    [
        ("constraints = ['tp_pct > 1']", "", r"impossible constraints: none of 4,096 points .* keeps 'tp_pct > 1'"),
        ("constraints = ['tp > 1']", "", "constraints: 'tp > 1' reads the unknown 'tp'; did you mean 'tp_pct'"),
        ("", "stop_pct = { low = 0.1, high = 0.2, when = 'stop_pct > 0' }", "reads the unknown 'stop_pct'"),
        ("", "[derived]\ntp_pct = '1'", "'tp_pct' is named twice"),
        ("", "[derived]\nstop = '1'", "unknown key 'stop'; did you mean 'stop_pct'"),
        ("", "rank_lookback = { low = 1.5, high = 3.5 }", "rank_lookback: it takes whole numbers only"),
        ("", "vel_div = { low = 1, high = 2 }", "a range of numbers, but it takes 'v50-v750', 'v50-v150'"),
        ("", "vel_div = { choices = ['v50'] }", "choice 'v50' is not among its values"),
        ("", "acb_day_reset = { choices = [1, 2] }", "choice 1: it takes true or false"),
        ("objective = ['roi', 'roi']", "", "objective must name each metric once"),
        ("objective = ['roi', 'ro']", "", "unknown objective 'ro'; did you mean 'roi'"),
        ("objective = 'roi'\ndirection = ['maximize', 'minimize']", "", "1 objectives, but 2 directions"),
        ("timeout = 0", "", "timeout = 0 must be a number of seconds above 0"),
        ("storage = 'file'", "", "storage 'file' is no Optuna storage"),
    ],
)
def test_a_study_that_cannot_be_run_says_why_before_it_runs(
    home: Workspace, write_study: WriteStudy, keys: str, more: str, said: str
) -> None:
    content = text(keys=keys, more=more)
    if "storage = 'file'" in keys:
        content = content.replace('storage = "none"\n', "")
    with pytest.raises(DolphinError, match=said) as caught:
        sweep(home, read_study(write_study(content)))
    assert "\n" not in str(caught.value) and rows(home).is_empty()
    assert not (home.experiments / "look").exists()


def test_halving_runs_the_early_part_first_and_registers_who_is_left_behind(
    home: Workspace, write_study: WriteStudy
) -> None:
    report = sweep(home, read_study(write_study(text("halving", "min_trades = 0\nobjective = 'roi'"))))
    trials = rows(home)
    done, pruned = (trials.filter(pl.col("state") == state) for state in ("done", "pruned"))
    assert (done.height, pruned.height, report.pruned) == (6 + 6 + 3, 30, 30)
    assert pruned["bars"].unique().to_list() == [int(done["bars"][0] / 3)] and done["bars"].n_unique() == 1
    assert set(report.best["trial"]) <= set(done["trial"])
    for row in [*done[:2].to_dicts(), *pruned[:2].to_dicts()]:
        config = {key: value for key, value in json.loads(row["config"]).items() if value is not None}
        single = backtest(home, "m", parse_config(config, where="x"), row["first_ts"], row["last_ts"] + 1)
        assert single.metrics["roi"] == row["roi"] and single.metrics["bars"] == row["bars"]
    cohort = trials.filter(pl.col("trial") < 18)
    first = {row["trial"]: row["roi"] if row["state"] == "pruned" else np.inf for row in cohort.iter_rows(named=True)}
    assert sum(np.isinf(list(first.values()))) == 6


def test_several_objectives_give_a_front(home: Workspace, write_study: WriteStudy) -> None:
    keys = "objective = ['roi', 'max_drawdown']\ndirection = ['maximize', 'minimize']\nmin_trades = 5"
    study = read_study(write_study(text("nsga2", keys)))
    report = sweep(home, study)
    good = rows(home).filter((pl.col("state") == "done") & (pl.col("trades") >= 5))
    good = good.unique("config_hash", keep="first", maintain_order=True).to_dicts()
    front = {
        row["trial"]
        for row in good
        if not any(
            other["roi"] >= row["roi"]
            and other["max_drawdown"] <= row["max_drawdown"]
            and (other["roi"], other["max_drawdown"]) != (row["roi"], row["max_drawdown"])
            for other in good
        )
    }
    assert 1 < len(front) < len(good) and set(report.best["trial"]) == front
    assert report.best["roi"].is_sorted(descending=True)
    document = json.loads((home.experiments / "look" / "study.json").read_text())
    assert {trial["trial"] for trial in document["pareto"]} == front
    assert is_typed(document, StudyDocument)
    assert report.best_config is not None and f"roi = {report.best['roi'][0]!r}" in report.best_config.read_text()


def test_the_time_ends_a_study_after_a_batch(home: Workspace, write_study: WriteStudy) -> None:
    content = text("cmaes", "timeout = 0.000001").replace("trials = 44\n", "")
    report = sweep(home, read_study(write_study(content)))
    assert report.stopped == "timeout" and report.ran == 0
    more = sweep(home, read_study(write_study(content.replace("0.000001", "0.3"))), resume=True)
    assert more.stopped == "timeout" and more.ran % 8 == 0 and more.planned == more.ran > 0
    again = sweep(home, read_study(write_study(content.replace("0.000001", "0.3"))), resume=True)
    assert again.known == more.ran and rows(home)["trial"].to_list() == list(range(more.ran + again.ran))


def test_a_fork_is_a_study_of_its_own(home: Workspace, write_study: WriteStudy) -> None:
    study = read_study(write_study(text(trials=8)))
    with pytest.raises(DolphinError, match="there is no fork"):
        sweep(home, study, fork=True, resume=True)
    sweep(home, study)
    second = sweep(home, study, fork=True)
    assert (second.study.name, second.study.forked_from, second.ran) == ("look-2", "look", 8)
    assert sweep(home, study, fork=True, resume=True).known == 8
    assert sweep(home, study, fork=True).study.name == "look-3"
    assert rows(home)["study"].value_counts()["count"].to_list() == [8] * 3
    assert json.loads((home.experiments / "look-2" / "study.json").read_text())["forked_from"] == "look"


def test_a_study_that_runs_elsewhere_is_not_touched(home: Workspace, write_study: WriteStudy) -> None:
    study = read_study(write_study(text(trials=8)))
    with (
        alone(home.experiments / "look", "look"),
        pytest.raises(DolphinError, match="look: another process is running this study; wait"),
    ):
        sweep(home, study)
    assert sweep(home, study).ran == 8


def test_another_engine_under_resume_is_refused(
    home: Workspace, write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = read_study(write_study(text(trials=8)))
    sweep(home, study)
    registry = Registry(home)
    told = registry.trials().collect().with_columns(engine_digest=pl.lit("0" * 64))
    registry.append(told)
    with pytest.raises(DolphinError, match=r"the engine has changed since this study began; start a new .* --fork"):
        sweep(home, study, resume=True)
    assert sweep(home, study, fork=True).ran == 8


def test_a_window_that_is_all_warm_up(home: Workspace, write_study: WriteStudy) -> None:
    study = read_study(write_study(text("sobol", 'to = "2025-01-01T01:00:00Z"')))
    with pytest.raises(DolphinError, match=r"feature 'vel_div' has no value on any of the \d+ bars: fewer bars than"):
        sweep(home, study)
    with pytest.raises(DolphinError, match="no bars between"):
        sweep(home, read_study(write_study(text("sobol", 'from = "2031-01-01"'))))


def test_the_best_of_a_fold_is_not_the_best_of_the_study(home: Workspace, write_study: WriteStudy) -> None:
    study = read_study(write_study(text(trials=8)))
    report = sweep(home, study)
    registry = Registry(home)
    better: dict[str, Any] = {"fold": 0, "sharpe_365": 1e9, "trial": 99}
    registry.append(registry.trials().collect().with_columns(**{k: pl.lit(v) for k, v in better.items()}))
    assert best_trials(registry, study, report.best["dataset_digest"][0]).equals(report.best, null_equal=True)
