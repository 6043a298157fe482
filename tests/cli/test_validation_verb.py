"""Validation as a user meets it: ``dolphin sweep`` on a study with ``[validation]``."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from command_line import CONFIG, Answer, dolphin

STUDY = """\
dataset = "m"
trials = {trials}
config = "config.toml"
min_trades = {min_trades}
[search]
tp_pct = {{ low = 0.001, high = 0.01 }}
max_hold_bars = {{ low = 5, high = 60 }}
[validation]
{validation}
"""


def sweep(home: Path, validation: str, *options: str, trials: int = 12, min_trades: int = 3) -> Answer:
    (home / "config.toml").write_text(CONFIG)
    study = home / "look.toml"
    study.write_text(STUDY.format(trials=trials, min_trades=min_trades, validation=validation))
    return dolphin(home, "sweep", study, *options)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("validated")
    assert dolphin(root, "init", root).code == 0
    done = dolphin(
        root, "data", "generate", "--preset", "edge", "--name", "m", "--days", "9", "--assets", "5", "--spacing", "5m"
    )
    assert done.code == 0, done.err
    return root


def test_a_sweep_validates_and_a_backtest_repeats_a_fold(home: Path) -> None:
    answer = sweep(home, 'scheme = "walk_forward"\ntrain = 5\ntest = 2', "--json")
    assert answer.code == 0, answer.err
    folder = home / "experiments" / "look"
    document = json.loads((folder / "validation.json").read_bytes())
    assert answer.json["validation"] == document and len(document["folds"]) == 2
    fold = document["folds"][-1]
    span = fold["test"][0]
    best = folder / "best.toml"
    assert "newest train window" in best.read_text()
    single = dolphin(
        home, "backtest", "m", "--config", best, "--from", span["from"], "--to", span["to"],
        "--out", home / "run", "--json",
    )  # fmt: skip
    assert single.code == 0, single.err
    metrics = json.loads((home / "run" / "metrics.json").read_bytes())
    assert fold["test_metrics"] == {name: metrics[name] for name in fold["test_metrics"]}
    equity = pl.read_parquet(folder / "oos_equity.parquet")
    assert equity.columns == ["ts", "path", "fold", "equity", "return"] and equity.height == 4
    again = sweep(home, 'scheme = "walk_forward"\ntrain = 5\ntest = 2', "--resume", "--json")
    assert again.json["ran"] == 0 and again.json["validation"] == document


def test_nothing_worth_choosing_is_no_failure(home: Path) -> None:
    answer = sweep(home, 'scheme = "holdout"', min_trades=100_000)
    assert answer.code == 0, answer.err
    assert "validated (holdout)" in answer.out


def test_what_cannot_be_validated_is_said_before_the_search(home: Path) -> None:
    registry = home / "experiments" / "registry"
    segments = sorted(registry.glob("*.parquet"))
    answer = sweep(home, 'scheme = "walk_forward"\ntrain = 50\ntest = 2')
    assert answer.code == 2 and "10 days are too few for this validation: it needs 50 + 2 days" in answer.complaint
    answer = sweep(home, 'scheme = "kfold"\nfold = 3')
    assert answer.code == 2 and "unknown key 'fold'" in answer.complaint
    assert sorted(registry.glob("*.parquet")) == segments
