"""The whole feed: run, killed at any moment, taken up again; its health on a loopback port; what it leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from feed_server import Fake, fake, until

from dolphin.catalog.store.tables import open_table
from dolphin.errors import Busy
from dolphin.feeds.collector import Collector
from dolphin.feeds.compaction import compact_day, verify_recording
from dolphin.feeds.doctor import ask_all
from dolphin.feeds.recorder import recording_folder
from dolphin.feeds.service import Service
from dolphin.feeds.sources import parse_settings
from dolphin.feeds.spool import KINDS, read_spool
from dolphin.workspace import create


def toml_of(settings: dict[str, Any]) -> str:
    """Settings as a file."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if key != "sources"]
    sources = [
        f'[sources.{name}]\nbase = "{own["base"]}"\nper_minute = {own["per_minute"]}'
        for name, own in settings["sources"].items()
    ]
    return "\n".join([*plain, *sources]) + "\n"


def test_a_feed_runs_says_how_it_is_and_stops(tmp_path: Path) -> None:
    async def whole() -> None:
        async with fake() as made:
            home = create(tmp_path)
            settings = parse_settings(made.settings(symbols=["BTCUSDT"], cadence="1s", snapshot="1s"), "test")
            service = Service(home, settings)
            running = asyncio.create_task(service.run())
            await made.subscribed("btcusdt@aggTrade")
            with pytest.raises(Busy):
                await Service(home, settings).run()
            for _ in range(30):
                await made.quote("BTCUSDT")
                await made.trade("BTCUSDT")
            await until(lambda: service.books and service.books.latest, "book")
            await until(lambda: service.poller and len(service.poller.held) > 10, "factors")
            async with aiohttp.ClientSession() as session:
                base = f"http://127.0.0.1:{service.port}"
                async with session.get(f"{base}/health") as answer:
                    document = await answer.json()
                    assert answer.status == 200 and document["status"] == "healthy", document["alerts"]
                    assert document["components"]["stream"]["counts"]["trades"] == 30
                    assert document["components"]["stream"]["scores"] == {"messages": 1.0, "quotes": 1.0}
                    assert document["components"]["exf"]["scores"]["funding_btc"] == 1.0
                    assert document["components"]["api"]["latency_ms"]["binance"]["p99"] > 0.0
                async with session.get(f"{base}/metrics") as answer:
                    text = await answer.text()
                    assert 'dolphin_feeds_status{component="all"} 0.0' in text
                    assert 'dolphin_factor{name="funding_btc"} 0.0001' in text
                async with session.get(f"{base}/latest") as answer:
                    latest = await answer.json()
                    assert latest["factors"]["fng"]["value"] == 40.0 and "BTCUSDT" in latest["books"]
                async with session.get(f"{base}/bars", params={"symbol": "BTCUSDT", "count": "9"}) as answer:
                    bars = await answer.json()
                    assert sum(bars["trades"]) == 30 and bars["spacing_ns"] == 10**9
                async with session.get(f"{base}/bars", params={"symbol": "NONE"}) as answer:
                    assert answer.status == 404 and (await answer.json())["symbols"] == ["BTCUSDT"]
            await until(lambda: service.health.components["recorder"].counts["snapshots"] > 0, "snapshot")
            service.stop.set()
            await running
            held = len(service.poller.held)  # type: ignore[union-attr]
            again = Service(home, settings, ("exf",))
            await again.run(0.3)
            assert len(again.poller.held) >= held  # type: ignore[union-attr]
            assert {path.suffix for path in recording_folder(home).rglob("*") if path.is_file()} <= {
                ".npz", ".sha256", ".json", ".jsonl", "",
            }  # fmt: skip
            assert verify_recording(home, "rec") == []

    asyncio.run(whole())


@pytest.mark.slow
def test_a_feed_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async def feed(home: Path) -> asyncio.subprocess.Process:
        environment = {**os.environ, "DOLPHIN_HOME": str(home)}
        command = (sys.executable, "-m", "dolphin", "feeds", "run", "--only", "ticks,books")
        return await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )

    async def burst(made: Fake, count: int) -> None:
        for _ in range(count):
            await made.quote("BTCUSDT")
            await made.trade("BTCUSDT")

    async def whole() -> None:
        async with fake() as made:
            home = create(tmp_path)
            (tmp_path / "feeds.toml").write_text(toml_of(made.settings(symbols=["BTCUSDT"], snapshot="2s")))
            folder = recording_folder(home)

            def rows() -> int:
                return sum(p.stat().st_size for p in (folder / "spool").glob("ticks-*")) // KINDS["ticks"].itemsize

            def repaired() -> int:
                status = json.loads((folder / "status.json").read_bytes())
                counts: dict[str, int] = status["components"]["stream"]["counts"]
                return counts.get("trades repaired", 0)

            for end in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
                process = await feed(tmp_path)
                made.sockets.clear()
                await made.subscribed("btcusdt@aggTrade")
                await burst(made, 50)
                if made.trades["BTCUSDT"][-1]["a"] < 180:
                    await until(lambda: rows() or any((folder / "ticks").rglob("*.npz")), "written")
                    await burst(made, 20)  # these may not be on disk when it dies
                else:  # the last: whatever the others left open is closed by it
                    await until(lambda: repaired() >= 40, "repaired", 60.0)
                process.send_signal(end)
                code = await asyncio.wait_for(process.wait(), 60.0)
                assert code == (-signal.SIGKILL if end == signal.SIGKILL else 0)
                await burst(made, 20)  # nobody listens
            dates = {path.name for path in (recording_folder(home) / "ticks").iterdir()}
            ids: list[int] = []
            for date in sorted(dates):
                compact_day(home, "rec", date)
                ids += open_table(home, f"rec_ticks_{date}").frame().collect()["trade_id"].to_list()
            assert ids == list(range(1, len(ids) + 1)) and len(ids) == 230
            assert verify_recording(home, "rec") == []

    asyncio.run(whole())


def test_what_the_state_calls_held_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill right after the state was written: what it counts as held is never asked for again."""
    settings = parse_settings({"symbols": ["BTCUSDT"]}, "test")
    service = Service(create(tmp_path), settings, ("ticks",))
    holes = service.folder / "holes.json"

    def trade(number: int) -> bytes:
        data = {"e": "aggTrade", "E": 1, "T": 1, "s": "BTCUSDT", "p": "1.5", "q": "2.0", "a": number, "m": True}
        return json.dumps({"stream": "btcusdt@aggTrade", "data": {**data, "f": number, "l": number}}).encode()

    with service.recorder.opened():
        collector = Collector(settings, service.health, (), keep_tick=service.recorder.tick)
        service.collector = collector
        for number in (1, 2, 3, 5):
            collector.take(trade(number))
        service._write_state()
        spool = service.recorder.spools["ticks"].path
        assert read_spool(spool)["trade_id"].tolist() == [1, 2, 3, 5]
        assert json.loads(holes.read_bytes()) == {"BTCUSDT": {"last": 5, "missing": [[4, 4]]}}
        collector.take(trade(6))
        with monkeypatch.context() as patch:
            patch.setattr(service.recorder.spools["ticks"], "flush", lambda: (_ for _ in ()).throw(OSError(28, "full")))
            service._write_state()
        assert json.loads(holes.read_bytes())["BTCUSDT"]["last"] == 5, "what the disk did not take is not called held"


def test_the_doctor_asks_everybody_once() -> None:
    async def whole() -> None:
        async with fake() as made:
            made.faults = {"fng/": [500], "historicalChainTvl": [("json",)]}
            found = await ask_all(parse_settings(made.settings(), "test"))
            assert {f.what for f in found if not f.ok} == {"fng", "tvl"} and len(found) == 34
            assert made.asked["/alternative/fng/"] == 1
            nowhere = made.settings()
            for own in nowhere["sources"].values():
                own["base"] = own["base"].split("//")[0] + "//127.0.0.1:9"
            found = await ask_all(parse_settings(nowhere, "test"))
            assert not any(f.ok for f in found) and all("\n" not in f.said and f.said for f in found)

    asyncio.run(whole())
