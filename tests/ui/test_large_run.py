"""A run of more than 100,000 trades: what the browser is given stays small, and its pages stay pages."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import polars as pl
import pytest
from app_for_tests import App, opened
from chromium import browsing, chromium
from once import made_once

from dolphin.catalog import generate
from dolphin.config import parse_config
from dolphin.study.backtest import backtest
from dolphin.workspace import Workspace, create

pytestmark = pytest.mark.slow

STRATEGY = """\
from pydantic import BaseModel

from dolphin.core.grid import lots_below
from dolphin.core.jit import inline
from dolphin.core.strategy import Strategy
from dolphin.core.wishes import ask_close, ask_open


class Params(BaseModel):
    notional: float = 100.0


@inline
def decide(state, params, market, i):
    if state.slots[0].side != 0:
        ask_close(state, 0, 1)
        return
    asset = i // 2 % market.price.shape[1]
    qty = lots_below(params.notional / market.price[i, asset], market.instruments[asset])
    ask_open(state.intents[0], asset, 1 if i // 2 % 4 < 2 else -1, qty, 1.0)


FLIP = Strategy("flip", decide, Params, ("vel_div",), ("", "NEXT"), lambda p: 1)
"""
#: Nothing yet while the page is on its way.
PAGE = "(document.querySelector('.explorer')?.dataset ?? {})"
#: Bytes of one answer to the browser, and of a page.
ANSWER, SHEET = 600_000, 1_500_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    def make(folder: Path) -> None:
        home = create(folder)
        (home.research / "flip.py").write_text(STRATEGY)
        generate(home, "large", preset="null", days=13, assets=6, spacing_ns=5 * 10**9, seed=1)
        config = parse_config({"strategy": "flip:FLIP"}, where="test", research=home.research)
        backtest(home, "large", config, out=folder / "runs" / "flip")

    return Workspace(made_once(tmp_path_factory, "large_run", make))


def test_what_is_sent_is_bounded_and_the_sheet_stays_a_page(home: Workspace) -> None:
    trades = pl.read_parquet(home.root / "runs" / "flip" / "trades.parquet")
    assert trades.height > 100_000

    async def look() -> None:
        async with opened(home) as app:
            about = await app.data("/data/about/flip")
            assert about["trades"] == trades.height
            asset = about["assets"][0][0]
            for path in (
                f"/data/window/flip?asset={asset}&low={about['first']}&high={about['last']}",
                "/data/trades/flip?order=pnl&down=1", "/data/trades/flip?offset=60000",
            ):  # fmt: skip
                found = await app.data(path)
                assert "error" not in found and len(json.dumps(found)) < ANSWER, path
            best = (await app.data("/data/trades/flip?order=pnl&down=1"))["trades"][0]
            assert best["pnl"] == trades["pnl"].max()
            answer, page = await app.get("/frame/run/flip")
            assert answer.status == 200 and len(page.encode()) < SHEET

    asyncio.run(look())


@pytest.mark.skipif(chromium() is None, reason="no Chromium here (Debian: apt-get install chromium)")
def test_it_opens_is_walked_and_replayed_in_a_browser(home: Workspace) -> None:
    async def look() -> None:
        async with opened(home, enter=False) as app, browsing() as tab:
            await tab.open(app.keys.entry(app.port))
            await tab.open(f"{app.base}/explore/flip")
            await tab.until(f"{PAGE}.ready && {PAGE}.listed")
            # the decision may have to be compiled; meanwhile everything else answers
            first = int(await tab.ask(f"{PAGE}.bar"))
            await tab.press("ArrowRight")
            await tab.until(f"{PAGE}.bar === '{first + 1}'")
            await told(app, tab, first + 1)
            assert await tab.ask("document.querySelectorAll('#trades tbody tr').length") == 200
            await tab.press("0")
            await tab.ask("document.querySelector('#speed').value = '100'")
            await tab.ask("document.querySelector('#speed').dispatchEvent(new Event('change'))")
            await tab.ask("document.querySelector('[data-do=play]').click()")
            await tab.until(f"Number({PAGE}.bar) > {first + 200}")
            await tab.ask("document.querySelector('[data-do=play]').click()")
            stopped = await tab.ask("document.querySelector('#bar').value")
            await tab.until(f"location.hash.startsWith('#bar={stopped}')")
            assert tab.complaints == []

    async def told(app: App, tab, bar: int) -> None:
        for _ in range(5):  # each waits a minute
            try:
                await tab.until(f"{PAGE}.why === '{bar}'")
            except AssertionError:
                continue
            return
        raise AssertionError("the decision was not told")

    asyncio.run(look())
