"""Nautilus with one object per scan against our batch loop: the same decisions, digests and fills.

Run ``python -m benchmarks.nautilus``. Making the data objects is left out, as is compiling.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.day import one_day
from benchmarks.table import Row, show
from benchmarks.vectorbt_step import batch_ns
from dolphin.live.backtest import NautilusRun, run_backtest
from dolphin.parity.case import Case
from dolphin.parity.rungs_nautilus import compare

ROUNDS = 3


def nautilus(case: Case) -> NautilusRun:
    """The case through Nautilus, scans carrying the prices."""
    return run_backtest(
        case.engine, case.dataset.instruments, case.dataset.spacing_ns, case.market,
        case.params, case.friction, case.capital, case.start, case.stop,
    )  # fmt: skip


def main() -> list[Row]:
    """Measure, print and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        case = one_day(Path(folder))
        passed, detail, _ = compare(case, nautilus(case))
        assert passed, detail
        digests = np.zeros(case.bars, np.uint64)
        batch_ns(case, digests)
        figures = [(batch_ns(case, digests), 1e9 * nautilus(case).seconds / case.bars) for _ in range(ROUNDS)]
    ours, peer = np.array(figures).T
    row = Row(
        "batch step with digest / Nautilus, one object per scan",
        float(np.median(ours)),
        float(np.median(peer)),
        float(np.median(peer / ours)),
        "ns/scan",
    )
    show(f"Nautilus, {case.bars:,} scans of 50 assets, {len(case.trace.fills)} equal fills", [row])
    return [row]


if __name__ == "__main__":
    main()
