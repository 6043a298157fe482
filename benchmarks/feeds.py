"""What the feeds cost: a poll cycle over all indicators, the book record of 50 symbols, a message, and what is lost.

Run ``python -m benchmarks.feeds``. Providers and the exchange are a server of a process of its own on this machine
(``tests/feed_server.py``), so that only our own work is in the CPU times. The loss is that of a stream of trades at
10,000 messages a second, by their numbers, after everything was written.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dolphin.feeds.bars import Rings
from dolphin.feeds.client import Client
from dolphin.feeds.collector import Collector, streams_of
from dolphin.feeds.health import Health
from dolphin.feeds.meter import Books
from dolphin.feeds.poller import Poller
from dolphin.feeds.recorder import Recorder
from dolphin.feeds.sources import parse_settings
from dolphin.feeds.spool import read_snapshot
from dolphin.times import SECOND_NS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from feed_server import Fake, fake

SYMBOLS = tuple(f"S{k:02d}USDT" for k in range(50))
RATE, SECONDS = 10_000, 20


def serve(pipe: Any) -> None:
    """The server's process: it tells its address, then waits for what it is to send."""

    async def whole() -> None:
        async with fake() as made:
            pipe.send(made.settings())
            while (wish := await asyncio.to_thread(pipe.recv)) is not None:
                await flood(made, *wish)
                pipe.send(dict(made.sent))

    asyncio.run(whole())


async def flood(made: Fake, rate: int, seconds: int) -> None:
    """So many trades a second, spread over the symbols, in batches of 10 ms."""
    await made.subscribed(f"{SYMBOLS[-1].lower()}@aggTrade")
    socket = next(iter(made.sockets))
    began, sent, now = time.monotonic(), 0, time.time_ns() // 10**6
    numbers = dict.fromkeys(SYMBOLS, 0)
    while sent < rate * seconds:
        due = min(rate * seconds, int((time.monotonic() - began) * rate) + 1)
        while sent < due:
            symbol = SYMBOLS[sent % len(SYMBOLS)]
            numbers[symbol] += 1
            data = (
                f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":{now},"a":{numbers[symbol]},'
                f'"s":"{symbol}","p":"100.12","q":"0.250","f":1,"l":1,"T":{now},"m":true}}}}'
            )
            await socket.send_str(data)
            sent += 1
        await asyncio.sleep(0.01)
    made.sent["seconds"] = round(time.monotonic() - began, 2)  # type: ignore[assignment]
    made.sent["trades"] = sent


async def poll_cycle(settings: dict[str, Any]) -> None:
    """CPU and clock of whole cycles: every indicator asked."""
    health = Health()
    async with Client(parse_settings(settings, "benchmark"), health) as client:
        poller = Poller(client, health)
        await poller.cycle(everything=True)
        cpu, clock = [], []
        for _ in range(20):
            began, at = time.process_time(), time.perf_counter()
            await poller.cycle(everything=True)
            cpu.append(1e3 * (time.process_time() - began))
            clock.append(1e3 * (time.perf_counter() - at))
        calls = sum(n for what, n in health.components["api"].counts.items() if what.endswith("calls")) / 21
        own, known = f"{np.median(cpu):.1f} ms (most {max(cpu):.1f})", len(poller.held) + len(poller.coming)
        print(f"poll cycle, 28 indicators, {calls:.0f} requests: own work {own}, clock {np.median(clock):.1f} ms")
        print(f"known after it: {known}; those of liquidations need a day of listening")


def book_records() -> None:
    """The records of 50 symbols whose windows are full."""
    rng, books, now = random.Random(1), Books(SECOND_NS), 1_800_000_000 * SECOND_NS
    books.due(now)
    spent = []
    for _ in range(400):
        now += SECOND_NS
        for k, symbol in enumerate(SYMBOLS):
            books.of(symbol).quote(now + k, 100.0, rng.random(), 100.1, rng.random())
            books.of(symbol).traded += 1.0
        began = time.perf_counter()
        found = books.due(now)
        spent.append(1e3 * (time.perf_counter() - began))
        assert len(found) == 50
    print(f"book record, 50 symbols: {np.median(spent[-90:]):.3f} ms (most {max(spent[-90:]):.3f})")


def message_costs() -> None:
    """Decoding, checking, measuring and keeping one message of each kind, without the socket."""
    settings, now = parse_settings({}, "benchmark"), time.time_ns() // 10**6
    level = [["100.10", "1.500"]] * 20
    kinds = {
        "bookTicker": lambda k: {"b": "100.10", "B": "1.2", "a": "100.20", "A": "3.4", "u": k, "T": now, "E": now},
        "aggTrade": lambda k: {"a": k, "p": "100.15", "q": "0.25", "f": k, "l": k, "T": now, "m": True, "E": now},
        "depth20": lambda k: {"u": k, "U": k, "pu": k - 1, "T": now, "E": now, "b": level, "a": level},
    }
    for name, data in kinds.items():
        rows: list[Any] = []
        made = Collector(settings, Health(), (), books=Books(SECOND_NS), bars=Rings(), keep_tick=rows.append)
        event = {"depth20": "depthUpdate"}.get(name, name)
        texts = [
            json.dumps({"stream": f"s@{name}", "data": {"e": event, "s": SYMBOLS[k % 50], **data(k // 50 + 1)}})
            for k in range(50_000)
        ]
        began = time.process_time()
        for text in texts:
            made.take(text)
        print(f"message {name}: {1e6 * (time.process_time() - began) / len(texts):.2f} us")


async def loss(settings: dict[str, Any], pipe: Any) -> None:
    """Trades at 10,000 a second through socket, checks and recording."""
    with TemporaryDirectory() as folder:
        health, chosen, stop = Health(), parse_settings(settings, "benchmark"), asyncio.Event()
        recorder = Recorder(Path(folder), 10 * SECOND_NS, health)
        names = streams_of(SYMBOLS, books=False, ticks=True, liquidations=False)
        with recorder.opened():
            collector = Collector(chosen, health, names, bars=Rings(), keep_tick=recorder.tick)
            tasks = [asyncio.create_task(part.run(stop)) for part in (collector, recorder)]
            began = time.process_time()
            pipe.send((RATE, SECONDS))
            sent = await asyncio.to_thread(pipe.recv)
            while collector.counts["trades"] < sent["trades"]:
                before = collector.counts["trades"]
                await asyncio.sleep(1.0)
                if collector.counts["trades"] == before:
                    break
            cpu = time.process_time() - began
            stop.set()
            await asyncio.gather(*tasks)
        paths = sorted(Path(folder).glob("ticks/*/*.npz"))
        kept = np.concatenate([read_snapshot(path, "ticks") for path in paths])
        unique = len(np.unique(kept[["symbol", "trade_id"]]))
        print(f"{sent['trades']:,} trades in {sent['seconds']} s ({sent['trades'] / sent['seconds']:,.0f} a second): "
              f"{len(kept):,} on disk, {unique:,} of them different, {sent['trades'] - unique} lost; "
              f"{1e6 * cpu / sent['trades']:.1f} us of CPU each, socket, check and disk")  # fmt: skip


def main() -> None:
    """Measure and print."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    settings = ours.recv()
    asyncio.run(poll_cycle(settings))
    book_records()
    message_costs()
    asyncio.run(loss(settings, ours))
    ours.send(None)
    server.join(10.0)


if __name__ == "__main__":
    main()
