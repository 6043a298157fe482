from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dolphin.catalog import generate
from dolphin.config import Config, Variants
from dolphin.errors import DolphinError
from dolphin.study.backtest import backtest
from dolphin.study.sweep import read_study, sweep
from dolphin.study.trials.registry import SCHEMA, Registry, trial_frame
from dolphin.study.trials.trials import rerun_sample, searched, select, trials_of
from dolphin.workspace import Workspace

WriteStudy = Callable[..., Path]
STUDY = """dataset = "m"
sampler = "grid"
[config.params]
vol_gate_mode = "off"
short_threshold = -0.004
[search]
tp_pct = { choices = [0.0, 0.002, 0.004, 0.01] }
max_hold_bars = { choices = [10, 20] }
fill_timing = { choices = ["close", "next"] }
"""


@pytest.fixture
def swept(home: Workspace, write_study: WriteStudy) -> Workspace:
    sweep(home, read_study(write_study(STUDY)))
    return home


def test_parameters_are_columns(swept: Workspace) -> None:
    trials = trials_of(swept, "look")
    assert trials.height == 16 and set(searched(trials)) == {"tp_pct", "max_hold_bars", "fill_timing"}
    done = trials.filter(pl.col("state") == "done")
    assert sorted(set(done["tp_pct"])) == [0.002, 0.004, 0.01] and done["fee_bps"].to_list() == [2.0] * 12
    assert done.schema["max_hold_bars"] == pl.Int64 and done.schema["acb_day_reset"] == pl.Boolean
    assert trials.filter(pl.col("state") == "invalid")["max_hold_bars"].null_count() == 4


def test_where_and_sort(swept: Workspace) -> None:
    trials = trials_of(swept, "look")
    found = select(trials, where="tp_pct > 0.003 AND fill_timing = 'next' AND trades > 5", sort="roi")
    rows = [r for r in trials.to_dicts() if (r["tp_pct"] or 0) > 0.003 and r["fill_timing"] == "next"]
    assert found["trial"].to_list() == [r["trial"] for r in sorted(rows, key=lambda r: -r["roi"])]
    assert select(trials, sort="roi", ascending=True)["roi"].drop_nulls().is_sorted()
    assert select(trials, where="state = 'invalid'").height == 4


def test_not_a_number_is_above_nothing() -> None:
    trials = trial_frame([{"trial": k, "sharpe_365": x} for k, x in enumerate([1.0, float("nan"), 3.0, float("inf")])])
    assert select(trials, where="sharpe_365 > 2")["trial"].to_list() == [2, 3]
    assert select(trials, sort="sharpe_365")["trial"].to_list() == [3, 2, 0, 1]
    assert np.isnan(select(trials, sort="sharpe_365")["sharpe_365"][3])


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("sharp_365 > 2", "no column 'sharp_365'; did you mean 'sharpe_365'"),
        ("sharpe_365 >", "--where sharpe_365 >: "),
        ("study > 2", "--where study > 2: "),
        ("trades + 1", "--where trades + 1: "),
    ],
)
def test_a_condition_that_is_none(where: str, said: str) -> None:
    with pytest.raises(DolphinError) as caught:
        select(trial_frame([{"trial": 1, "study": "s", "trades": 3}]), where=where)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_trials_run_again_are_equal(swept: Workspace, busy: Config) -> None:
    backtest(swept, "m", busy, None, 1735800000 * 10**9)
    again = rerun_sample(swept, trials_of(swept), 100, seed=1)
    assert (again.equal, again.different, again.not_runnable) == (13, [], {})
    assert rerun_sample(swept, trials_of(swept, "look"), 5).equal == 5


@pytest.mark.parametrize("column", ["roi", "turnover", "daily_returns", "exits"])
def test_one_changed_bit_is_found(swept: Workspace, column: str) -> None:
    trials = trials_of(swept, "look").filter(pl.col("state") == "done")
    row = trials.select(SCHEMA.keys()).row(3, named=True)
    if column == "daily_returns":
        row[column][1] = np.nextafter(row[column][1], 9.0)
    elif column == "exits":
        row[column] = row[column].replace('"LIQUIDATION":0', '"LIQUIDATION":1')
    else:
        row[column] = float(np.nextafter(row[column], 9.0))
    again = rerun_sample(swept, trial_frame([row]), 1)
    assert again.equal == 0 and len(again.different) == 1
    assert again.different[0].startswith(f"study look, trial {row['trial']}: {column} ")


def test_what_cannot_be_run_again_is_counted_by_reason(swept: Workspace) -> None:
    done = trials_of(swept, "look").filter(pl.col("state") == "done").select(SCHEMA.keys())
    old = done[:2].with_columns(engine_digest=pl.lit("0" * 64))
    gone = done[2:5].with_columns(dataset_digest=pl.lit("f" * 64))
    again = rerun_sample(swept, pl.concat([old, gone, done[5:6]]), 10)
    assert again.equal == 1 and again.not_runnable == {
        "it was run by another version of the engine or strategy": 2,
        "its version of the dataset is not here any more": 3,
    }


def test_trials_of_an_earlier_version_of_the_dataset_run_again(swept: Workspace) -> None:
    before = trials_of(swept, "look").filter(pl.col("state") == "done")
    generate(swept, "m", preset="edge", days=3, assets=8, spacing_ns=60 * 10**9, seed=4)
    again = rerun_sample(swept, before, 3, seed=2)
    assert again.equal + sum(again.not_runnable.values()) == 3 and again.different == []


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"tp_pct": 0.0123, "max_hold_bars": 7.0, "friction.fee_bps": 3, "initial_capital": 1e5},
        {"direction": "long_only", "vol_ewma": True, "fill_timing": "next", "params.convexity": 2},
        {"vol_p60": 1, "short_threshold": -1e-7},
    ],
)
def test_a_variant_is_the_config_with_these_values(busy: Config, values: dict[str, object]) -> None:
    from dolphin.files import canonical_json

    slow, fast = busy.with_values(values), Variants(busy).of(values)
    assert fast.config == slow and fast.hash == slow.hash
    assert fast.text.encode() == canonical_json(slow.document())


@pytest.mark.parametrize(
    "values",
    [
        {"tp_pct": -1.0},
        {"tp_pct": "0.1"},
        {"tp": 1.0},
        {"max_hold_bars": 2**70},
        {"max_hold_bars": 2.5},
        {"short_extreme": -0.001},
        {"x.tp_pct": 0.1},
        {"vol_ewma": 1},
    ],
)
def test_a_variant_refuses_what_the_config_refuses(busy: Config, values: dict[str, object]) -> None:
    with pytest.raises(DolphinError) as slow:
        busy.with_values(values)
    with pytest.raises(DolphinError) as fast:
        Variants(busy).of(values)
    assert str(fast.value) == str(slow.value)


def test_a_failed_backtest_is_registered(home: Workspace, busy: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("no more room")

    monkeypatch.setattr("dolphin.study.backtest.run", broken)
    with pytest.raises(MemoryError):
        backtest(home, "m", busy)
    row = Registry(home).trials().collect().row(0, named=True)
    assert (row["study"], row["state"], row["note"]) == ("backtest", "failed", "no more room")
    assert row["config_hash"] == busy.hash and row["roi"] is None
