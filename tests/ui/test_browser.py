"""The app in a real Chromium: every page without a complaint, a run walked by keys, a session halted by a click."""

from __future__ import annotations

import asyncio
import re

import pytest
from app_for_tests import App, opened
from chromium import Tab, browsing, chromium

from dolphin.trade.control import read_audit
from dolphin.trade.folder import find_state

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="no Chromium here (Debian: apt-get install chromium)"),
]

PAGES = ("/", "/datasets", "/datasets/m", "/runs", "/compare?run=slow&run=deep/busy", "/run/slow", "/studies",
         "/study/look", "/verdicts", "/champions", "/sessions", "/session/blue", "/explore/slow")  # fmt: skip
PAGE = "(document.querySelector('.explorer')?.dataset ?? {})"


@pytest.fixture
def browse(home):
    """``browse(what)`` runs ``what(app, tab)`` with the address of the app already opened; nothing may complain."""

    def run(what) -> None:
        async def whole() -> None:
            async with opened(home, enter=False) as app, browsing() as tab:
                await tab.window(1400, 1000)
                await tab.open(app.keys.entry(app.port))
                await tab.until("location.pathname === '/' && !!document.querySelector('h1')")
                await what(app, tab)
                assert tab.complaints == []

        asyncio.run(whole())

    return run


def test_every_page_fits_wide_and_narrow_in_light_and_dark(browse) -> None:
    async def look(app: App, tab: Tab) -> None:
        for width, dark in ((1400, False), (420, True)):
            await tab.window(width, 900, dark=dark)
            for path in PAGES:
                await tab.open(app.base + path)
                await tab.until("document.styleSheets.length === 2 && !!document.querySelector('h1')")
                assert await tab.ask("document.documentElement.scrollWidth") <= width, (path, width)
                paper = await tab.ask("getComputedStyle(document.body).backgroundColor")
                light = sum(map(int, re.findall(r"\d+", paper))) > 380
                assert light is not dark, (path, paper)
                assert await tab.ask("document.cookie") == ""

    browse(look)


def test_a_run_is_walked_by_keys_and_buttons(browse) -> None:
    async def walk(app: App, tab: Tab) -> None:
        await tab.open(f"{app.base}/explore/slow")
        await tab.until(f"{PAGE}.ready && {PAGE}.bar && {PAGE}.why === {PAGE}.bar")
        about = await app_data(tab, "about")
        first = int(await tab.ask(f"{PAGE}.bar"))
        for key, shift, bars in (("ArrowRight", False, 1), ("ArrowRight", True, 10), ("ArrowLeft", False, -1)):
            await tab.press(key, shift)
            first += bars
            await tab.until(f"{PAGE}.bar === '{first}' && {PAGE}.why === '{first}'")
        assert f"bar {first:,}" in await tab.ask("document.querySelector('.sentence').textContent")
        await tab.press("n")
        found = await app_data(tab, "next", f"bar={first}&way=1")
        await tab.until(f"{PAGE}.bar === '{found['bar']}' && {PAGE}.trade === '{found['trade']['id']}'")
        await tab.until(f"{PAGE}.why === '{found['bar']}'")
        assert "wants" in await tab.ask("document.querySelector('#why').textContent")
        assert found["trade"]["asset"] in await tab.ask("document.querySelector('#trade').textContent")
        # the whole of it, in the window of the chart and nowhere beyond
        await tab.press("0")
        await tab.until(f"{PAGE}.rows === '{about['first']}-{about['last']}'")
        assert await drawn(tab) > 500
        # a click into the chart chooses a bar; what stands in the address comes back
        place = "document.querySelector('.canvas').getBoundingClientRect()"
        box = await tab.ask(f"(r => [r.x, r.y, r.width, r.height])({place})")
        before = await tab.ask(f"{PAGE}.bar")
        await tab.click(box[0] + 0.61 * box[2], box[1] + 0.97 * box[3])
        row = await tab.until(f"{PAGE}.bar !== '{before}' && {PAGE}.bar")
        await tab.open("about:blank")
        await tab.open(f"{app.base}/explore/slow#bar={row}")
        await tab.until(f"{PAGE}.why === '{row}'")
        # so does another that is typed into the address of the open page
        await tab.ask(f"location.hash = '#bar={first}'")
        await tab.until(f"{PAGE}.bar === '{first}' && {PAGE}.why === '{first}'")

    browse(walk)


def test_a_trade_is_opened_and_a_replay_runs(browse) -> None:
    async def watch(app: App, tab: Tab) -> None:
        await tab.open(f"{app.base}/explore/slow")
        await tab.until(f"{PAGE}.ready && {PAGE}.listed > 5")
        await tab.ask("document.querySelector('#trades tbody tr:nth-child(5) button').click()")
        await tab.until(f"{PAGE}.trade === '4'")
        shown = await tab.ask("document.querySelector('#trade').textContent")
        assert "vel_div" in shown and "P&L" in shown
        entry = int(await tab.ask(f"{PAGE}.bar"))
        await tab.ask("document.querySelector('#speed').value = '100'")
        await tab.ask("document.querySelector('#speed').dispatchEvent(new Event('change'))")
        await tab.ask("document.querySelector('[data-do=play]').click()")
        await tab.until(f"Number({PAGE}.bar) > {entry + 60}")
        await tab.ask("document.querySelector('[data-do=play]').click()")
        await tab.until(f"{PAGE}.playing === 'no'")
        stopped = await tab.ask("document.querySelector('#bar').value")
        await tab.until(f"{PAGE}.why === '{stopped}'")
        assert await tab.ask("document.querySelector('#bar').value") == stopped

    browse(watch)


def test_runs_are_ticked_sorted_and_compared(browse) -> None:
    async def compare(app: App, tab: Tab) -> None:
        await tab.open(f"{app.base}/runs")
        assert await tab.until("document.querySelector('.needs').disabled")
        await tab.ask("[...document.querySelectorAll('thead button')].find(b => b.textContent === 'Trades').click()")
        counts = await tab.ask("[...document.querySelectorAll('tbody tr')].map(r => Number(r.cells[10].dataset.order))")
        assert counts == sorted(counts, reverse=True) and len(counts) == 2
        await tab.ask("document.querySelectorAll('tbody input').forEach(box => box.click())")
        assert await tab.ask("document.querySelector('.needs').textContent") == "Compare 2"
        await tab.ask("document.querySelector('.needs').click()")
        await tab.until("location.pathname === '/compare' && document.querySelectorAll('polyline').length === 2")
        assert app.keys.csrf not in await tab.ask("location.href")

    browse(compare)


def test_a_session_is_halted_from_its_page_and_a_frame_sees_nothing_of_the_app(browse, home) -> None:
    async def act(app: App, tab: Tab) -> None:
        await tab.open(f"{app.base}/session/blue")
        await tab.ask("document.querySelector('form[action$=halt] [name=reason]').value = 'looked wrong'")
        await tab.ask("document.querySelector('form[action$=halt] button').click()")
        await tab.until("document.querySelector('.timeline')?.textContent.includes('looked wrong')")
        await tab.open(f"{app.base}/run/slow")
        assert await tab.ask("document.querySelector('iframe').contentDocument") is None

    browse(act)
    (line,) = read_audit(find_state(home.root / "runs" / "trade" / "blue"))
    assert line["action"] == "halt" and line["reason"] == "looked wrong"


async def app_data(tab: Tab, what: str, query: str = "") -> dict:
    """What the page itself would be told."""
    return await tab.ask(f"fetch('/data/{what}/slow?{query}').then(answer => answer.json())")


async def drawn(tab: Tab) -> int:
    """How many dots of the chart are not empty."""
    return await tab.ask(
        "(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, k) => k % 4 === 3 && v).length)"
        "(document.querySelector('#chart'))"
    )
