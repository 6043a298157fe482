"""How long a live session takes from a row's last message to an order's submission, at the exchange of one's own.

Run ``python -m benchmarks.live_orders [ASSETS] [BARS]``. The exchange is a process of its own on loopback; rows come
every 0.2 s; the journal is not synced. ``vel_div`` trades often on a generated market.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from dolphin.catalog import generate, open_dataset
from dolphin.config import parse_config
from dolphin.features import history_bars
from dolphin.live.binance.keys import Keys
from dolphin.trade.champion import UNFROZEN, Runs
from dolphin.trade.live.session import Venue, trade_live
from dolphin.trade.settings import Settings
from dolphin.workspace import create

MINUTE, SPEED = 60_000_000_000, 300
CONFIG = {
    "params": {
        "direction": "bidirectional", "short_threshold": -0.004, "short_extreme": -0.02, "long_threshold": 0.004,
        "long_extreme": 0.02, "vol_gate_mode": "off", "tp_pct": 0.002, "stop_pct": 0.004, "max_hold_bars": 10,
    }
}  # fmt: skip


def measure(assets: int, bars: int, folder: Path) -> dict[str, float]:
    """The session's own figures, us."""
    home = create(folder / "home")
    first = history_bars(MINUTE) + 50
    generate(home, "m", preset="edge", days=4, assets=assets, spacing_ns=MINUTE, seed=3)
    dataset = open_dataset(home, "m")
    serve = f"exchange serve --dataset m --played {first} --port 0 --speed {SPEED}"
    with subprocess.Popen(
        [sys.executable, "-m", "dolphin", *serve.split()], cwd=home.root, stderr=subprocess.PIPE, env=os.environ
    ) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://127.0.0.1:\d+", process.stderr.readline().decode())
            assert found is not None
            config = parse_config(CONFIG, where="benchmark")
            ended = trade_live(
                home, Runs(config, UNFROZEN, "benchmark"), Venue(dataset, url=found.group()), folder / "state",
                Settings(fsync="never"), Keys("key", "secret"), say=print, stop_at=first + bars,
            )  # fmt: skip
        finally:
            process.terminate()
    latency: dict[str, float] = ended.status["order_latency_us"]
    return latency


def main(arguments: list[str]) -> None:
    assets, bars = (int(arguments[k]) if len(arguments) > k else default for k, default in ((0, 50), (1, 600)))
    with tempfile.TemporaryDirectory() as folder:
        found = measure(assets, bars, Path(folder))
    print(f"last message to submit, {assets} assets: {found}")


if __name__ == "__main__":
    main(sys.argv[1:])
