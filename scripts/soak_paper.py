"""A paper session over 24 simulated hours at speed: does its memory stay flat, and how long do its bars take?

    python scripts/soak_paper.py [--hours 24] [--assets 20] [--json]

A generated market of 5-second bars is replayed as fast as lockstep allows, with a store of its own whose records are
risk inputs at every bar. The resident memory is read after every so many bars (psutil, garbage collected before).
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from dolphin.catalog import generate, open_dataset
from dolphin.config import parse_config
from dolphin.features import history_bars
from dolphin.live.feed import Row
from dolphin.trade.champion import UNFROZEN, Runs
from dolphin.trade.feeds import FeedOptions, open_feed
from dolphin.trade.paper import trade_paper
from dolphin.trade.settings import RiskSettings, Settings
from dolphin.workspace import create

SPACING_NS = 5 * 10**9
#: Trades often, both ways.
BUSY = {
    "params": {
        "direction": "bidirectional", "short_threshold": -0.004, "short_extreme": -0.02, "long_threshold": 0.004,
        "long_extreme": 0.02, "vol_gate_mode": "off", "tp_pct": 0.002, "stop_pct": 0.004, "max_hold_bars": 60,
    }
}  # fmt: skip


class Measured:
    """A feed that reads this process's memory every so many rows."""

    def __init__(self, feed: Any, every: int) -> None:
        self._feed, self._every, self.rss = feed, every, list[tuple[int, float]]()
        self._process = psutil.Process()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    async def rows(self, after: int | None) -> AsyncIterator[Row]:
        """The feed's."""
        count = 0
        async for row in self._feed.rows(after):
            if count % self._every == 0:
                gc.collect()
                self.rss.append((count, self._process.memory_info().rss / 1e6))
            count += 1
            yield row
        gc.collect()
        self.rss.append((count, self._process.memory_info().rss / 1e6))


def soak(hours: float, assets: int, folder: Path) -> dict[str, Any]:
    """One session; its figures."""
    home = create(folder / "home")
    config = parse_config(BUSY, where="soak")
    warm = history_bars(SPACING_NS)
    days = int(np.ceil((warm * 5 / 3600 + hours) / 24.0)) + 1
    generate(home, "soak", preset="edge", days=days, assets=assets, spacing_ns=SPACING_NS, seed=5)
    grid = open_dataset(home, "soak").grid()
    bars = int(hours * 720)
    opened = open_feed(
        home, "replay:soak", config, FeedOptions(0.0, int(grid[warm]), int(grid[warm + bars - 1]) + SPACING_NS)
    )
    measured = Measured(opened.feed, max(1, bars // 24))
    settings = Settings(risk=RiskSettings(books=False))
    begun = time.perf_counter()
    ended = trade_paper(
        home, Runs(config, UNFROZEN, "blue"), replace(opened, feed=measured), folder / "state", settings,
        feed="replay:soak", say=lambda line: None, store=f"embedded:{folder / 'store'}",
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    half = [rss for count, rss in measured.rss if count >= bars / 2]
    times = np.array([count for count, _ in measured.rss if count >= bars / 2])
    slope = float(np.polyfit(times / 720.0, half, 1)[0])
    return {
        "bars": ended.bars, "assets": assets, "trades": ended.status["trades"], "seconds": seconds,
        "first_decision_seconds": ended.first_decision_seconds, "latencies_ms": ended.status["latencies_ms"],
        "rss_mb": [[count, round(rss, 1)] for count, rss in measured.rss],
        "slope_mb_per_hour_second_half": slope,
    }  # fmt: skip


def main() -> int:
    """Run it and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--assets", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = soak(given.hours, given.assets, Path(folder))
    if given.json:
        print(json.dumps(found))
        return 0
    print(f"{found['bars']:,} bars of {found['assets']} assets in {found['seconds']:.1f} s, {found['trades']} trades")
    for count, rss in found["rss_mb"]:
        print(f"  after {count:6,} bars {rss:7.1f} MB")
    print(f"slope of the second half: {found['slope_mb_per_hour_second_half']:+.3f} MB an hour")
    for name, one in found["latencies_ms"].items():
        print(f"{name}: p50 {one['p50']:.3f} ms, p95 {one['p95']:.3f}, p99 {one['p99']:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
