"""A workspace with what the app shows: two runs of a small market, a study, this repository's champion, a session."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from app_for_tests import App, opened
from once import made_once
from small_market import BUSY

from dolphin.catalog import open_dataset
from dolphin.config import Config, parse_config
from dolphin.study.backtest import backtest
from dolphin.study.sweep import read_study, sweep
from dolphin.times import parse_time
from dolphin.trade.folder import StateFolder, claim
from dolphin.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parents[2]
STUDY = """\
dataset = "m"
trials = 12
min_trades = 1
[config.params]
vol_gate_mode = "off"
[search]
tp_pct = { low = 0.001, high = 0.01 }
max_hold_bars = { low = 5, high = 60 }
"""


@pytest.fixture
def visit(home: Workspace) -> Callable[..., Any]:
    """``visit(what)`` runs ``what(app)`` against the app over the workspace."""

    def run(what: Callable[[App], Coroutine[Any, Any, Any]], **options: Any) -> Any:
        async def whole() -> Any:
            async with opened(home, **options) as app:
                return await what(app)

        return asyncio.run(whole())

    return run


@pytest.fixture(scope="session")
def furnished(pristine: Workspace, busy: Config, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Nobody writes into it."""

    def furnish(folder: Path) -> None:
        shutil.copytree(pristine.root, folder, dirs_exist_ok=True)
        home = Workspace(folder)
        data = open_dataset(home, "m")
        start = parse_time("2025-01-02")
        backtest(home, "m", busy, start, out=folder / "runs" / "deep" / "busy")
        slower = {**BUSY, "params": {**BUSY["params"], "max_hold_bars": 90}}
        backtest(home, "m", parse_config(slower, where="test"), start, out=folder / "runs" / "slow")
        study = folder / "experiments" / "look.toml"
        study.write_text(STUDY)
        sweep(home, read_study(study, home.research))
        shutil.copytree(REPOSITORY / "promote", folder / "promote", dirs_exist_ok=True)
        about = {
            "account": "blue", "champion": "c" * 64, "config_hash": busy.hash, "engine_digest": "e" * 64,
            "symbols": list(data.symbols), "spacing_ns": data.spacing_ns, "feed": "replay:m", "first_ts": data.first_ts,
        }  # fmt: skip
        claim(StateFolder(folder / "runs" / "trade" / "blue"), about)

    return Workspace(made_once(tmp_path_factory, "ui", furnish))


@pytest.fixture
def home(furnished: Workspace, tmp_path: Path) -> Workspace:
    """A copy to write into."""
    return Workspace(Path(shutil.copytree(furnished.root, tmp_path / "home")))
