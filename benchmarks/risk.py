"""What a bar's risk row costs in the batch loop, and what a table that is applied costs the step.

Run ``python -m benchmarks.risk``. The limit of the room is 100 ns a bar; the peer of the row is that limit. The peer of
a step with risk applied is the same run without, in turns: posture alone, and the account's own drawdown with it.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.day import one_day
from benchmarks.table import Row, show
from dolphin.config.config import RiskInputs
from dolphin.core.exponential import exp_into
from dolphin.risk.acb import breaker_of
from dolphin.risk.forewarner import GREEN
from dolphin.risk.rules import RiskRules
from dolphin.risk.stack import ROW, Inputs, neutral_inputs, new_carry, rows_into, setting_record

BARS, ROUNDS, LIMIT_NS = 200_000, 9, 100.0
CENTRE = np.array([0.0, 0.0, 60.0, 80.0, 35.0, 25.0, 2.0, 0.9, 9e4])
SPREAD = np.array([1e-4, 1e-4, 20.0, 20.0, 20.0, 10.0, 1.0, 0.1, 1e3])


def inputs(bars: int) -> Inputs:
    """Everything there and fresh, and different at each bar."""
    rng = np.random.default_rng(1)
    return neutral_inputs(5 * 10**9 * np.arange(1, bars + 1))._replace(
        values=CENTRE + rng.standard_normal((bars, 9)) * SPREAD,
        ages=np.zeros((bars, 9), np.int64),
        status=np.full(bars, GREEN, np.int64),
        hours=rng.uniform(0.0, 12.0, bars),
        depth=rng.random(bars),
        fill=rng.random(bars),
        book_age=np.zeros(bars, np.int64),
        spike=rng.uniform(0.0, 100.0, bars),
        velocity=rng.standard_normal(bars),
        p60=np.zeros(bars),
    )


def recorded_like(bars: int) -> Inputs:
    """As a recorder has them at 5 s: factors that change with their period, forecasts every 4 h, books that wander."""
    rng, some = np.random.default_rng(3), inputs(bars)
    hour, walk = np.arange(bars) // 720, np.cumsum(rng.standard_normal((2, bars)), axis=1) / 200.0
    return some._replace(
        values=np.ascontiguousarray(some.values[hour]),
        hours=np.arange(bars, dtype=np.float64) * 5.0 / 3600.0 % 4.0,
        depth=0.5 + 0.5 * np.sin(walk[0]),
        fill=0.5 + 0.5 * np.sin(walk[1]),
        spike=np.arange(bars, dtype=np.float64) * 5.0 / 60.0 % 3000.0,
    )


def row_ns(inputs: Inputs) -> float:
    """Nanoseconds per bar of the batch loop."""
    rules, out = RiskRules(), np.zeros(len(inputs.ts), ROW)
    setting, breaker = setting_record(rules, factors=True, books=True), breaker_of(rules)
    carry, hysteresis = new_carry()
    began = time.perf_counter()
    rows_into(setting, breaker, carry, hysteresis, inputs, out)
    return 1e9 * (time.perf_counter() - began) / len(out)


def exponential_ns(x: np.ndarray) -> tuple[float, float]:
    """Nanoseconds per exponential: ours and numpy's."""
    out = np.empty_like(x)
    began = time.perf_counter()
    exp_into(x, out)
    middle = time.perf_counter()
    np.exp(x, out=out)
    return 1e9 * (middle - began) / len(x), 1e9 * (time.perf_counter() - middle) / len(x)


def step_rows(home: Path) -> list[Row]:
    """One day of 50 assets, ``vel_div`` recorded bar by bar, with a table applied that says nothing, and without."""
    case = one_day(home)
    plain = case.config
    configs = [plain, *(dataclasses.replace(plain, risk=RiskInputs(table="t", account=a)) for a in (False, True))]
    times: list[list[float]] = [[], [], []]
    for turn in range(ROUNDS + 1):
        for config, found in zip(configs, times, strict=True):
            state = config.engine.new_state(case.market.price.shape[1], case.capital)
            began = time.perf_counter()
            config.engine.run(state, case.params, case.friction, case.market, case.start, case.stop)
            if turn:
                found.append(1e9 * (time.perf_counter() - began) / case.bars)
    neutral, obeyed, weighed = np.array(times)
    return [
        Row(name, float(np.median(some)), float(np.median(neutral)), float(np.median(neutral / some)), "ns/bar")
        for name, some in (("a step that obeys postures / that has no table", obeyed),
                           ("a step that weighs the account's drawdown, too / that has no table", weighed))
    ]  # fmt: skip


def main() -> list[Row]:
    """Measure, print and return the rows."""
    worst, usual, x = inputs(BARS), recorded_like(BARS), np.random.default_rng(2).uniform(-10.0, 1.0, 1_000_000)
    row_ns(worst), exponential_ns(x)
    row, random = (float(np.median([row_ns(some) for _ in range(ROUNDS)])) for some in (usual, worst))
    ours, peer = np.array([exponential_ns(x) for _ in range(ROUNDS)]).T
    rows = [
        Row("a bar's risk row, inputs as recorded / the limit", row, LIMIT_NS, LIMIT_NS / row, "ns/bar"),
        Row("the same, every input random at every bar / the limit", random, LIMIT_NS, LIMIT_NS / random, "ns/bar"),
        Row(
            "exponential / numpy's", float(np.median(ours)), float(np.median(peer)), float(np.median(peer / ours)), "ns"
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        rows += step_rows(Path(folder))
    show("Risk rows", rows)
    return rows


if __name__ == "__main__":
    main()
