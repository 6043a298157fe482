"""``dolphin backtest`` as a whole process: kernels from the disk cache, and compiled for the first time.

Run ``python -m benchmarks.cold_start``. The peer is a bare ``import vectorbt`` in a fresh process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.table import Row, show

ROUNDS = 3


def main() -> list[Row]:
    """Measure, print and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "DOLPHIN_HOME": folder}
        config = Path(folder) / "c.toml"
        config.write_text('[params]\nvol_gate_mode = "off"\n')
        dolphin = [sys.executable, "-m", "dolphin"]
        made = ["data", "generate", "--name", "d", "--preset", "edge", "--days", "1"]
        for words in (made, ["scan", "d"]):
            subprocess.run([*dolphin, *words], env=env, check=True, capture_output=True)
        backtest = [*dolphin, "backtest", "d", "--config", str(config), "--out", f"{folder}/run"]

        def timed(command: list[str], **extra: str) -> float:
            began = time.perf_counter()
            subprocess.run(command, env={**env, **extra}, check=True, capture_output=True)
            return time.perf_counter() - began

        timed(backtest)
        warm, first, peers = [], [], []
        for n in range(ROUNDS):
            warm.append(timed(backtest))
            peers.append(timed([sys.executable, "-c", "import vectorbt"]))
            first.append(timed(backtest, NUMBA_CACHE_DIR=f"{folder}/numba-{n}"))
    rows = []
    for name, seconds in (("warm kernel cache", warm), ("first ever", first)):
        ratio = float(np.median(np.array(seconds) / np.array(peers)))
        name = f"dolphin backtest, {name} / import vectorbt"
        rows.append(Row(name, float(np.median(seconds)), float(np.median(peers)), ratio, "s"))
    show("Cold process, 1 day of 5 s x 50 assets, scanned before", rows)
    return rows


if __name__ == "__main__":
    main()
