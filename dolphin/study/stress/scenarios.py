"""What a stress test runs: one configuration at other costs, later, with noisy and missed fills, from other days on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dolphin.config import Config
from dolphin.study.measure.measured import BatchResult
from dolphin.study.measure.run import Run
from dolphin.study.stress.disturbed import UNDISTURBED, Disturbance
from dolphin.times import return_day

#: Slippage and fee a side in bps: together 0 to 10 a round trip, one run for each pair.
FRICTION_GRID = tuple(np.arange(0.0, 2.75, 0.5).tolist())
NOISE_BPS = (1.0, 2.0, 5.0, 10.0)
MISSED = (0.05, 0.1, 0.25, 0.5)

#: Days that a run begun later has left at least, and how many begin at most.
LEAST_DAYS, MOST_STARTS = 10, 40


@dataclass(frozen=True)
class Scenario:
    """One run: what was changed, by how much, and how it is run."""

    kind: str
    parameter: float
    config: Config
    disturbance: Disturbance = UNDISTURBED
    start: int | None = None  # row; the window's first where None


#: Scenarios that are run together, and what came of them: one result of all, or one each.
Part = tuple[list[Scenario], list[BatchResult]]


def scenarios_of(base: Run, runs: int, seed: int) -> Iterator[list[Scenario]]:
    """The runs in batches that are run and registered together."""
    config = base.config
    yield [Scenario("base", 0.0, config)]
    grid = [
        Scenario("friction", 2.0 * (s + f), config.with_values({"slippage_bps": s, "fee_bps": f}))
        for s in FRICTION_GRID
        for f in FRICTION_GRID
    ]
    yield [*grid, Scenario("delayed", 1.0, config.with_values({"fill_timing": "next"}))]
    for size in NOISE_BPS:
        yield [Scenario("noise", size, config, Disturbance(noise_bps=size, seed=seed + k)) for k in range(runs)]
    for share in MISSED:
        yield [Scenario("missed", share, config, Disturbance(missed=share, seed=seed + k)) for k in range(runs)]
    later = [Scenario("start", float(day), config, start=row) for day, row in _starts(base)]
    if later:
        yield later


def _starts(base: Run) -> list[tuple[int, int]]:
    """(days after the first, row) of the first bar of evenly spaced UTC days, while enough of them are left."""
    days = return_day(base.market.ts[base.start : base.stop])
    known, first = np.unique(days, return_index=True)
    count = len(known) - LEAST_DAYS
    if count < 1:
        return []
    every = -(-count // MOST_STARTS)
    return [(int(known[k] - known[0]), base.start + int(first[k])) for k in range(every, count + 1, every)]
