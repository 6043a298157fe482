"""The page of a study: made from real sweeps of a generated market, true to their registry, valid plotly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import polars as pl
import pytest
from test_sheet import Page
from thorough import thorough

from dolphin.catalog import generate
from dolphin.errors import DolphinError
from dolphin.report import study_page, write_study_page
from dolphin.report.validation_cards import outcome
from dolphin.study.findings.study_summary import gather, plateau_of
from dolphin.study.sweep import read_study, sweep
from dolphin.study.trials.registry import Registry
from dolphin.study.trials.trials import trials_of
from dolphin.workspace import Workspace, create

STUDY = """\
dataset = "g"
trials = 160
sampler = "{sampler}"
objective = {objective}
direction = {direction}
seed = 3
min_trades = 2
[config.params]
direction = "bidirectional"
vol_gate_mode = "off"
short_threshold = -0.004
short_extreme = -0.03
long_threshold = 0.004
long_extreme = 0.03
[search]
tp_pct = {{ low = 0.001, high = 0.05, log = true }}
max_hold_bars = {{ low = 2, high = 60 }}
short_threshold = {{ low = -0.02, high = -0.002 }}
vol_gate_mode = {{ choices = ["off", "min"] }}
"""
WALK = '[validation]\nscheme = "walk_forward"\ntrain = 10\ntest = 4\n'
PATHS = '[validation]\nscheme = "combinatorial"\nfolds = 4\ntest_folds = 2\npurge = 4\nembargo = 4\n'


@pytest.fixture(scope="session")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with three studies that were run: ``walk``, ``paths`` and ``both`` (two objectives)."""
    home = create(tmp_path_factory.mktemp("studied"))
    generate(home, "g", preset="edge", days=24, assets=6, spacing_ns=900 * 10**9, seed=5)
    one = {"sampler": "sobol", "objective": '"sharpe_365"', "direction": '"maximize"'}
    both = {"sampler": "random", "objective": '["roi", "max_drawdown"]', "direction": '["maximize", "minimize"]'}
    for name, keys, more in (("walk", one, WALK), ("paths", one, PATHS), ("both", both, "")):
        file = home.experiments / f"{name}.toml"
        file.write_text(STUDY.format(**keys) + more)
        sweep(home, read_study(file))
    return home


@pytest.fixture(scope="session")
def data(studied: Workspace) -> dict[str, Any]:
    return gather(studied, studied.experiments / "walk.toml")


def figures_of(document: str) -> dict[str, dict[str, Any]]:
    return Page(document).figures


def test_what_is_gathered_is_what_was_registered(studied: Workspace, data: dict[str, Any]) -> None:
    trials = trials_of(studied, "walk").filter(pl.col("fold").is_null())
    done = trials.filter(pl.col("state") == "done", pl.col("trades") >= 2, pl.col("sharpe_365").is_finite())
    assert data["states"] == {"done": 160} and data["dataset"]["synthetic"]
    assert data["top"][0]["metrics"]["sharpe_365"] == done["sharpe_365"].max()
    assert data["top"][0]["trial"] == done.sort("sharpe_365", descending=True)["trial"][0]
    assert sum(data["spread"]["counts"]) == data["spread"]["trials"] == done["config_hash"].n_unique()
    assert data["history"]["best"][-1] == done["sharpe_365"].max() and len(data["top"]) == 20
    assert set(data["parameters"]) == {"tp_pct", "max_hold_bars", "short_threshold", "vol_gate_mode"}
    assert data["log"] == ["tp_pct"] and len(data["maps"]) == 6
    assert data["looked_at"] == Registry(studied).count_on(data["dataset"]["digest"])
    cells = sum(n for row in data["maps"][0]["n"] for n in row)
    assert cells == done["config_hash"].n_unique()


def test_the_verdict_is_kept_and_said(studied: Workspace, data: dict[str, Any]) -> None:
    kept = json.loads((studied.experiments / "walk" / "sensitivity.json").read_text())
    verdict = plateau_of(studied, "walk")
    assert verdict is not None and verdict.verdict == kept["plateau"]["verdict"] == data["plateau"]["verdict"]
    page = Page(study_page(data))
    assert verdict.sentence in page.text and verdict.verdict.upper() in page.text


def test_a_lonely_peak_is_said_to_be_one(data: dict[str, Any]) -> None:
    peak = data["plateau"] | {"verdict": "lonely peak", "sentence": "The best trial is a lonely peak: 0 %."}
    page = Page(study_page(data | {"plateau": peak}))
    assert "LONELY PEAK" in page.text and "take it for luck" in page.text


def test_best_is_what_best_toml_holds(data: dict[str, Any]) -> None:
    fold = data["validation"]["folds"][-1]
    page = Page(study_page(data))
    assert f"trial {fold['chosen']['trial']:,}, which best.toml holds, on the newest train days" in page.text
    other = dict(fold, chosen=fold["chosen"] | {"trial": data["top"][0]["trial"] + 1})
    changed = data | {"validation": data["validation"] | {"folds": [*data["validation"]["folds"][:-1], other]}}
    assert "Raw maximum" in Page(study_page(changed)).text
    verdict = "Held up" if outcome(data)[0] > 0 else "Not confirmed"
    assert verdict in page.text or "In doubt" in page.text


def test_every_picture_marks_what_best_toml_holds(data: dict[str, Any]) -> None:
    chosen, top = data["validation"]["folds"][-1]["chosen"], data["top"][0]
    assert data["best"]["parameters"] == chosen["parameters"]
    objective = data["best"]["metrics"]["sharpe_365"]
    assert data["spread"]["chosen"] == objective == data["plateau"]["best"]
    assert data["spread"]["maximum"] == (
        None if objective == top["metrics"]["sharpe_365"] else data["history"]["best"][-1]
    )
    assert data["parallel"]["value"][0] == pytest.approx(objective, rel=1e-5)
    spread = figures_of(study_page(data | {"spread": data["spread"] | {"chosen": 1.0, "maximum": 2.0}}))["spread"]
    assert [note["text"].rpartition(" ")[0] for note in spread["layout"]["annotations"]] == [
        "median", "raw maximum", "best",
    ]  # fmt: skip


def test_a_best_that_is_no_trial_of_the_search_leaves_the_raw_maximum(data: dict[str, Any]) -> None:
    page = Page(study_page(data | {"best": None}))
    assert "the raw maximum in gold" in page.text and "Return of the raw maximum" in page.text


@pytest.mark.parametrize("name", thorough(["walk", "paths", "both"]))
def test_every_figure_is_plotly_and_the_page_calls_nobody(studied: Workspace, name: str) -> None:
    document = study_page(gather(studied, name))
    assert "default-src 'none'" in document and "<link" not in document and " src=" not in document.split("<script>")[0]
    assert len(document.encode()) < 1_500_000
    drawn = figures_of(document)
    wanted = {"history", "spread", "parallel", "importance", "map-0", "map-5", "ranks"}
    wanted |= {"front"} if name == "both" else {"timeline", "oos"}
    assert wanted <= set(drawn)
    for figure in drawn.values():
        go.Figure({"data": figure["data"], "layout": figure["layout"]})


def test_the_walk_forward_is_shown_as_it_was(studied: Workspace, data: dict[str, Any]) -> None:
    found = json.loads((studied.experiments / "walk" / "validation.json").read_text())
    page = Page(study_page(data))
    folds = page.table("Fold")
    assert len(folds) == 1 + len(found["folds"])
    assert [row[0] for row in folds[1:]] == [str(fold["number"]) for fold in found["folds"]]
    last = found["folds"][-1]
    assert folds[-1][1] == last["test"][0]["from"][:10] and folds[-1][-1] == str(last["chosen"]["trial"])
    curve = page.figures["oos"]["data"][0]
    equity = pl.read_parquet(studied.experiments / "walk" / "oos_equity.parquet")["equity"]
    assert curve["y"] == pytest.approx(equity.to_list(), rel=1e-5)
    assert "Return out of sample" in page.text and "Walk-forward" in page.text


def test_paths_of_a_combinatorial_study(studied: Workspace) -> None:
    page = Page(study_page(gather(studied, "paths")))
    assert "3 paths" in page.text and "median over the paths" in page.text
    assert len(page.figures["oos"]["data"]) == 4  # three paths and their median


def test_the_front_of_two_objectives(studied: Workspace) -> None:
    found = gather(studied, "both")
    front, trials = found["front"], trials_of(studied, "both").filter(pl.col("trades") >= 2)
    best = [(row["metrics"]["roi"], row["metrics"]["max_drawdown"]) for row in front["front"]]
    for roi, fall in best:
        assert not ((trials["roi"] >= roi) & (trials["max_drawdown"] < fall)).any()
        assert not ((trials["roi"] > roi) & (trials["max_drawdown"] <= fall)).any()
    assert front["size"] == len(best) > 1
    assert "Pareto front" in Page(study_page(found)).text


def test_names_of_parameters_cannot_break_the_page(data: dict[str, Any]) -> None:
    odd = json.loads(json.dumps(data, default=str).replace("tp_pct", "<b>x</b></script>"))
    document = study_page(odd)
    assert "<b>x" not in document.split("<script>")[0].replace("<b>sharpe", "")
    Page(document)


def test_a_study_without_a_usable_trial(studied: Workspace) -> None:
    file = studied.experiments / "none.toml"
    text = STUDY.format(sampler="sobol", objective='"sharpe_365"', direction='"maximize"')
    file.write_text(text.replace("min_trades = 2", "min_trades = 100000").replace("trials = 160", "trials = 8"))
    sweep(studied, read_study(file))
    found = gather(studied, file)
    assert found["plateau"] is None and found["top"] == [] and plateau_of(studied, file) is None
    assert "No trial counts: ruined, too few trades, or no finite value." in study_page(found)


def test_bad_input(studied: Workspace, data: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DolphinError, match="did you mean 'walk'"):
        gather(studied, "wlak")
    with pytest.raises(DolphinError, match="no such file"):
        gather(studied, tmp_path / "not.toml")
    (tmp_path / "new.toml").write_text('dataset = "g"\n')
    with pytest.raises(DolphinError, match="no study 'new' is registered"):
        gather(studied, tmp_path / "new.toml")
    with pytest.raises(DolphinError, match="is a folder"):
        write_study_page(data, tmp_path)
