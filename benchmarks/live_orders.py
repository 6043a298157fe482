"""How long a live session takes from a row's last message to an order's submission, and from its start to a decision.

Run ``python -m benchmarks.live_orders [ASSETS ...] [--fsync POLICY ...] [--rounds N] [--stages]``. The exchange is a
process of its own on loopback and plays a bar every so many ms; ``vel_div`` trades in most bars of a generated market.
Each drawing is a session in a process of its own, a round draws each kind once. Time counts from the message of the
row's last kline, undecoded, to the call that hands the row's first order to Nautilus. Beside the time by the clock
stands the processor time of the session's thread, and the time by the clock of the rows in which the system did not
take the processor away: on a busy machine these are the session's own.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np

MINUTE = 60_000_000_000
CONFIG = {
    "params": {
        "direction": "bidirectional", "short_threshold": -0.0001, "short_extreme": -0.02, "long_threshold": 0.0001,
        "long_extreme": 0.02, "vol_gate_mode": "off", "tp_pct": 0.0002, "stop_pct": 0.0004, "max_hold_bars": 1,
    }
}  # fmt: skip


class Stamps:
    """Times of one session, ns: of the whole way and of its stages, and what the system did meanwhile."""

    def __init__(self, began: float) -> None:
        self.wall: list[int] = []
        self.own: list[int] = []
        self.alone: list[bool] = []
        self.stages: dict[str, list[int]] = defaultdict(list)
        self.reached: dict[str, float] = {}
        self._began, self._from = began, (0, 0, 0)

    @staticmethod
    def now() -> tuple[int, int, int]:
        """The clock, this thread's processor time, how often the processor was taken away from it."""
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        return time.perf_counter_ns(), time.thread_time_ns(), usage.ru_nivcsw

    def reach(self, what: str) -> None:
        """The session's start has come so far, for the first time."""
        self.reached.setdefault(what, time.time() - self._began)

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

    def take(self, stages: bool) -> None:
        """Take the times of this process' session; those of its stages cost a part of what is timed."""
        from dolphin.live.binance.feed import BinanceFeed
        from dolphin.live.binance.hooks import Clients
        from dolphin.live.binance.journaling import LiveJournal
        from dolphin.live.binance.trader import LiveTrader
        from dolphin.live.dressing import Dresser
        from dolphin.trade.live.session import LiveSession

        before: dict[tuple[Any, str], Any] = {
            (LiveTrader, "_heard"): self.message, (LiveTrader, "submit_order"): self.submitted,
            (LiveTrader, "on_start"): lambda: self.reach("node started"),
            (BinanceFeed, "history"): lambda: self.reach("account checked"),
            (Dresser, "take_history"): lambda: self.reach("history fetched"),
            (LiveSession, "ready"): lambda: self.reach("first look"),
            (Clients, "connect_streams"): lambda: self.reach("books compared"),
            (LiveTrader, "_take"): lambda: self.reach("first row"),
            (LiveSession, "closed"): lambda: self.reach("first decision"),
        }  # fmt: skip
        timed = {
            "bar taken in": (BinanceFeed, "bar"), "scan": (Dresser, "features"),
            "row written": (LiveJournal, "opened"), "wishes written": (LiveJournal, "decided"),
            "bar's end written": (LiveJournal, "closed"), "snapshot, in the session": (LiveSession, "_snapshot"),
        }  # fmt: skip
        for (owner, name), first in before.items():
            setattr(owner, name, _behind(first, getattr(owner, name)))
        for stage, (owner, name) in timed.items() if stages else ():
            setattr(owner, name, self._timed(stage, getattr(owner, name)))

    def _timed(self, stage: str, inner: Any) -> Any:
        @functools.wraps(inner)
        def outer(*given: Any, **named: Any) -> Any:
            begun = time.perf_counter_ns()
            try:
                return inner(*given, **named)
            finally:
                self.stages[stage].append(time.perf_counter_ns() - begun)

        return outer


def _behind(first: Any, inner: Any) -> Any:
    """A method that does something else before."""

    @functools.wraps(inner)
    def outer(*given: Any, **named: Any) -> Any:
        first()
        return inner(*given, **named)

    return outer


def play(url: str, assets: int, bars: int, seconds: float) -> None:
    """Play bars at their times, from when the session listens on."""
    with httpx.Client(base_url=url, timeout=10.0) as client:
        while True:
            state = client.get("/control").json()
            if state["kline_listeners"] >= assets and state["users"]:
                break
            time.sleep(0.02)
        due = time.monotonic()
        with suppress(httpx.HTTPError):  # the exchange ends with the session
            for _ in range(bars):
                client.post("/control", json={"bar": 1})
                due = max(due + seconds, time.monotonic())
                time.sleep(max(0.0, due - time.monotonic()))


@contextmanager
def exchange(root: Path, dataset: str, played: int) -> Iterator[str]:
    """An exchange in a process of its own; its address."""
    serve = f"exchange serve --dataset {dataset} --played {played} --port 0 --speed 0 --balance 1e6"
    command = [sys.executable, "-m", "dolphin", *serve.split()]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, env=os.environ) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://127.0.0.1:\d+", process.stderr.readline().decode())
            assert found is not None
            yield found.group()
        finally:
            process.terminate()


def draw(kind: Mapping[str, Any]) -> None:
    """One session, in this process; its times go into a file."""
    from dolphin.catalog import open_dataset
    from dolphin.config import parse_config
    from dolphin.features import history_bars
    from dolphin.live.binance.keys import Keys
    from dolphin.trade.champion import UNFROZEN, Runs
    from dolphin.trade.live.session import Venue, trade_live
    from dolphin.trade.settings import Settings
    from dolphin.workspace import Workspace

    stamps = Stamps(kind["began"])
    stamps.reach("imported")
    home = Workspace(Path(kind["home"]))
    dataset, config = open_dataset(home, kind["dataset"]), parse_config(CONFIG, where="benchmark")
    first = history_bars(MINUTE) + 50
    player = multiprocessing.get_context("spawn").Process(
        target=play, args=(kind["url"], kind["assets"], kind["bars"], kind["seconds"]), daemon=True
    )
    player.start()
    stamps.take(kind["stages"])
    trade_live(
        home, Runs(config, UNFROZEN, "benchmark"), Venue(dataset, url=kind["url"]), Path(kind["state"]),
        Settings(fsync=kind["fsync"]), Keys("key", "secret"), say=lambda line: None, stop_at=first + kind["bars"] - 1,
    )  # fmt: skip
    found = {name: getattr(stamps, name) for name in ("wall", "own", "alone", "stages", "reached")}
    Path(kind["out"]).write_text(json.dumps(found))


def drawing(
    folder: Path, number: int, assets: int, fsync: str, bars: int, seconds: float, stages: bool
) -> dict[str, Any]:  # fmt: skip
    """The times of one session in a process of its own, against an exchange of its own."""
    from dolphin.catalog import generate
    from dolphin.features import history_bars
    from dolphin.workspace import Workspace, create

    root, dataset = folder / "home", f"m{assets}"
    home = Workspace(root) if root.is_dir() else create(root)
    if not (folder / dataset).exists():
        generate(home, dataset, preset="edge", days=4, assets=assets, spacing_ns=MINUTE, seed=3)
        (folder / dataset).touch()
    out = folder / f"{number}.json"
    with exchange(home.root, dataset, history_bars(MINUTE) + 50) as url:
        kind = {
            "home": str(root), "dataset": dataset, "url": url, "assets": assets, "fsync": fsync, "bars": bars,
            "seconds": seconds, "stages": stages, "state": str(folder / f"state{number}"), "out": str(out),
            "began": time.time(),
        }  # fmt: skip
        subprocess.run([sys.executable, "-m", "benchmarks.live_orders", "--draw", json.dumps(kind)], check=True)
    return json.loads(out.read_text())  # type: ignore[no-any-return]


def told(name: str, taken: Any) -> str:
    """Percentiles of times, us."""
    if not len(taken):
        return f"  {name:28s} none"
    p50, p90, p99 = np.percentile(np.asarray(taken) / 1000.0, (50, 90, 99))
    return f"  {name:28s} p50 {p50:9.1f}  p90 {p90:9.1f}  p99 {p99:9.1f} us  of {len(taken):,}"


def show(kinds: Mapping[tuple[int, str], list[dict[str, Any]]], pace: Mapping[int, float], stages: bool) -> None:
    """Print the table, a line per kind, and the seconds of the starts."""
    print("From a row's last message to an order's submission, ms")
    print(
        "| assets | a bar every | fsync | orders | by the clock p50, p99 | undisturbed p50, p99 (of) | processor time |"
    )
    print("|---|---|---|---|---|---|---|")
    for (assets, fsync), drawn in kinds.items():
        # The first order of a session finds nothing where it was before: it is left out.
        wall, own, alone = (np.concatenate([one[name][1:] for one in drawn]) for name in ("wall", "own", "alone"))
        still = wall[alone.astype(bool)]
        cells = [f"{assets}", f"{pace[assets] * 1000.0:g} ms", fsync, f"{len(wall):,}"]
        for taken in (wall, still, own):
            low, high = np.percentile(taken / 1e6, (50, 99)) if len(taken) else (np.nan, np.nan)
            cells.append(f"{low:.2f}, {high:.2f}" + (f" ({len(still):,})" if taken is still else ""))
        print(f"| {' | '.join(cells)} |")
    print("\nSeconds from the start of the process, the median of the sessions")
    for (assets, fsync), drawn in kinds.items():
        reached = {name: float(np.median([one["reached"][name] for one in drawn])) for name in drawn[0]["reached"]}
        print(f"{assets} assets, {fsync}: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in reached.items()))
    for (assets, fsync), drawn in kinds.items() if stages else ():
        print(f"\n{assets} assets, fsync {fsync}")
        for name in drawn[0]["stages"]:
            print(told(name, [one for each in drawn for one in each["stages"][name][1:]]))


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_orders")
    parser.add_argument("assets", nargs="*", type=int, default=[50, 400])
    parser.add_argument("--fsync", nargs="+", default=["never", "order"])
    parser.add_argument("--bars", type=int, default=300)
    parser.add_argument("--milliseconds", type=float, help="between bars; by default 50, or 150 above 200 assets")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--stages", action="store_true")
    parser.add_argument("--draw", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.draw:
        draw(chosen.draw)
        return
    pace = {assets: (chosen.milliseconds or (150 if assets > 200 else 50)) / 1000.0 for assets in chosen.assets}
    found: dict[tuple[int, str], list[dict[str, Any]]] = {
        (assets, fsync): [] for assets in chosen.assets for fsync in chosen.fsync
    }
    with tempfile.TemporaryDirectory() as folder:
        for number in range(chosen.rounds * len(found)):
            assets, fsync = list(found)[number % len(found)]
            found[assets, fsync].append(
                drawing(Path(folder), number, assets, fsync, chosen.bars, pace[assets], chosen.stages)
            )
    show(found, pace, chosen.stages)


if __name__ == "__main__":
    main()
