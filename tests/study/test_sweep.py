from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dolphin.catalog import generate, open_dataset
from dolphin.config import parse_config, read_config
from dolphin.core.engine import Engine
from dolphin.core.records import State
from dolphin.errors import DolphinError
from dolphin.market.assemble import feature_columns
from dolphin.study.backtest import backtest
from dolphin.study.measure import evaluator
from dolphin.study.measure.measured import spot_check
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.samplers import Random
from dolphin.study.search.batch_runner import MOST_CHECKS
from dolphin.study.sweep import SweepReport, best_trials, read_study, sweep, write_best
from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace

BASE = """\
dataset = "m"
from = "2025-01-01T14:00:00Z"
to = 2025-01-03T20:00:00
seed = 5
{keys}
[config.params]
direction = "bidirectional"
short_extreme = -0.05
vol_gate_mode = "off"
[search]
short_threshold = {{ low = -0.02, high = -0.002 }}
long_threshold = {{ low = 0.002, high = 0.02, log = true }}
tp_pct = {{ low = 0.001, high = 0.01, step = 0.0005 }}
max_hold_bars = {{ low = 5, high = 60 }}
vel_div = {{ choices = ["v50-v750", "v50-v150"] }}
fill_timing = {{ choices = ["close", "next"] }}
"friction.fee_bps" = {{ low = 1.0, high = 4.0 }}
{search}
"""
WriteStudy = Callable[..., Path]


def text(keys: str = "trials = 40", search: str = "") -> str:
    return BASE.format(keys=keys, search=search)


def registered(home: Workspace) -> pl.DataFrame:
    return Registry(home).trials().collect()


def test_every_trial_is_the_single_run_bit_for_bit(home: Workspace, write_study: WriteStudy) -> None:
    study = read_study(write_study(text()))
    report = sweep(home, study)
    assert (report.planned, report.ran, report.known, report.invalid) == (40, 40, 0, 0)
    trials = registered(home)
    assert trials["trial"].to_list() == list(range(40)) and trials["trades"].sum() > 400
    assert trials["trades"].min() > 0
    for row in trials.iter_rows(named=True):
        config = parse_config({k: v for k, v in json.loads(row["config"]).items() if v is not None}, where="x")
        assert config.hash == row["config_hash"]
        single = backtest(home, "m", config, study.start_ns, study.stop_ns)
        for name in ALL_METRICS:
            found, expected = row[name], single.metrics[name]
            assert np.array([found]).tobytes() == np.array([expected]).tobytes(), (row["trial"], name)
        assert np.array(row["daily_returns"]).tobytes() == single.daily_returns.tobytes()
        assert json.loads(row["exits"]) == single.metrics["exits"] and single.metrics["trades"] > 0
        assert (row["first_ts"], row["last_ts"]) == (single.market.ts[single.start], single.market.ts[single.stop - 1])


def test_threads_and_batches_change_no_bit(
    home: Workspace, write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = read_study(write_study(text('sampler = "random"\ntrials = 150')))
    sweep(home, study, threads=1)
    monkeypatch.setattr(Random, "BATCH", 7)
    sweep(home, study, threads=2)
    trials = registered(home).drop("time_ns")
    assert trials[:150].equals(trials[150:], null_equal=True)
    assert Registry(home).count_on(open_dataset(home, "m").digest) == 150


def test_what_the_registry_says_of_a_trial(home: Workspace, write_study: WriteStudy) -> None:
    study = read_study(write_study(text("trials = 3")))
    sweep(home, study)
    dataset = open_dataset(home, "m")
    row = registered(home).row(2, named=True)
    assert (row["study"], row["study_hash"], row["trial"], row["state"]) == ("look", study.hash, 2, "done")
    assert (row["dataset"], row["dataset_digest"]) == ("m", dataset.digest)
    assert (row["sampler"], row["seed"], row["note"]) == ("sobol", 5, None)
    assert len(row["engine_digest"]) == 64 and row["time_ns"] > 1.7e18


def test_interrupt_keeps_finished_batches_and_resume_runs_only_the_rest(
    home: Workspace, write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Random, "BATCH", 10)
    study = read_study(write_study(text('sampler = "random"\ntrials = 40')))

    def interrupt(done: int, total: int, stage: str) -> None:
        if stage == "trials" and done > 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(home, study, progress=interrupt)
    kept = registered(home)
    assert kept["state"].to_list() == ["done"] * 20 + ["interrupted"] * 10
    stopped = kept[20:]
    assert stopped["trial"].to_list() == list(range(20, 30)) and set(stopped["note"]) == {"KeyboardInterrupt"}
    assert stopped["config_hash"].null_count() == 0 and stopped["roi"].null_count() == 10
    assert Registry(home).count_on(open_dataset(home, "m").digest) == 20
    report = sweep(home, study, resume=True)
    assert (report.planned, report.ran, report.known) == (40, 20, 20)
    trials = registered(home).filter(pl.col("state") == "done")
    assert trials["trial"].to_list() == list(range(40))
    assert sweep(home, study, resume=True).ran == 0
    assert registered(home).height == 50
    fresh = sweep(home, study)
    assert (fresh.ran, registered(home).height) == (40, 90)
    assert trials.drop("time_ns").equals(registered(home)[50:].drop("time_ns"), null_equal=True)


def faulty(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Any], None], c: int) -> None:
    """The sweep's own results of combination ``c`` are spoiled after the kernel; single runs are not."""
    run_many = Engine.run_many

    def spoiled(self: Engine, states: Any, *rest: Any, **options: Any) -> None:
        run_many(self, states, *rest, **options)
        spoil(State._make([*(field[c : c + 1] for field in states[:-1]), states.scratch]))

    monkeypatch.setattr(Engine, "run_many", spoiled)


def ulp(states: Any) -> None:
    states.account["max_drawdown"] = np.nextafter(states.account["max_drawdown"], 1.0)


def day(states: Any) -> None:
    states.day_ends[:, 1] *= 1.0 + 1e-12


def memory(states: Any) -> None:
    states.memory[...] += 1.0


def counter(states: Any) -> None:
    states.account["exposed_bars"] += 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (ulp, r"max_drawdown 0\.\d+, alone 0\.\d+"),
        (day, r"(tail_ratio|daily_returns) .*, alone "),
        (memory, "final state: memory"),
        (counter, r"exposure 0\.\d+, alone"),
    ],
)
def test_a_trial_that_is_not_its_single_run_stops_the_study(
    home: Workspace,
    write_study: WriteStudy,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Any], None],
    said: str,
) -> None:
    grid = 'sampler = "grid"\n[config.params]\nvol_gate_mode = "off"\nshort_threshold = -0.004'
    study = read_study(write_study(f'dataset = "m"\n{grid}\n[search]\ntp_pct = {{ choices = [0.002, 0.004, 0.01] }}\n'))
    with monkeypatch.context() as patch:
        faulty(patch, spoil, 1)
        with pytest.raises(DolphinError, match=f"trial 1 run alone gives another result: {said}") as caught:
            sweep(home, study)
    trials = registered(home)
    assert trials["state"].to_list() == ["failed"] * 3 and set(trials["note"]) == {str(caught.value)}
    assert trials["roi"].null_count() == 3
    assert sweep(home, study, resume=True).ran == 3
    assert registered(home)["state"].to_list() == ["failed"] * 3 + ["done"] * 3


def test_some_trials_of_every_batch_are_checked_alone(
    home: Workspace, write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[int] = []

    def watch(batch: Any, picks: list[int], trials: list[int], *rest: Any) -> None:
        checked.extend(trials[c] for c in picks)
        spot_check(batch, picks, trials, *rest)

    monkeypatch.setattr(evaluator, "spot_check", watch)
    monkeypatch.setattr(Random, "BATCH", 10)
    study = read_study(write_study(text('sampler = "random"\ntrials = 80')))
    sweep(home, study)
    first = list(checked)
    assert len(set(first)) == MOST_CHECKS == 16
    assert [sum(low <= trial < low + 10 for trial in first) for low in range(0, 80, 10)] == [3, 3, 3, 3, 3, 1, 0, 0]
    sweep(home, study)
    assert checked == first * 2  # the study's hash is the seed
    other = read_study(write_study(text('sampler = "random"\ntrials = 80\nmin_trades = 2')))
    sweep(home, other)
    assert sorted(checked[32:]) != sorted(first)


def test_resume_fills_holes_and_ignores_other_studies(home: Workspace, write_study: WriteStudy) -> None:
    study, other = (
        read_study(write_study(text(f"trials = {n}\nmin_trades = {n}"), name)) for n, name in ((8, "a"), (9, "b"))
    )
    sweep(home, other)
    sweep(home, study)
    registry = Registry(home)
    trials = registered(home)
    for path in registry.folder.iterdir():
        path.unlink()
    registry.append(trials.filter((pl.col("study") == "b") | pl.col("trial").is_in([0, 3, 7])))
    report = sweep(home, study, resume=True)
    assert (report.ran, report.known) == (5, 3)
    mine = registered(home).filter(pl.col("study") == "a")
    assert sorted(mine["trial"].to_list()) == list(range(8))


def test_resume_refuses_when_the_data_have_changed(home: Workspace, write_study: WriteStudy) -> None:
    study = read_study(write_study(text("trials = 4")))
    sweep(home, study)
    generate(home, "m", preset="edge", days=3, assets=8, spacing_ns=60 * 10**9, seed=4)
    with pytest.raises(DolphinError, match="look: the dataset 'm' has changed since this study began; start a new"):
        sweep(home, study, resume=True)
    assert registered(home).height == 4
    assert sweep(home, study).ran == 4


def test_invalid_combinations_are_registered_with_the_reason(home: Workspace, write_study: WriteStudy) -> None:
    keys = 'sampler = "grid"'
    study_text = f"""dataset = "m"
{keys}
[search]
soft_cap = {{ choices = [1.0, 2.0, 6.0] }}
base_leverage = {{ choices = [1.0, 3.0] }}
tp_pct = {{ choices = [0.01, 0.0] }}
"""
    report = sweep(home, read_study(write_study(study_text)))
    assert (report.planned, report.ran, report.invalid) == (12, 12, 8)
    trials = registered(home)
    invalid = trials.filter(pl.col("state") == "invalid")
    assert invalid.height == 8 and invalid["config_hash"].null_count() == 8
    assert invalid["roi"].null_count() == 8
    for row in invalid.iter_rows(named=True):
        values = json.loads(row["config"])
        assert set(values) == {"soft_cap", "base_leverage", "tp_pct"}
        assert ("tp_pct = 0.0" if values["tp_pct"] == 0.0 else "must not lie below base_leverage") in row["note"]
    assert trials.filter(pl.col("state") == "done")["roi"].null_count() == 0
    assert Registry(home).count_on(open_dataset(home, "m").digest) == 4


def test_all_combinations_invalid(home: Workspace, write_study: WriteStudy) -> None:
    path = write_study('dataset = "m"\nsampler = "grid"\n[search]\ntp_pct = { choices = [0.0, -1.0] }\n')
    study = read_study(path)
    report = sweep(home, study)
    assert (report.invalid, report.best.height) == (2, 0)
    assert write_best(home, study, report.best) is None


def test_p60_is_resolved_on_the_window_in_use(home: Workspace, write_study: WriteStudy) -> None:
    path = write_study(
        'dataset = "m"\nto = "2025-01-02"\nsampler = "grid"\nconfig = "base.toml"\n'
        "[search]\ntp_pct = { choices = [0.01, 0.02] }\n"
    )
    (path.parent / "base.toml").write_text('[params]\nvol_p60 = "p60"\n')
    sweep(home, read_study(path))
    found = {json.loads(text)["params"]["vol_p60"] for text in registered(home)["config"]}
    dataset = open_dataset(home, "m")
    vol = feature_columns(dataset)["vol"]
    window = vol[: int(np.searchsorted(dataset.prices().ts, 1735776000 * 10**9))]
    assert found == {float(np.nanpercentile(window, 60.0))}
    assert float(np.nanpercentile(vol, 60.0)) not in found


@pytest.mark.parametrize(
    ("objective", "direction"), [("sharpe_365", "maximize"), ("max_drawdown", "minimize"), ("trades", "maximize")]
)
def test_best_trials(home: Workspace, write_study: WriteStudy, objective: str, direction: str) -> None:
    keys = f'trials = 40\nobjective = "{objective}"\ndirection = "{direction}"\nmin_trades = 20'
    study = read_study(write_study(text(keys)))
    report = sweep(home, study)
    sweep(home, study)  # a second look adds no second entry to the best
    rows = [r for r in registered(home)[:40].to_dicts() if r["trades"] >= 20 and r[objective] == r[objective]]
    rows.sort(key=lambda r: (-r[objective] if direction == "maximize" else r[objective], r["trial"]))
    assert 0 < len(rows) < 40
    again = best_trials(Registry(home), study, open_dataset(home, "m").digest, count=1000)
    assert again["trial"].to_list() == [r["trial"] for r in rows]
    assert report.best["trial"].to_list() == [r["trial"] for r in rows[:10]]


def test_the_best_config_is_written_and_gives_the_same_run(home: Workspace, write_study: WriteStudy) -> None:
    study = read_study(write_study(text()))
    report: SweepReport = sweep(home, study)
    path = write_best(home, study, report.best)
    assert path == home.experiments / "look" / "best.toml"
    config = read_config(path)
    best: dict[str, Any] = report.best.row(0, named=True)
    assert config.hash == best["config_hash"]
    assert backtest(home, "m", config, study.start_ns, study.stop_ns).metrics["roi"] == best["roi"]
    assert path.read_text().startswith(f"# Trial {best['trial']} of study look: sharpe_365 = ")


def test_progress_counts_to_the_number_of_trials(home: Workspace, write_study: WriteStudy) -> None:
    seen: list[tuple[int, int]] = []
    sweep(
        home,
        read_study(write_study(text("trials = 100"))),
        progress=lambda done, total, stage: seen.append((done, total)),
    )
    assert seen[-1] == (100, 100) and seen == sorted(seen)


def test_the_study_hash_is_of_its_name_and_content(write_study: WriteStudy) -> None:
    one = read_study(write_study(text(), "one"))
    assert read_study(write_study("# a remark\n" + text(), "one")).hash == one.hash
    grown = text('trials = 41\ntimeout = 9\nstorage = "none"')
    assert read_study(write_study(grown, "one")).hash == one.hash  # it can grow
    assert read_study(write_study(text(), "two")).hash != one.hash
    assert read_study(write_study(text(search="soft_cap = { choices = [6.0] }"), "one")).hash != one.hash
    assert read_study(write_study(text().replace("-0.05", "-0.06"), "one")).hash != one.hash


def test_two_studies_of_one_content_share_no_trials(home: Workspace, write_study: WriteStudy) -> None:
    one = sweep(home, read_study(write_study(text("trials = 8"), "one")))
    two = sweep(home, read_study(write_study(text("trials = 8"), "two")), resume=True)
    assert (one.ran, two.ran, two.known) == (8, 8, 0)
    trials = registered(home)
    assert trials["study"].to_list() == ["one"] * 8 + ["two"] * 8
    assert trials[:8]["config_hash"].equals(trials[8:]["config_hash"], check_names=False)
    assert set(two.best["study"]) == {"two"} and set(one.best["study"]) == {"one"}
    again = sweep(home, read_study(write_study(text("trials = 8"), "one")), resume=True)
    assert (again.ran, again.known) == (0, 8) and again.best.equals(one.best, null_equal=True)


BAD = [
    ("", "'dataset' is missing; add dataset"),
    ("dataset = 3", "'dataset' is missing"),
    ('dataset = "m"', "[search] is empty"),
    ('dataset = "m"\nobjectiv = "roi"', "unknown key 'objectiv'; did you mean 'objective'?"),
    ('dataset = "m"\nobjective = "ROI"\n{x}', "unknown objective 'ROI'; known:"),
    ('dataset = "m"\nobjective = "sharpe"\n{x}', "unknown objective 'sharpe'; did you mean 'sharpe_"),
    ('dataset = "m"\nsampler = "sobel"\n{x}', "unknown sampler 'sobel'; did you mean 'sobol'?"),
    ('dataset = "m"\nsampler = ["grid"]\n{x}', "unknown sampler"),
    ('dataset = "m"\ndirection = "up"\n{x}', "unknown direction 'up'; known: maximize, minimize"),
    ('dataset = "m"\ntrials = 0\n{x}', "trials = 0 must be a whole number of at least 1"),
    ('dataset = "m"\ntrials = 2.5\n{x}', "trials = 2.5 must be a whole number of at least 1"),
    ('dataset = "m"\ntrials = true\n{x}', "trials = True must be a whole number"),
    ('dataset = "m"\nseed = -1\n{x}', "seed = -1 must be a whole number of at least 0"),
    (f'dataset = "m"\nseed = {2**63}\n{{x}}', "must be a whole number"),
    ('dataset = "m"\nfrom = "yesterday"\n{x}', "'yesterday' is no time; write 2025-01-31"),
    ('dataset = "m"\n[search]\ntp = { low = 1, high = 2 }', "[search]: unknown key 'tp'; did you mean 'tp_pct'?"),
    ('dataset = "m"\n[search]\ntp_pct = { low = 2, high = 1 }', "[search] tp_pct: empty range"),
    ('dataset = "m"\n[config.params]\ntp_pct = -1\n{x}', "[config]: [params] tp_pct = -1.0"),
    ('dataset = "m"\n[config]\nparam = 3\n{x}', "unknown key 'param'; did you mean 'params'?"),
    ('dataset = "m"\nconfig = 3\n{x}', "config must be a table or the name of a file"),
    ('dataset = "m"\nsearch = 3', "[search] must be a table"),
    ('dataset = "m"\nconfig = "none.toml"\n{x}', "none.toml: no such file"),
]


@pytest.mark.parametrize(("content", "said"), BAD)
def test_a_bad_study_says_what_and_where(write_study: WriteStudy, content: str, said: str) -> None:
    path = write_study(content.replace("{x}", "[search]\ntp_pct = { low = 0.001, high = 0.01 }\n"))
    with pytest.raises(DolphinError) as caught:
        read_study(path)
    line = str(caught.value)
    assert said in line and "\n" not in line
    assert path.name in line or "no such file" in line or "is no time" in line


def test_a_grid_needs_steps_and_sobol_a_number(home: Workspace, write_study: WriteStudy) -> None:
    search = "[search]\ntp_pct = { low = 0.001, high = 0.01 }\n"
    for keys, said in (('sampler = "grid"', "needs a step"), ("", "needs a number of trials")):
        study = read_study(write_study(f'dataset = "m"\n{keys}\n{search}'))
        with pytest.raises(DolphinError, match=said):
            sweep(home, study)
    assert registered(home).is_empty()
