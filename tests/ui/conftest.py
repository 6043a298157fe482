"""A workspace with what the app shows: two runs of a small market, a study, this repository's champion, a session."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar
from once import made_once
from small_market import BUSY

from dolphin.catalog import open_dataset
from dolphin.config import Config, parse_config
from dolphin.study.backtest import backtest
from dolphin.study.sweep import read_study, sweep
from dolphin.times import parse_time
from dolphin.trade.folder import StateFolder, claim
from dolphin.ui import serving
from dolphin.ui.guard import ENTRY, Keys, cookie_of
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


class App:
    """The app over a workspace, and a browser of one person."""

    def __init__(self, home: Workspace, keys: Keys, port: int, client: ClientSession) -> None:
        self.home, self.keys, self.port, self.client = home, keys, port, client
        self.base = f"http://127.0.0.1:{port}"

    async def enter(self) -> None:
        """Open the address that the command prints."""
        async with self.client.get(self.keys.entry(self.port)) as answer:
            assert answer.status == 200 and cookie_of(self.port) in answer.cookies

    async def get(self, path: str, **options: Any) -> tuple[ClientResponse, str]:
        """A page and its text."""
        async with self.client.get(self.base + path, **options) as answer:
            return answer, await answer.text()

    async def data(self, path: str) -> Any:
        """A document of the explorer."""
        async with self.client.get(self.base + path) as answer:
            return await answer.json()

    async def post(self, path: str, data: dict[str, str], **options: Any) -> tuple[ClientResponse, str]:
        """A form that is sent."""
        async with self.client.post(self.base + path, data=data, allow_redirects=False, **options) as answer:
            return answer, await answer.text()


@asynccontextmanager
async def opened(home: Workspace, *, enter: bool = True) -> AsyncIterator[App]:
    """The app, served on a free port."""
    keys = Keys()
    async with serving(home, keys, 0) as port, ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        app = App(home, keys, port, client)
        if enter:
            await app.enter()
        yield app


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


__all__ = ["ENTRY", "App", "opened"]
