"""Every page over a real workspace, with what must stand on it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from dolphin.ui.server import ASSETS, PAGES

#: The champion of this repository, which the workspace of these tests holds.
BLUE = json.loads((Path(__file__).resolve().parents[2] / "promote" / "blue.json").read_text())["champion"]

PATHS = {
    "/": ("deep/busy", "Newest runs", "synthetic"),
    "/datasets": ("m", "synthetic"),
    "/datasets/m": ("edge", "Manifest", "all 2 side by side"),
    "/runs": ("deep/busy", "slow", "Compare"),
    "/compare?run=deep/busy&run=slow": ("max_hold_bars", "polyline", "dolphin parity runs/deep/busy runs/slow"),
    "/run/deep/busy": ("/frame/run/deep/busy", "SYNTHETIC DATA", "delete"),
    "/explore/deep/busy": ("explorer.js", 'data-run="deep/busy"'),
    "/studies": ("look", "12"),
    "/study/look": ("/frame/study/look",),
    "/verdicts": (BLUE[:12], "PASS"),
    "/champions": ("chain verified", "every file as frozen", "promote blue", "No champion"),
    "/sessions": ("blue", "not begun"),
    "/session/blue": ("replay:m", "It has not said anything yet", "halt"),
}
VERDICT = f"/verdict/promote/champions/{BLUE}/gate.html"


def test_every_page_shows_what_is_there(visit) -> None:
    async def look(app) -> None:
        for path, words in PATHS.items():
            answer, page = await app.get(path)
            assert answer.status == 200, (path, page)
            for word in words:
                assert word in page, (path, word)
            plain(path, page)
        answer, page = await app.get(VERDICT)
        assert answer.status == 200 and "/frame/verdict/promote/champions/" in page
        for path in ("/frame/run/deep/busy", "/frame/study/look", VERDICT.replace("/verdict", "/frame/verdict", 1)):
            answer, page = await app.get(path)
            assert answer.status == 200 and "Content-Security-Policy" in page and page.count("<main>") == 1
        for name in ASSETS:
            answer, _ = await app.get(f"/assets/{name}")
            assert answer.status == 200

    visit(look)
    assert {re.sub(r"\{\w+(:\.\+)?\}", "*", path) for path in PAGES} == {
        "/", "/datasets", "/datasets/*", "/runs", "/compare", "/run/*", "/explore/*", "/studies", "/study/*",
        "/verdicts", "/verdict/*", "/champions", "/sessions", "/session/*",
    }  # fmt: skip


def plain(path: str, page: str) -> None:
    """Nothing inline, nothing from elsewhere: the policy would refuse it, and the page would be poorer for it."""
    assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
    assert not re.search(r"<style|\sstyle=|\son\w+=", page), path
    assert not re.search(r"""(src|href|action)=["'](https?:)?//""", page), path
    assert page.count("<h1>") <= 1 and page.count("aria-current=page") >= 1, path


def test_what_is_not_there_is_one_line(visit, home) -> None:
    async def ask(app) -> None:
        for path in (
            "/run/nope", "/run/trade/blue", "/explore/nope", "/datasets/nope", "/study/nope", "/session/nope",
            "/verdict/promote/floors.toml", "/frame/verdict/promote/audit.jsonl", "/run/%2e%2e/promote",
            "/session/..%2fblue", "/frame/run/nope", "/study/..%2fpromote", "/frame/run/..%2f..%2fpromote",
        ):  # fmt: skip
            answer, page = await app.get(path)
            assert answer.status == 404 and "Traceback" not in page, path
        window = "/data/window/slow?asset=BTC&low=0&high=9"
        for path in ("/compare", "/compare?run=slow", window, "/data/bar/slow?bar=x"):
            answer, page = await app.get(path)
            assert answer.status == 400 and "Traceback" not in page, path

    visit(ask)


def test_runs_are_filtered_and_damage_is_said(visit, home) -> None:
    (home.root / "runs" / "slow" / "metrics.json").write_text("{")
    (home.promote / "audit.jsonl").write_bytes((home.promote / "audit.jsonl").read_bytes().replace(b"blue", b"blau", 1))

    async def look(app) -> None:
        _, page = await app.get("/runs")
        assert "damaged" in page
        _, page = await app.get("/runs?word=BUSY&dataset=m&strategy=vel_div")
        assert "1 of 2" in page and "/run/slow" not in page
        _, page = await app.get("/runs?word=%3Cscript%3E")
        assert "0 of 2" in page and "<script>" not in page
        answer, page = await app.get("/run/slow")
        assert answer.status == 200 and "DAMAGED" in page
        _, page = await app.get("/champions")
        assert "chain broken" in page and "line 1 was changed" in page
        answer, page = await app.get("/compare?run=slow&run=deep/busy")
        assert answer.status == 400

    visit(look)


def test_an_empty_workspace_says_what_to_type(tmp_path) -> None:
    import asyncio

    from app_for_tests import opened

    from dolphin.workspace import create

    async def look() -> None:
        async with opened(create(tmp_path / "new")) as app:
            for path, word in (
                ("/", "None yet"), ("/datasets", "dolphin data import"), ("/runs", "dolphin backtest"),
                ("/studies", "dolphin sweep"), ("/verdicts", "dolphin gate"), ("/champions", "dolphin promote"),
                ("/sessions", "dolphin trade paper"),
            ):  # fmt: skip
                answer, page = await app.get(path)
                assert answer.status == 200 and word in page, path

    asyncio.run(look())


def test_the_recording_of_feeds_is_shown_with_its_age(visit, home) -> None:
    from dolphin.feeds.health import Health
    from dolphin.feeds.recorder import recording_folder

    health = Health()
    health.component("exf").counts["values"] += 3
    folder = recording_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "status.json").write_text(json.dumps(health.document()))

    async def look(app) -> None:
        _, page = await app.get("/sessions")
        assert "Feeds" in page and "exf" in page and "3 values" in page

    visit(look)
