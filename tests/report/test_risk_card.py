"""The risk card of a run page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from dolphin.catalog import open_dataset
from dolphin.config import Config, parse_config
from dolphin.errors import DolphinError
from dolphin.market.assemble import open_market
from dolphin.market.risk_table import build_risk
from dolphin.report.risk_card import cost_table, has_risk, risk_figure
from dolphin.report.run_folder import read_run
from dolphin.report.sheet import tear_sheet
from dolphin.study.measure.run import run, write_run
from dolphin.workspace import Workspace


def folder(home: Workspace, busy: Config, out: Path, **risk: str) -> Path:
    dataset = open_dataset(home, "m")
    build_risk(dataset, "r")
    config = parse_config({"params": busy.params.model_dump(), "risk": risk}, where="test")
    done = run(dataset, open_market(dataset, config), config, 800, 2400)
    return write_run(done, np.zeros(dataset.n_bars, np.int8), out)


def test_page(home: Workspace, busy: Config, tmp_path: Path) -> None:
    out = tmp_path / "run"
    folder(home, busy, out, table="r", mode="observe")
    page = tear_sheet(out)
    assert "Risk inputs" in page and "Rm4 environment" in page and "Rm5 capital" in page
    assert "Observed: the step read neutral inputs" in page
    figure = risk_figure(read_run(out))
    assert len(go.Figure(figure).data) == 4
    assert set(figure["data"][3]["y"]) == {"APEX"}
    assert "0 of " in cost_table(read_run(out))


def test_no_card_without_rows(home: Workspace, busy: Config, tmp_path: Path) -> None:
    folder(home, busy, tmp_path / "a", table="r", mode="neutral")
    folder(home, busy, tmp_path / "b")
    for name in ("a", "b"):
        assert not has_risk(read_run(tmp_path / name))
        assert "Risk inputs" not in tear_sheet(tmp_path / name)


def test_rows_of_another_run(home: Workspace, busy: Config, tmp_path: Path) -> None:
    import polars as pl

    out = tmp_path / "run"
    folder(home, busy, out, table="r", mode="observe")
    frame = pl.read_parquet(out / "risk.parquet")
    frame.head(10).write_parquet(out / "risk.parquet")
    (out / "manifest.json").unlink(missing_ok=True)
    with pytest.raises(DolphinError):
        tear_sheet(out)
