"""Combinations a second over 5-second bars of 50 assets: one day, 55 days, and a whole registered study.

Run ``python -m benchmarks.sweep``. Peers, in turns with ours: single recorded runs of the same
combinations, one after the other, and vectorbt's ``from_order_func`` with one of them. The 55 days are the
one day laid end to end: as many bars and bytes, made in no time.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.day import SPACING_NS, one_day
from benchmarks.table import Row, show
from dolphin.config import Config, parse_config
from dolphin.core.records import Market
from dolphin.parity.case import Case
from dolphin.parity.rungs_vectorbt import run_vectorbt
from dolphin.study.measure.measured import combinations as records
from dolphin.study.measure.measured import measure
from dolphin.study.sweep import read_study, sweep
from dolphin.workspace import Workspace

DAYS = 55
COMBINATIONS, ALONE, ROUNDS = 2048, 64, 3
LONG_COMBINATIONS, LONG_ALONE, LONG_ROUNDS = 256, 8, 1
EVENTS_ROUNDS = 5
TRIALS = 10_000
THREADS = os.cpu_count() or 1

STUDY = f"""\
dataset = "bench"
trials = {TRIALS}
[config.params]
vol_gate_mode = "off"
[search]
short_threshold = {{ low = -0.05, high = -0.01 }}
short_extreme = {{ low = -0.2, high = -0.06 }}
tp_pct = {{ low = 0.004, high = 0.02 }}
max_hold_bars = {{ low = 40, high = 250 }}
"""


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


def end_to_end(market: Market, days: int) -> Market:
    """The market ``days`` times over, on one clock."""
    bars = days * len(market.ts)
    return market._replace(
        ts=market.ts[0] + SPACING_NS * np.arange(bars, dtype=np.int64),
        price=np.tile(market.price, (days, 1)),
        log_price=np.tile(market.log_price, (days, 1)),
        age=np.tile(market.age, (days, 1)),
        features=np.tile(market.features, (days, 1)),
        risk=np.tile(market.risk, days),
    )


def per_second(count: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def window(case: Case, configs: list[Config], alone: int, rounds: int, name: str) -> list[Row]:
    """The rows of one window: a sweep against runs alone, and against vectorbt."""
    market, bars = case.market, case.bars

    def singles() -> None:
        for config in configs[:alone]:
            state = case.engine.new_state(market.price.shape[1], case.capital)
            case.engine.run(state, config.params_record(), config.friction_record(), market, 0, bars)

    one = dataclasses.replace(case, config=configs[0])
    measure(configs[:4], market, 0, 100)
    figures = []
    for _ in range(rounds):
        ours = per_second(len(configs), lambda: measure(configs, market, 0, bars, threads=THREADS))
        figures.append((ours, per_second(alone, singles), 1.0 / run_vectorbt(one, one.trace).seconds))
    ours, single, vectorbt = np.array(figures).T
    return [
        Row(f"{name}, {THREADS} threads / {peer}", float(np.median(ours)), float(np.median(other)),
            float(np.median(ours / other)), "combinations/s")
        for peer, other in (("one recorded run after the other", single), ("vectorbt, orders given", vectorbt))
    ]  # fmt: skip


def by_events(case: Case, configs: list[Config], rounds: int, name: str) -> Row:
    """A sweep that passes bars by events against the same by bars, which is what both give by bits."""
    market, many = case.market, records(configs)

    def run(events: bool) -> float:
        states = case.engine.new_states(market.price.shape[1], many.capital, DAYS + 1)
        began = time.perf_counter()
        case.engine.run_many(
            states, many.params, many.friction, market, 0, case.bars, threads=THREADS, events=events
        )  # fmt: skip
        kept[events] = states.account
        return len(configs) / (time.perf_counter() - began)

    kept: dict[bool, np.ndarray] = {}
    figures = np.array([(run(True), run(False)) for _ in range(rounds)])
    if kept[True].tobytes() != kept[False].tobytes():
        raise AssertionError("events and bars give other accounts")
    ours, peer = figures.T
    name = f"{name}, {len(configs):,} combinations, by events / by bars"
    print(f"  {name}: best ratio {np.max(ours / peer):.2f}, best rates {ours.max():,.0f} and {peer.max():,.0f}")
    return Row(name, float(np.median(ours)), float(np.median(peer)), float(np.median(ours / peer)), "combinations/s")


def main() -> list[Row]:
    """Measure, print and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        home = Workspace(Path(folder))
        case = one_day(home.root)
        run_vectorbt(case, case.trace)  # compiles
        configs = combinations(COMBINATIONS)
        rows = window(case, configs, ALONE, ROUNDS, "1 day")
        rows += [
            by_events(case, configs[:count], EVENTS_ROUNDS, "1 day") for count in (LONG_COMBINATIONS, COMBINATIONS)
        ]

        tracemalloc.start()
        measure(configs[:1000], case.market, 0, case.bars, threads=THREADS)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        rows.append(Row("memory per 1,000 trials / 100 MB allowed", peak, 100.0, 100.0 / peak, "MB"))

        file = home.root / "study.toml"
        file.write_text(STUDY)
        study = read_study(file)
        kernel = rows[0].ours
        registered = per_second(TRIALS, lambda: sweep(home, study, threads=THREADS))
        name = f"study of {TRIALS:,} on 1 day, all registered / its kernel alone"
        rows.append(Row(name, registered, kernel, registered / kernel, "trials/s"))

        market = end_to_end(case.market, DAYS)
        long = dataclasses.replace(case, market=market, stop=len(market.ts))
        rows += window(long, configs[:LONG_COMBINATIONS], LONG_ALONE, LONG_ROUNDS, f"{DAYS} days")
        rows += [
            by_events(long, configs[:count], EVENTS_ROUNDS, f"{DAYS} days")
            for count in (LONG_COMBINATIONS, COMBINATIONS)
        ]
    show(f"Sweep, {case.bars:,} bars x 50 assets a day", rows)
    return rows


if __name__ == "__main__":
    main()
