"""Combinations a second over one day of 5-second bars, 50 assets: all threads against one at a time.

Run ``python -m benchmarks.sweep``. Both sides run the same kernel on the same combinations, in turns.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.table import Row, show
from dolphin import workspace
from dolphin.catalog import generate
from dolphin.core.engine import engine_for
from dolphin.core.records import Market
from dolphin.study.config import Config, params_records, parse_config
from dolphin.study.market import open_market

COMBINATIONS = 4096
ALONE = 128
ROUNDS = 5


def market(home: Path) -> Market:
    """One generated day of 5-second bars with its features."""
    dataset = generate(
        workspace.create(home), "bench", preset="edge", days=1, assets=50, spacing_ns=5_000_000_000, seed=1
    ).dataset
    return open_market(dataset, parse_config({}, where="benchmark"))


def combinations(count: int) -> list[Config]:
    """Thresholds, exits and caps spread over usual ranges."""
    rng = np.random.default_rng(1)
    base = parse_config({"params": {"vol_gate_mode": "off"}}, where="benchmark")
    return [
        base.with_values(
            {
                "short_threshold": -rng.uniform(0.01, 0.05),
                "short_extreme": -rng.uniform(0.06, 0.2),
                "tp_pct": rng.uniform(0.004, 0.02),
                "max_hold_bars": int(rng.integers(40, 250)),
            }
        )
        for _ in range(count)
    ]


def main() -> list[Row]:
    """Measure, print and return the rows."""
    threads = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        data = market(Path(folder))
        configs = combinations(COMBINATIONS)
        engine = engine_for(configs[0].strategy)
        params = params_records([config.params for config in configs])
        friction = np.repeat(configs[0].friction.record(), COMBINATIONS)
        bars, assets = data.price.shape

        def run(count: int, workers: int) -> float:
            states = engine.new_states(assets, np.full(count, 25_000.0))
            began = time.perf_counter()
            engine.run_many(states, params[:count], friction[:count], data, 0, bars, threads=workers)
            return count / (time.perf_counter() - began)

        def alone(count: int) -> float:
            began = time.perf_counter()
            for c in range(count):
                state = engine.new_state(assets, 25_000.0)
                engine.run(state, params[c : c + 1], friction[c : c + 1], data, 0, bars)
            return count / (time.perf_counter() - began)

        run(64, threads), alone(2)
        ours, peers = [], []
        for _ in range(ROUNDS):
            ours.append(run(COMBINATIONS, threads))
            peers.append(alone(ALONE))
    ratio = float(np.median(np.array(ours) / np.array(peers)))
    name = f"sweep, {threads} threads / one recorded run after the other"
    rows = [Row(name, float(np.median(ours)), float(np.median(peers)), ratio, "combinations/s")]
    show(f"Sweep, {bars:,} bars x {assets} assets, {COMBINATIONS:,} combinations", rows)
    return rows


if __name__ == "__main__":
    main()
