"""``dolphin trials`` as a user has it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from command_line import Answer

Call = Callable[..., Answer]


@pytest.fixture
def swept(home: Path, call: Call) -> Path:
    assert call(home, "sweep", home / "study.toml").code == 0
    return home


def test_filter_sort_top_json_and_csv(swept: Path, call: Call) -> None:
    where = "trades > 20 and tp_pct > 0.003"
    done = call(swept, "trials", "study", "--where", where, "--sort", "roi", "--top", 5, "--json")
    assert done.code == 0 and done.json["found"] > 5 and len(done.json["trials"]) == 5
    assert all(row["trades"] > 20 and row["tp_pct"] > 0.003 for row in done.json["trials"])
    roi = [row["roi"] for row in done.json["trials"]]
    assert roi == sorted(roi, reverse=True) and len(done.json["trials"][0]["daily_returns"]) == 4
    lowest = call(swept, "trials", "study", "--sort", "roi", "--ascending", "--top", 1, "--json").json["trials"][0]
    assert lowest["roi"] <= min(roi)
    csv = call(swept, "trials", swept / "study.toml", "--where", where, "--sort", "roi", "--top", 5, "--csv")
    assert csv.code == 0
    assert pl.read_csv(io.StringIO(csv.out))["roi"].to_list() == roi
    said = call(swept, "trials", "backtest")
    assert said.code == 0 and "backtest: 1 trials" in said.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("studi",), "no study 'studi' is registered; did you mean 'study'?"),
        (("study", "--where", "sharpe > 2"), "no column 'sharpe'"),
        (("study", "--sort", "rio"), "--sort rio: no such column; did you mean 'roi'?"),
        (("study", "extra"), "'extra' is one argument too many"),
        (("none.toml",), "none.toml: no such file"),
        (("verify", "studi"), "no study 'studi' is registered"),
    ],
)
def test_what_cannot_be_answered_is_one_line(swept: Path, call: Call, arguments: tuple[str, ...], said: str) -> None:
    done = call(swept, "trials", *arguments)
    assert done.code == 2 and said in done.complaint and done.out == ""


def test_verify(swept: Path, call: Call) -> None:
    done = call(swept, "trials", "verify", "--sample", 6, "--seed", 1, "--json")
    assert done.code == 0
    assert (done.json["holds"], done.json["run_again"], done.json["equal"]) == (True, 6, 6)
    assert done.json["states"] == {"done": 51} and done.json["not_runnable"] == {}
    said = call(swept, "trials", "verify", swept / "study.toml", "--sample", 2)
    assert said.code == 0 and "the chain holds; 50 trials (50 done)" in said.out and "equal bit by bit: 2" in said.out
    segment = swept / "experiments" / "registry" / "000002.parquet"
    pl.read_parquet(segment).with_columns(roi=pl.col("roi") + 1.0).write_parquet(segment)
    broken = call(swept, "trials", "verify")
    assert broken.code == 1 and "000002.parquet: changed since it was registered" in broken.out.replace("\n", "")


def test_a_false_record_in_a_chain_that_holds_is_found(swept: Path, call: Call) -> None:
    from dolphin.study.trials.registry import SCHEMA, Registry
    from dolphin.study.trials.trials import trials_of
    from dolphin.workspace import Workspace

    home = Workspace(swept)
    false = trials_of(home, "study")[:1].select(SCHEMA.keys()).with_columns(study=pl.lit("false"), roi=pl.lit(0.5))
    Registry(home).append(false)
    done = call(swept, "trials", "verify", "false", "--json")
    assert done.code == 1 and done.json["holds"] is False
    assert done.json["different"][0].startswith("study false, trial 0: roi 0.5 is registered, run again it is ")
