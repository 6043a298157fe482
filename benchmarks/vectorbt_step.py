"""Our batch loop against vectorbt's ``from_orders`` with the same orders.

Run ``python -m benchmarks.vectorbt_step``. We decide and keep books; vectorbt is given our orders, only the assets that
are traded, and keeps its own. Compiling is left out on both sides.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.day import one_day
from benchmarks.table import Row, show
from dolphin.core.engine import NO_TRADES
from dolphin.parity.case import Case
from dolphin.parity.rungs_vectorbt import run_vectorbt, unequal_orders

ROUNDS = 7
BATCHES = 20  # our runs per round: one takes a fraction of a millisecond


def batch_ns(case: Case, digests: np.ndarray | None) -> float:
    """Nanoseconds per bar of the batch loop, with or without folding the digest."""
    kernels, assets = case.engine.kernels, case.market.price.shape[1]
    window = case.start, case.stop
    total = 0.0
    for _ in range(BATCHES):
        if digests is None:
            states = case.engine.new_states(assets, np.array([case.capital]))
            began = time.perf_counter()
            kernels.run_many(states, case.params, case.friction, case.market, *window, NO_TRADES)
        else:
            state = case.engine.new_state(assets, case.capital)
            began = time.perf_counter()
            kernels.run_digested(state, case.params, case.friction, case.market, *window, NO_TRADES, digests)
        total += time.perf_counter() - began
    return 1e9 * total / BATCHES / case.bars


def main() -> list[Row]:
    """Measure, print and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        case = one_day(Path(folder))
        digests = np.zeros(case.bars, np.uint64)
        first = run_vectorbt(case, case.trace)
        batch_ns(case, None), batch_ns(case, digests)
        assert (digests == case.batch.digests).all(), "timed was something else than what was decided"
        assert unequal_orders(case, first.orders) is None, "the two sides order differently"
        figures = []
        for _ in range(ROUNDS):
            peer = 1e9 * run_vectorbt(case, case.trace).seconds / case.bars
            figures.append((batch_ns(case, None), batch_ns(case, digests), peer))
    off, on, peer = np.array(figures).T
    rows = [
        Row(f"batch step, {name} / vectorbt from_orders", float(np.median(ours)), float(np.median(peer)),
            float(np.median(peer / ours)), "ns/bar")
        for name, ours in (("digest off", off), ("digest on", on))
    ]  # fmt: skip
    show(f"Step, {case.bars:,} bars x 50 assets, {len(first.orders)} equal orders", rows)
    return rows


if __name__ == "__main__":
    main()
