"""Feature rows of a dataset: which days are missing, and computing only those.

Days are measured side by side from the mapped prices; what looks back over features follows in row
order. In memory are the days at work and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from dolphin.catalog import Dataset, Prices, ScanDays
from dolphin.core.records import Ints
from dolphin.errors import DolphinError
from dolphin.features import (
    TRAIL_ROWS,
    WINDOWS,
    FeatureBlock,
    check_windows,
    follow,
    in_order,
    kept,
    measure,
    measure_on,
    new_trail,
    remember,
    restored,
    scanner_digest,
    trailing_bars,
)
from dolphin.features.kernel import State
from dolphin.features.trail import Trail
from dolphin.files import canonical_json
from dolphin.progress import Progress
from dolphin.times import DAY_NS


@dataclass(frozen=True)
class ScanReport:
    """What a scan did.

    Attributes
    ----------
    days, computed : int
        Days of the dataset, and how many of them were computed now.
    rows : int
        Bars that were computed now.
    recomputed, unproven : int
        Eigenvalues among them that missed their tolerance and were made again from the window, and
        those whose error is unproven even then.
    kept : int
        Days taken over from another version of the dataset, their prices being equal.
    """

    dataset: Dataset
    days: int
    computed: int
    rows: int = 0
    recomputed: int = 0
    unproven: int = 0
    kept: int = 0


class ScannedDay(NamedTuple):
    """A day measured: what was stored of it before, the new rows, and the state after them."""

    n: int
    stored: FeatureBlock
    block: FeatureBlock
    state: State


def scan_days(dataset: Dataset, windows: Sequence[int] = WINDOWS) -> ScanDays:
    """The stored scans of a dataset over these windows."""
    windows = check_windows(windows)
    return ScanDays(dataset, scanner_digest(windows), None if windows == WINDOWS else windows)


def scan_dataset(
    dataset: Dataset,
    progress: Progress | None = None,
    *,
    windows: Sequence[int] = WINDOWS,
    threads: int = 0,
) -> ScanReport:
    """Write the feature rows of every day that has none yet.

    Parameters
    ----------
    progress : callable, optional
        Called with (days done, days to do, what is done).
    windows : sequence of int
        Window lengths in bars; others than the default are stored in a folder of their own.
    threads : int
        Days measured side by side, 0 for one per core; no bit depends on it.
    """
    windows = check_windows(windows)
    days = scan_days(dataset, windows)
    if not days.missing():
        return ScanReport(dataset, len(dataset.days), 0)
    scan = _Scan(dataset, days, windows, dataset.prices())
    adopted = days.adopt(scan.inputs)
    missing = set(days.missing())
    todo = [n for n, date in enumerate(dataset.days) if date in missing]
    rows = recomputed = unproven = 0
    behind, at = new_trail(windows), -1
    try:
        # What is finished is on disk, so an interrupted scan goes on from there.
        for done, day in enumerate(in_order(scan.measure, todo, threads), 1):
            if at != day.n:
                behind = scan.trail_before(day.n)
            remember(behind, day.stored)
            follow(behind, day.block)
            scan.write(day)
            at = day.n + 1
            rows += len(day.block)
            recomputed += int(np.count_nonzero(day.block.recomputed))
            unproven += int(np.count_nonzero(day.block.recomputed == 2))
            if progress:
                progress(done, len(todo), "scanning days")
    finally:
        days.flush()
    return ScanReport(dataset, len(dataset.days), len(todo), rows, recomputed, unproven, len(set(adopted) - missing))


def day_bounds(dataset: Dataset, ts: Ints) -> list[int]:
    """First row of every UTC day of the grid, and the number of rows."""
    dates = np.array(dataset.days, "M8[D]").astype(np.int64)
    return [*np.searchsorted(ts, dates * DAY_NS).tolist(), len(ts)]


@dataclass
class _Scan:
    """One scan of a dataset: its prices, the bounds of its days, the digests of what they depend on."""

    dataset: Dataset
    days: ScanDays
    windows: tuple[int, ...]
    prices: Prices
    bounds: list[int] = field(init=False)
    digests: dict[tuple[int, int], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bounds = day_bounds(self.dataset, self.prices.ts)

    def inputs(self, date: str, rows: int) -> str:
        """Digest of all prices that the first so many rows of a day depend on; "" without so many."""
        n = self.dataset.days.index(date)
        low = self.bounds[n]
        if rows > self.bounds[n + 1] - low:
            return ""
        anchor = self.bounds[self._day(max(0, low - TRAIL_ROWS))]
        first = self._day(max(0, anchor - trailing_bars(self.windows)))
        dataset = self.dataset
        about = [dataset.symbols, dataset.reference, dataset.spacing_ns, int(self.prices.ts[low]), low, rows]
        earlier = [self._digest(k, self.bounds[k + 1]) for k in range(first, n)]
        return hashlib.sha256(canonical_json([about, earlier, self._digest(n, low + rows)])).hexdigest()

    def measure(self, n: int) -> ScannedDay:
        """A missing day: whole, or from where its stored rows end if the state there was kept."""
        low, high = self.bounds[n], self.bounds[n + 1]
        date = self.dataset.days[n]
        ts, close, reference = self.prices.ts, self.prices.close, self.dataset.reference_column
        columns = self.days.begun(date)
        begun = FeatureBlock.of(columns, self.windows) if columns else FeatureBlock.empty(0, self.windows)
        saved = self.days.state(date) if columns else None
        if saved is not None:
            state = restored(saved, close.shape[1], self.windows)
            block = FeatureBlock.empty(high - low - len(begun), self.windows)
            from_row = low + len(begun)
            measure_on(ts[from_row:high], close[from_row:high], reference, state, block)
            return ScannedDay(n, begun, block, state)
        block = FeatureBlock.empty(high - low, self.windows)
        state = measure(ts, close, reference, low, high, block)
        same = all(
            values[: len(begun)].tobytes() == getattr(begun, name).tobytes()
            for name, values in block.arrays().items()
            if name not in ("v", "instability", "vol_ewma")
        )
        if not same:
            raise DolphinError(
                "stored rows whose prices are unchanged would change", where=f"{self.days.folder} {date}"
            )
        return ScannedDay(n, begun.rows(0, 0), block, state)

    def before(self, n: int) -> list[FeatureBlock]:
        """Stored rows before day n, as many as its first row looks back on."""
        blocks: list[FeatureBlock] = []
        while n > 0 and sum(map(len, blocks)) < TRAIL_ROWS:
            n -= 1
            columns = self.days.read(self.dataset.days[n : n + 1])
            blocks.insert(0, FeatureBlock.of(columns, self.windows))
        return blocks

    def trail_before(self, n: int) -> Trail:
        """What the rows of day n look back on."""
        trail = new_trail(self.windows)
        for block in self.before(n):
            remember(trail, block)
        return trail

    def write(self, day: ScannedDay) -> None:
        """Store a day."""
        low, high = self.bounds[day.n], self.bounds[day.n + 1]
        date = self.dataset.days[day.n]
        new = day.block.columns()
        columns = {k: np.concatenate([v, new[k]]) for k, v in day.stored.columns().items()} if len(day.stored) else new
        columns = {"ts": self.prices.ts[low:high], "scan_number": np.arange(low, high), **columns}
        state = kept(day.state) if high == len(self.prices.ts) else None
        self.days.write(date, columns, self.prices.close[low:high], self.inputs(date, high - low), state)

    def _day(self, row: int) -> int:
        return int(np.searchsorted(self.bounds, row, side="right")) - 1

    def _digest(self, n: int, stop: int) -> str:
        key = (n, stop)
        if key not in self.digests:
            prices = np.ascontiguousarray(self.prices.close[self.bounds[n] : stop])
            self.digests[key] = hashlib.sha256(prices).hexdigest()
        return self.digests[key]
