"""``dolphin trials`` as a user has it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import optuna
import polars as pl
import pytest
from command_line import Answer
from optuna.storages.journal import JournalFileBackend

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
    assert roi == sorted(roi, reverse=True)
    # The first close, at midnight, belongs to the day before: four days in all.
    assert len(done.json["trials"][0]["daily_returns"]) == 4
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


STUDY = """\
dataset = "m"
trials = 24
objective = "profit_factor"
min_trades = 5
[config.params]
direction = "bidirectional"
vol_gate_mode = "off"
[search]
tp_pct = { low = 0.002, high = 0.02 }
max_hold_bars = { low = 10, high = 120 }
"""


@pytest.fixture
def doctored(home: Path, call: Call) -> Path:
    """A sweep's registry to which rows were added that would each win by the raw value alone."""
    from dolphin.study.trials.registry import SCHEMA, Registry
    from dolphin.study.trials.trials import trials_of
    from dolphin.workspace import Workspace

    (home / "experiments" / "pf.toml").write_text(STUDY)
    assert call(home, "sweep", home / "experiments" / "pf.toml").code == 0
    trials = trials_of(Workspace(home), "pf").select(SCHEMA.keys())
    ranked = trials.filter(pl.col("trades") >= 5, pl.col("profit_factor").is_finite()).sort("profit_factor")
    assert ranked.height > 8
    raised = (
        {"profit_factor": 1e6, "ruined": True},
        {"profit_factor": float("inf")},
        {"profit_factor": 1e5, "trades": 4},
        {"profit_factor": 1e4, "fold": 0, "role": "test"},
    )
    rows = [ranked[k].with_columns(pl.lit(v).alias(n) for n, v in what.items()) for k, what in enumerate(raised)]
    Registry(Workspace(home)).append(pl.concat(frame.cast(SCHEMA) for frame in rows))
    return home


def test_every_file_table_and_page_means_the_same_best_trial(doctored: Path, call: Call) -> None:
    from dolphin.study.trials.trials import trials_of
    from dolphin.workspace import Workspace

    file, page = doctored / "experiments" / "pf.toml", doctored / "pf.html"
    every = trials_of(Workspace(doctored), "pf")
    first = every[:24].filter(pl.col("trades") >= 5, pl.col("profit_factor").is_finite())
    best = first.sort("profit_factor", "trial", descending=[True, False]).row(0, named=True)
    trial, value = best["trial"], best["profit_factor"]
    assert every.sort("profit_factor", descending=True).head(4)["trial"].is_in([trial]).not_().all()

    (doctored / "experiments" / "pf" / "optuna.journal").unlink()  # written again from the registry
    swept = call(doctored, "sweep", file, "--resume", "--report", page)
    assert swept.code == 0 and "24 known before" in swept.out.replace("\n", " ")
    table = [line.split() for line in swept.out.splitlines() if line.startswith("│")]
    assert int(table[0][1]) == trial, "the printed table"
    again = call(doctored, "sweep", file, "--resume", "--json").json
    assert again["best"][0]["metrics"]["profit_factor"] == value
    head = (doctored / "experiments" / "pf" / "best.toml").read_text().splitlines()[0]
    assert head == f"# Trial {trial} of study pf: profit_factor = {value!r}"
    document = json.loads((doctored / "experiments" / "pf" / "study.json").read_text())
    assert document["best"][0]["trial"] == trial
    for study in ("pf", file):
        shown = call(doctored, "trials", study, "--json").json
        assert shown["objective"] == "profit_factor" and shown["trials"][0]["trial"] == trial
        assert all(row["trades"] >= 5 and not row["ruined"] and row["fold"] is None for row in shown["trials"])
        text = call(doctored, "trials", study)
        rows = [line.split() for line in text.out.splitlines() if line.startswith("│")]
        assert int(rows[0][1]) == trial
        some = call(doctored, "trials", study, "--where", "trades > 0", "--json").json
        assert some["trials"][0]["trial"] == trial and some["found"] > shown["found"]
    journal = JournalFileBackend(str(doctored / "experiments" / "pf" / "optuna.journal"))
    optimised = optuna.load_study(study_name="pf", storage=optuna.storages.JournalStorage(journal))
    assert optimised.best_trial.user_attrs["trial"] == trial and optimised.best_value == value
    words = " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(script|style).*?</\1>", " ", page.read_text())).split())
    assert f"Best profit_factor {value:,.2f} trial {trial:,}, which best.toml holds, in sample" in words


def test_looks_of_a_validation_and_reasons_are_told(doctored: Path, call: Call) -> None:
    plain = call(doctored, "trials", "pf")
    assert "1 looks of its validation: --where 'fold is not null'" in plain.out
    for column in ("role", "fold"):
        assert column in plain.out
    of_folds = call(doctored, "trials", "pf", "--where", "fold is not null", "--json").json
    assert [(row["role"], row["fold"]) for row in of_folds["trials"]] == [("test", 0)]
    assert of_folds["looks_of_validation"] == 1
    without = call(doctored, "trials", "backtest")
    assert without.code == 0 and "fold" not in without.out

    broken = doctored / "experiments" / "broken.toml"
    broken.write_text('constraints = ["tp_pct < 0.01"]\n' + STUDY)
    assert call(doctored, "sweep", broken).code == 0
    told = call(doctored, "trials", "broken", "--json").json
    (reason,) = told["invalid"]
    assert "tp_pct < 0.01" in reason and 0 < told["invalid"][reason] < 24
    said = call(doctored, "trials", "broken", "--where", "state = 'invalid'", "--top", 2)
    flat = " ".join(said.out.split())
    assert f"{told['invalid'][reason]} invalid: {reason}" in flat and "note" in flat and "invalid" in flat
