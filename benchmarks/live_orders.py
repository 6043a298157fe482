"""How long a live session takes from a row's last message to an order's submission, at the exchange of one's own.

Run ``python -m benchmarks.live_orders [ASSETS] [BARS] [MILLISECONDS] [FSYNC]``. The exchange is a process of its own on
loopback and plays a bar every so many ms; ``vel_div`` trades in most bars of a generated market. Beside the
time by the clock stands the processor time of the session's thread, and the time by the clock of the rows in which the
system did not take the processor away: on a busy machine these are the session's own.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from dolphin.catalog import generate, open_dataset
from dolphin.config import parse_config
from dolphin.features import history_bars
from dolphin.live.binance.feed import BinanceFeed
from dolphin.live.binance.journaling import LiveJournal
from dolphin.live.binance.keys import Keys
from dolphin.live.binance.trader import LiveTrader
from dolphin.live.dressing import Dresser
from dolphin.trade.champion import UNFROZEN, Runs
from dolphin.trade.live.session import LiveSession, Venue, trade_live
from dolphin.trade.settings import Settings
from dolphin.workspace import create

MINUTE = 60_000_000_000
CONFIG = {
    "params": {
        "direction": "bidirectional", "short_threshold": -0.0001, "short_extreme": -0.02, "long_threshold": 0.0001,
        "long_extreme": 0.02, "vol_gate_mode": "off", "tp_pct": 0.0002, "stop_pct": 0.0004, "max_hold_bars": 1,
    }
}  # fmt: skip


class Stamps:
    """Times of one session, ns: of the whole way and of its stages, and what the system did meanwhile."""

    def __init__(self) -> None:
        self.wall: list[int] = []
        self.own: list[int] = []
        self.alone: list[bool] = []
        self.stages: dict[str, list[int]] = defaultdict(list)
        self._from = 0, 0, 0

    @staticmethod
    def now() -> tuple[int, int, int]:
        """The clock, this thread's processor time, how often the processor was taken away from it."""
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        return time.perf_counter_ns(), time.thread_time_ns(), usage.ru_nivcsw

    def message(self) -> None:
        """A message came; the last one counts."""
        self._from = self.now()

    def submitted(self) -> None:
        """An order goes out; the first one of a row counts."""
        if self._from[0]:
            wall, own, taken = (a - b for a, b in zip(self.now(), self._from, strict=True))
            self.wall.append(wall)
            self.own.append(own)
            self.alone.append(taken == 0)
            self._from = 0, 0, 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take the times of every session while the block runs."""
        timed = {
            "scan": (Dresser, "features"), "row written": (LiveJournal, "opened"),
            "wishes written": (LiveJournal, "decided"), "bar's end written": (LiveJournal, "closed"),
            "snapshot, in the session": (LiveSession, "_snapshot"),
        }  # fmt: skip
        kept: list[tuple[Any, str, Any]] = [(BinanceFeed, "bar", BinanceFeed.bar), (LiveTrader, "submit_order", None)]
        kept += [(owner, name, getattr(owner, name)) for owner, name in timed.values()]
        hear, submit = BinanceFeed.bar, LiveTrader.submit_order

        def bar(feed: Any, *given: Any) -> None:
            self.message()
            hear(feed, *given)

        def submit_order(trader: Any, order: Any) -> None:
            self.submitted()
            submit(trader, order)

        BinanceFeed.bar = bar  # type: ignore[method-assign]
        LiveTrader.submit_order = submit_order
        for stage, (owner, name) in timed.items():
            setattr(owner, name, self._timed(stage, getattr(owner, name)))
        try:
            yield
        finally:
            for owner, name, before in kept:
                if before is None:
                    delattr(owner, name)
                else:
                    setattr(owner, name, before)

    def _timed(self, stage: str, inner: Any) -> Any:
        @functools.wraps(inner)
        def outer(*given: Any, **named: Any) -> Any:
            begun = time.perf_counter_ns()
            try:
                return inner(*given, **named)
            finally:
                self.stages[stage].append(time.perf_counter_ns() - begun)

        return outer


def play(url: str, assets: int, bars: int, seconds: float) -> None:
    """Play bars at their times, from when the session listens on."""
    with httpx.Client(base_url=url, timeout=10.0) as client:
        while True:
            state = client.get("/control").json()
            if state["kline_listeners"] >= assets and state["users"]:
                break
            time.sleep(0.1)
        due = time.monotonic() + 1.0
        with suppress(httpx.HTTPError):  # the exchange ends with the session
            for _ in range(bars):
                due = max(due + seconds, time.monotonic())
                time.sleep(max(0.0, due - time.monotonic()))
                client.post("/control", json={"bar": 1})


def measure(assets: int, bars: int, seconds: float, fsync: str, folder: Path) -> Stamps:
    """One session."""
    home = create(folder / "home")
    first = history_bars(MINUTE) + 50
    generate(home, "m", preset="edge", days=4, assets=assets, spacing_ns=MINUTE, seed=3)
    dataset = open_dataset(home, "m")
    serve = f"exchange serve --dataset m --played {first} --port 0 --speed 0 --balance 1e6"
    stamps = Stamps()
    with subprocess.Popen(
        [sys.executable, "-m", "dolphin", *serve.split()], cwd=home.root, stderr=subprocess.PIPE, env=os.environ
    ) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://127.0.0.1:\d+", process.stderr.readline().decode())
            assert found is not None
            config = parse_config(CONFIG, where="benchmark")
            player = multiprocessing.get_context("spawn").Process(
                target=play, args=(found.group(), assets, bars, seconds), daemon=True
            )
            player.start()
            with stamps.taken():
                trade_live(
                    home, Runs(config, UNFROZEN, "benchmark"), Venue(dataset, url=found.group()), folder / "state",
                    Settings(fsync=fsync), Keys("key", "secret"), say=lambda line: None, stop_at=first + bars - 1,
                )  # fmt: skip
        finally:
            process.terminate()
    return stamps


def told(name: str, taken: Any) -> str:
    """Percentiles of times, us."""
    if not len(taken):
        return f"  {name:28s} none"
    p50, p90, p99 = np.percentile(np.asarray(taken) / 1000.0, (50, 90, 99))
    return f"  {name:28s} p50 {p50:9.1f}  p90 {p90:9.1f}  p99 {p99:9.1f} us  of {len(taken):,}"


def main(arguments: list[str]) -> None:
    """Measure and print."""
    defaults = "50", "2000", "50", "never"
    assets, bars, milliseconds, fsync = (*arguments, *defaults[len(arguments) :])
    with tempfile.TemporaryDirectory() as folder:
        stamps = measure(int(assets), int(bars), float(milliseconds) / 1000.0, fsync, Path(folder))
    wall, alone = np.array(stamps.wall[1:]), np.array(stamps.alone[1:])  # the first one compiles, or loads what is
    print(f"last message to submit, {assets} assets, a bar every {milliseconds} ms, fsync {fsync}")
    print(told("by the clock", wall))
    print(told("processor time", stamps.own[1:]))
    print(told("by the clock, undisturbed", wall[alone]))
    for name, taken in stamps.stages.items():
        print(told(name, taken[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
