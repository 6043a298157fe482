"""Feature rows of a dataset: which days are missing, and computing only those."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dolphin.catalog import Dataset, missing_days, read_features, write_day
from dolphin.core.records import DAY_NS
from dolphin.features import FeatureBlock, scan, scanner_digest

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ScanReport:
    """What a scan did: the days of the dataset, and how many of them were computed now."""

    dataset: Dataset
    days: int
    computed: int


def scan_dataset(dataset: Dataset, progress: Progress | None = None) -> ScanReport:
    """Write the feature rows of every day that has none yet.

    A day's rows depend on the trailing window of prices and on the stored rows before it, so the
    scan starts at the first missing day; days after it that are there already stay as they are.
    """
    scanner = scanner_digest()
    missing = set(missing_days(dataset, scanner))
    if not missing:
        return ScanReport(dataset, len(dataset.days), 0)
    prices = dataset.prices()
    bounds = day_bounds(dataset, prices.ts)
    todo = [n for n, date in enumerate(dataset.days) if date in missing]
    block = FeatureBlock.empty(len(prices.ts), len(dataset.symbols))
    if todo[0] > 0:
        known = read_features(dataset, scanner, days=dataset.days[: todo[0]])
        block.fill(known, prices.close)
    for n in range(todo[0], todo[-1] + 1):
        low, high = bounds[n], bounds[n + 1]
        # One day at a time: what is finished is on disk, so an interrupted scan goes on from there.
        scan(prices.ts, prices.close, dataset.reference_column, out=block, start_row=low, stop_row=high)
        if n in todo:
            rows = block.rows(low, high).columns()
            write_day(dataset, scanner, dataset.days[n], {"ts": prices.ts[low:high], **rows}, prices.close[low:high])
        if progress:
            progress(n + 1 - todo[0], todo[-1] + 1 - todo[0], "scanning days")
    return ScanReport(dataset, len(dataset.days), len(missing))


def day_bounds(dataset: Dataset, ts: np.ndarray) -> list[int]:
    """First row of every UTC day of the grid, and the number of rows."""
    first = int(ts[0] // DAY_NS)
    return [int(np.searchsorted(ts, (first + n) * DAY_NS)) for n in range(len(dataset.days))] + [len(ts)]
