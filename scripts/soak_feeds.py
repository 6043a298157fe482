"""A feed under every fault at once, killed now and then; at the end every trade must be on disk, once.

    python scripts/soak_feeds.py [--seconds 180] [--kill-every 45]

The providers and the exchange are ``tests/feed_server.py`` on this machine; the feed is ``dolphin feeds run`` in a
process of its own. Messages are dropped, doubled, swapped and cut; connections end in storms and fall silent; answers
are slow, refused (429, 418, 5xx), cut, of another time; the exchange's clock is wrong for a while.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import psutil  # noqa: E402
from feed_server import Fake, fake  # noqa: E402

from dolphin.catalog.store.tables import open_table  # noqa: E402
from dolphin.feeds.compaction import compact_day, verify_recording  # noqa: E402
from dolphin.feeds.recorder import recording_folder  # noqa: E402
from dolphin.workspace import create  # noqa: E402

SYMBOLS = [f"S{k:02d}USDT" for k in range(20)]
MESS = {"drop": 0.01, "twice": 0.01, "late": 0.01, "cut": 0.005}
PATHS = ("fundingRate", "openInterest", "depth", "takerlongshortRatio", "get_volatility_index_data", "fredgraph.csv",
         "fng/", "hash-rate", "historicalChainTvl", "aggTrades", "time")  # fmt: skip
FAULTS = (500, 503, (429, {"Retry-After": "1"}), (418, {"Retry-After": "2"}), ("slow", 3.0), ("json",), ("html",),
          ("past", 90_000.0), ("future", 600.0))  # fmt: skip


def toml_of(settings: dict) -> str:
    """Settings as a file."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if key != "sources"]
    sources = settings["sources"].items()
    own = [f'[sources.{name}]\nbase = "{s["base"]}"\nper_minute = {s["per_minute"]}' for name, s in sources]
    return "\n".join([*plain, *own]) + "\n"


async def market(made: Fake, stop: asyncio.Event) -> None:
    """About 600 messages a second."""
    while not stop.is_set():
        for symbol in SYMBOLS:
            await made.trade(symbol)
            await made.quote(symbol)
            if made.rng.random() < 0.1:
                await made.depth(symbol)
        if made.rng.random() < 0.02:
            await made.liquidation("S01USDT", "SELL", 100.0, 2.0)
        await asyncio.sleep(0.06)


async def trouble(made: Fake, stop: asyncio.Event, done: Counter[str]) -> None:
    """Something goes wrong every second or two."""
    rng = random.Random(7)
    made.mess = MESS
    while not stop.is_set():
        what = rng.choice(("storm", "silence", "clock", "old quotes", *["answers"] * 6))
        done[what] += 1
        if what == "storm":
            for _ in range(5):
                await made.drop_all()
                await asyncio.sleep(0.3)
        elif what == "silence":
            made.mute = True
            await asyncio.sleep(4.0)
            made.mute = False
        elif what == "clock":
            made.skew_ms = 7000
            await asyncio.sleep(1.0)
            made.skew_ms = 0
        elif what == "old quotes":
            for symbol in SYMBOLS:
                await made.quote(symbol, late_ms=60_000)
        else:
            for path in rng.sample(PATHS, 4):
                made.faults.setdefault(path, []).extend(rng.choices(FAULTS, k=2))
        await asyncio.sleep(rng.uniform(0.5, 2.0))
    made.mess, made.faults = {}, {}


async def start(home: Path) -> asyncio.subprocess.Process:
    """The feed."""
    environment = {**os.environ, "DOLPHIN_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with (home / "feed.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dolphin", "feeds", "run", env=environment, stdout=log, stderr=log
        )


def cpu_of(process: asyncio.subprocess.Process) -> float:
    """CPU seconds of the feed so far."""
    try:
        times = psutil.Process(process.pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def closed(folder: Path, made: Fake) -> bool:
    """Whether the feed says that it has every trade up to now."""
    try:
        holes = json.loads((folder / "holes.json").read_bytes())
    except (OSError, ValueError):
        return False
    return all(s in holes and not holes[s]["missing"] and holes[s]["last"] == len(made.trades[s]) for s in SYMBOLS)


async def soak(home: Path, seconds: float, kill_every: float) -> int:
    """Run it; the exit code."""
    async with fake() as made:
        create(home)
        folder, stop, done = recording_folder(create(home)), asyncio.Event(), Counter[str]()
        settings = made.settings(symbols=SYMBOLS, cadence="1s", snapshot="20s", silence="2s", breaker_rest="2s")
        (home / "feeds.toml").write_text(toml_of(settings))
        process, began, kills, cpu = await start(home), time.monotonic(), 0, 0.0
        await made.subscribed(f"{SYMBOLS[-1].lower()}@aggTrade")
        tasks = [asyncio.create_task(market(made, stop)), asyncio.create_task(trouble(made, stop, done))]
        while time.monotonic() - began < seconds:
            await asyncio.sleep(min(kill_every, max(0.1, seconds - (time.monotonic() - began))))
            if time.monotonic() - began < seconds:
                cpu += cpu_of(process)
                process.send_signal(signal.SIGKILL)
                await process.wait()
                kills += 1
                process = await start(home)
        stop.set()
        await asyncio.gather(*tasks)
        lasted = time.monotonic() - began
        made.mute = False
        async with asyncio.timeout(120.0):
            while not closed(folder, made):
                await asyncio.sleep(1.0)
                if any(made.sockets.values()):
                    for symbol in SYMBOLS:
                        await made.trade(symbol)
                    await asyncio.sleep(3.0)
        cpu += cpu_of(process)
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), 60.0)
        return report(home, made, lasted, kills, done, code, cpu)


def report(home: Path, made: Fake, lasted: float, kills: int, done: Counter[str], code: int, cpu: float) -> int:
    """What is on disk against what the exchange had."""
    folder, ids = recording_folder(create(home)), {symbol: [] for symbol in SYMBOLS}
    twice = 0
    for day in sorted(path.name for path in (folder / "ticks").iterdir()):
        compact_day(create(home), "rec", day)
        table = open_table(create(home), f"rec_ticks_{day}")
        twice += table.manifest["quality"]["counts"]["duplicate"]
        for symbol, number in table.frame().select("symbol", "trade_id").collect().iter_rows():
            ids[symbol].append(number)
    had = sum(len(made.trades[s]) - min(ids[s], default=1) + 1 for s in SYMBOLS)
    held = sum(len(set(ids[s])) for s in SYMBOLS)
    doubled = sum(len(ids[s]) - len(set(ids[s])) for s in SYMBOLS)
    problems = verify_recording(create(home), "rec")
    keys = [json.loads(line)["key"] for line in (folder / "alerts.jsonl").read_text().splitlines()]
    alerts, kinds = Counter(key.split(":")[0] for key in keys), sorted(set(keys))
    answers = sum(made.asked.values())
    sent = sum(made.sent.values())
    print(f"{lasted:.0f} s, {kills} kills, troubles {dict(done)}, {sent:,} messages, {answers:,} answers")
    faults = ", ".join(f"{what} {count:,}" for what, count in sorted(made.done.items()))
    print(f"faults met: {sum(made.done.values()):,} ({faults})")
    print(f"CPU of the feed {cpu:.1f} s, starts included: {1e6 * cpu / sent:.0f} us a message")
    print(f"trades of the exchange {had:,}, on disk {held:,}, lost {had - held}, twice {doubled}")
    print(f"set aside as repeated {twice}; damaged files {len(problems)}; last exit code {code}")
    print(f"alert lines by part: {dict(alerts)}; kinds: {', '.join(kinds)}")
    traces = (home / "feed.log").read_text(errors="replace").count("Traceback")
    print(f"tracebacks in the log: {traces}")
    return int(had != held or doubled > 0 or bool(problems) or code != 0 or traces > 0)


def main() -> None:
    """Soak."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--seconds", type=float, default=180.0)
    ask.add_argument("--kill-every", type=float, default=45.0)
    given = ask.parse_args()
    with TemporaryDirectory() as folder:
        code = asyncio.run(soak(Path(folder), given.seconds, given.kill_every))
        if code:
            print((Path(folder) / "feed.log").read_text(errors="replace")[-3000:])
    sys.exit(code)


if __name__ == "__main__":
    main()
