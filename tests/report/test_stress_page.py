"""The page of a stress test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from test_sheet import Page

from dolphin.catalog import generate
from dolphin.config import parse_config
from dolphin.errors import DolphinError
from dolphin.report import stress_page, write_stress_page
from dolphin.report.numerals import percent
from dolphin.study.stress.monte_carlo import stress
from dolphin.workspace import create

PARAMS = {
    "direction": "bidirectional", "vol_gate_mode": "off", "short_threshold": -0.004, "short_extreme": -0.03,
    "long_threshold": 0.004, "long_extreme": 0.03, "max_hold_bars": 40,
}  # fmt: skip


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = create(tmp_path_factory.mktemp("stressed"))
    generate(home, "g", preset="edge", days=24, assets=6, spacing_ns=900 * 10**9, seed=5)
    return stress(home, "g", parse_config({"params": PARAMS}, where="test"), runs=10).document


def test_every_figure_is_plotly_and_the_page_calls_nobody(document: dict[str, Any]) -> None:
    made = stress_page(document)
    page = Page(made)
    assert "default-src 'none'" in made and "<link" not in made and len(made.encode()) < 1_500_000
    assert set(page.figures) == {
        "friction", "spread-roi", "spread-max_drawdown", "noise", "missed", "starts", "orders"
    }  # fmt: skip
    for figure in page.figures.values():
        go.Figure({"data": figure["data"], "layout": figure["layout"]})
    assert "SYNTHETIC DATA" in page.text


def test_views_fit_the_curves_they_replace(document: dict[str, Any]) -> None:
    figure = Page(stress_page(document)).figures["noise"]
    assert list(figure["views"]) == ["1", "2", "5", "10"]
    first = figure["views"]["10"]["data"]
    assert first["x"] == [curve["x"] for curve in figure["data"]] and first["y"] == [c["y"] for c in figure["data"]]


def test_the_tables_tell_what_was_found(document: dict[str, Any]) -> None:
    page = Page(stress_page(document))
    chances = page.tables[0]
    rows = {row["kind"] + f"{row['parameter']:g}": row for row in document["outcomes"]}
    assert chances[1][0] == "as it is" and chances[1][1] in ("yes", "no")
    missed = next(row for row in chances if row[0] == "50% of the entries missed")
    assert missed[1] == percent(rows["missed0.5"]["loss"], 1)
    assert percent(document["base"]["roi"], signed=True) in page.text
    quantiles = next(t for t in page.tables if t[0][1] == "Runs")
    noise = next(row for row in quantiles if row[0] == "price noise 5 bps")
    assert noise[2:7] == [percent(v, signed=True) for v in rows["noise5"]["roi"]]


def test_a_run_without_trades_has_a_page(tmp_path: Path) -> None:
    home = create(tmp_path / "w")
    generate(home, "g", preset="null", days=9, assets=4, spacing_ns=1800 * 10**9, seed=5)
    quiet = {"params": {"short_threshold": -9.0, "short_extreme": -10.0}}
    found = stress(home, "g", parse_config(quiet, where="test"), runs=2).document
    page = Page(stress_page(found))
    assert "starts" not in page.figures and "orders" not in page.figures
    assert "nothing to stress" in page.text


def test_the_verdict_is_in_words(document: dict[str, Any]) -> None:
    sound = [row | {"roi": [0.1] * 5, "loss": 0.0} for row in document["outcomes"]]
    earning = document | {"base": document["base"] | {"roi": 0.2}, "outcomes": sound, "break_even_bps": None}
    assert "Robust" in Page(stress_page(earning)).text and "even above 10 bps" in Page(stress_page(earning)).text
    late = [row | ({"roi": [-0.1] * 5, "loss": 1.0} if row["kind"] == "delayed" else {}) for row in sound]
    fragile = Page(stress_page(earning | {"outcomes": late, "break_even_bps": 3.0})).text
    assert "Fragile: more often than not it loses with filled a bar later" in fragile and "at 3.0 bps" in fragile
    assert "It loses as it is" in Page(stress_page(earning | {"base": document["base"] | {"roi": -0.1}})).text


def test_a_folder_is_no_page(document: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DolphinError, match="is a folder"):
        write_stress_page(document, tmp_path)
