from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dolphin as dp
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = dp.workspace.create(tmp_path_factory.mktemp("api"))
    dp.generate("demo", days=3, assets=4, spacing="5m", workspace=made)
    return made


def test_a_run_is_something_to_look_at(home: Workspace, tmp_path: Path) -> None:
    run = dp.backtest("demo", "vel_div", "2025-01-02", "2025-01-03", workspace=home)
    assert repr(run).startswith("<run of vel_div on demo, synthetic: sharpe ") and len(repr(run)) < 120
    assert run.equity.height == 288 and str(run.equity["time"][0]) == "2025-01-02 00:00:00+00:00"
    assert run.to_pandas().shape == (288, 5) and run.trades.height == run.metrics["trades"]
    assert len(run.plot().data) == 2 and "<caption>run of vel_div" in run._repr_html_()
    assert f"<th>roi</th><td>{100 * run.metrics['roi']:,.2f} %</td>" in run._repr_html_()
    assert run.report(tmp_path / "run.html").read_text().startswith("<!")
    again = dp.backtest("demo", dp.Config("vel_div"), start="2025-01-02", stop="2025-01-03", workspace=home)
    assert again.digest == run.digest and isinstance(again.config, dp.Config)


def test_what_is_not_installed_is_named(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = dp.backtest("demo", "vel_div", "2025-01-02", "2025-01-03", workspace=home)
    monkeypatch.setitem(sys.modules, "vectorbt", None)
    with pytest.raises(DolphinError, match=r"vectorbt is not installed.*dolphin-quant\[vectorbt\]"):
        run.vbt  # noqa: B018


def test_two_runs_are_compared(home: Workspace, tmp_path: Path) -> None:
    runs = [
        dp.backtest("demo", dp.Config("vel_div", fee_bps=fee), out=tmp_path / str(fee), workspace=home)
        for fee in (2, 3)
    ]
    found = dp.parity(*runs, workspace=home)
    assert not found.equal and found.stage == "fill"
    with pytest.raises(DolphinError, match="no folder to compare"):
        dp.parity(dp.backtest("demo", workspace=home), runs[0], workspace=home)


def test_a_study_of_keywords_and_of_a_file(home: Workspace) -> None:
    search = {"tp_pct": (0.001, 0.01), "max_hold_bars": (5, 60, 5), "direction": ["short_only", "bidirectional"]}
    study = dp.sweep("demo", "vel_div", search=search, trials=8, min_trades=1, name="first", workspace=home)
    assert repr(study).startswith("<study first on demo: 8 trials")
    assert study.trials.height == 8 and study.trials.columns[:4] == ["trial", "tp_pct", "max_hold_bars", "direction"]
    assert study.best.params.tp_pct == study.trials["tp_pct"][0]
    assert len(study.plot().data) == 3 and study._repr_html_().count("<tr>") == 9
    assert study.to_pandas().shape[0] == 8
    file = 'dataset = "demo"\nmin_trades = 1\n[search]\ntp_pct = {low = 0.001, high = 0.01}\n'
    (home.root / "second.toml").write_text(file)
    assert dp.sweep("second.toml", trials=4, workspace=home).trials.height == 4


def test_what_a_config_may_be(home: Workspace) -> None:
    file = home.root / "c.toml"
    file.write_text("[params]\ntp_pct = 0.004\n")
    by_keyword = dp.Config("vel_div", tp_pct=0.004, workspace=home)
    for config in (by_keyword, str(file), file, "c.toml", {"params": {"tp_pct": 0.004}}):
        run = dp.backtest("demo", config, workspace=home)
        assert run.config.hash == by_keyword.hash
    with pytest.raises(DolphinError, match="did you mean 'vel_div'"):
        dp.backtest("demo", "vel_dix", workspace=home)
    with pytest.raises(DolphinError, match="a int is no configuration"):
        dp.backtest("demo", 7, workspace=home)
    with pytest.raises(DolphinError, match="did you mean 'demo'"):
        dp.backtest("dmo", workspace=home)


def test_a_strategy_object_of_research(home: Workspace) -> None:
    from dolphin.starters import start
    from dolphin.strategies import load

    start(home, "strategy", "crossing")
    strategy = load("crossing:STRATEGY", home.research)
    assert dp.Config(strategy, fast=5, workspace=home).strategy_name == "crossing:STRATEGY"
    with pytest.raises(DolphinError, match="is of no module in research"):
        dp.Config(load("vel_div", None), workspace=home)


def test_the_package_is_light_and_typed() -> None:
    heavy = "{'numpy', 'polars', 'numba', 'pandas', 'pydantic'} & set(sys.modules)"
    code = f"import sys, dolphin; print(sorted(dir(dolphin)) == sorted(dolphin.__all__), {heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "set()"]
    assert (Path(dp.__file__).parent / "py.typed").is_file()
