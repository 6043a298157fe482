"""A run with a risk table before the gate: its table's version is part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolphin.catalog import open_dataset
from dolphin.config import Config, parse_config
from dolphin.errors import DolphinError
from dolphin.gate.candidate import Candidate
from dolphin.gate.evaluation import evaluate
from dolphin.gate.forewarned import NONE, forewarned
from dolphin.gate.lineage import lineage_of, used_versions
from dolphin.market.risk_table import build_risk
from dolphin.risk.rules import parse_rules
from dolphin.study.backtest import backtest
from dolphin.workspace import Workspace


def test_a_run_is_judged_with_its_own_table(home: Workspace, busy: Config, tmp_path: Path) -> None:
    dataset = open_dataset(home, "m")
    first = build_risk(dataset, "r")
    config = parse_config({"params": busy.params.model_dump(), "risk": {"table": "r"}}, where="test")
    out = home.root / "runs" / "a"
    backtest(home, "m", config, out=out)
    assert Candidate.from_run(home, out).config.risk.table == "r"
    assert {first.digest, dataset.digest} <= used_versions(home)
    assert any(node.what == "risk inputs" for node in lineage_of(home, str(out)).walk())
    build_risk(dataset, "r", rules=parse_rules({"update": "day"}, "test"), made="otherwise")
    assert Candidate.from_run(home, out).kind == "run"  # other rules, the same rows: the same version
    series_of_red(home)
    build_risk(dataset, "r", forecasts="f")
    with pytest.raises(DolphinError, match="was made with version"):
        Candidate.from_run(home, out)
    with pytest.raises(DolphinError, match="was made with version"):
        backtest(home, "m", config, out=out)


@pytest.mark.slow
def test_red_at_the_end_refuses(home: Workspace, busy: Config) -> None:
    dataset = open_dataset(home, "m")
    config = parse_config({"params": busy.params.model_dump(), "risk": {"table": "red", "mode": "observe"}}, where="t")
    series_of_red(home)
    build_risk(dataset, "red", forecasts="f")
    about, (check,) = forewarned(dataset, config, dataset.last_ts)
    assert not check.passed and check.detail.startswith("RED at") and about["catastrophic_prob"] == 0.9
    assert forewarned(dataset, config, dataset.first_ts - 1)[1] == []
    report = evaluate(home, Candidate("m", "config", config, dataset, 0, dataset.n_bars, {}), tier2=False, parity=False)
    assert check in report.checks and report.evidence["forewarner"] == about
    build_risk(dataset, "red")
    assert forewarned(dataset, config, dataset.last_ts) == (NONE, []) == forewarned(dataset, busy, dataset.last_ts)


def series_of_red(home: Workspace) -> None:
    """Forecasts that change the table."""
    import polars as pl

    from dolphin.catalog.store.tables import write_table

    at = [open_dataset(home, "m").first_ts]
    frame = pl.DataFrame(
        {"series": ["CATASTROPHIC_PROB"], "symbol": pl.Series([None], dtype=pl.String), "reference_ts": at,
         "available_ts": at, "value": [0.9]}
    )  # fmt: skip
    write_table(home, "f", kind="series", parts=[("2025-01-01", None, frame)], about={"sources": []})
