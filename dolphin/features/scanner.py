"""Batch and streaming scans: two ways to call the same kernels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np

from dolphin.core import bits, logarithm
from dolphin.core.jit import source_digest
from dolphin.core.records import DAY_NS, Floats, Ints
from dolphin.errors import DolphinError
from dolphin.features import block, kernel, lanczos, moments, trail
from dolphin.features.block import SHORT, WINDOWS, FeatureBlock, check_windows
from dolphin.features.kernel import Columns, State, measure_rows, new_state, take_in
from dolphin.features.trail import Trail, follow, new_trail, remember

CHUNK = 4096  # rows of a piece of work, at least; also between two calls of ``progress``


def trailing_bars(windows: Sequence[int] = WINDOWS) -> int:
    """Rows before a day's first bar on which that bar depends."""
    return max(windows[-1], SHORT) + 1


def scan(
    ts: Ints,
    close: Floats,
    reference: int,
    *,
    windows: Sequence[int] = WINDOWS,
    out: FeatureBlock | None = None,
    start_row: int = 0,
    stop_row: int | None = None,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureBlock:
    """Features of every bar.

    Parameters
    ----------
    ts : int64[T]
        Close times, ns UTC, increasing.
    close : float64[T, N]
        Prices, NaN before an asset's first; a column per asset.
    reference : int
        Column of the reference asset.
    windows : sequence of int
        Increasing window lengths in bars.
    out : FeatureBlock, optional
        Where to write (T rows, the same windows). Rows before ``start_row`` are taken from it.
    start_row : int
        First row to compute: 0 or the first row of a UTC day. The result is bit for bit that of a
        scan from row 0.
    stop_row : int, optional
        Row to stop before (default T).
    threads : int
        Days are measured side by side on so many threads, 0 for one per core; no bit depends on it.
    progress : callable, optional
        Called with (rows done, rows to do) every few thousand rows.

    Raises
    ------
    DolphinError
        For arrays that do not fit together, times that do not increase, or a start inside a day.
    """
    windows = check_windows(windows)
    ts, close = _checked(ts, close, reference)
    stop = len(ts) if stop_row is None else stop_row
    if not 0 <= start_row <= stop <= len(ts):
        raise DolphinError(f"rows {start_row} to {stop} are not within the {len(ts)} bars")
    if out is None:
        if start_row:
            raise DolphinError("a scan that starts later needs the earlier rows", mend="give them in `out`")
        out = FeatureBlock.empty(len(ts), windows)
    elif len(out) != len(ts) or out.windows != windows:
        raise DolphinError(
            f"`out` has {len(out)} rows of windows {out.windows}, asked are {len(ts)} rows of windows {windows}"
        )
    if 0 < start_row < len(ts) and ts[start_row] // DAY_NS == ts[start_row - 1] // DAY_NS:
        raise DolphinError(f"row {start_row} is inside a UTC day", mend="start at a day's first bar")
    behind = new_trail(windows)
    remember(behind, out.rows(0, start_row))

    def work(piece: tuple[int, int]) -> tuple[int, int]:
        low, high = piece
        measure(ts, close, reference, low, high, out.rows(low, high))
        return piece

    for low, high in in_order(work, _pieces(ts, start_row, stop), threads):
        follow(behind, out.rows(low, high))
        if progress is not None:
            progress(high - start_row, stop - start_row)
    return out


def measure(ts: Ints, close: Floats, reference: int, low: int, high: int, out: FeatureBlock) -> State:
    """What the prices of rows low..high-1 alone decide; the trailing features are left out.

    Row ``low`` is the first of the data or of a UTC day. ``out`` holds those rows only; the price rows
    it reads are the trailing ones before ``low`` and those asked for, so ``close`` may be a memory map.

    Returns
    -------
    State after the last row: rows that come next may go on from it (:func:`measure_on`).
    """
    state = new_state(close.shape[1], out.windows)
    first = max(0, low - trailing_bars(out.windows))
    take_in(np.array(close[first:low], np.float64, order="C"), state)
    measure_on(ts[low:high], close[low:high], reference, state, out)
    return state


def measure_on(ts: Ints, close: Floats, reference: int, state: State, out: FeatureBlock) -> None:
    """The same for rows that come right after those that ``state`` has taken in."""
    # Copies, so that a read-only or strided array (a memory map) does not compile a second kernel.
    times, prices = np.array(ts, np.int64), np.array(close, np.float64, order="C")
    measure_rows(times, prices, reference, state, Columns(**out.arrays()))


def in_order[T, R](work: Callable[[T], R], items: Sequence[T], threads: int) -> Iterator[R]:
    """``work(item)`` of every item, in order, so many at a time (0: one per core).

    Results that wait for their turn are few, so memory does not grow with the number of items.
    """
    threads = threads or os.cpu_count() or 1
    if threads == 1:
        yield from map(work, items)
        return
    waiting = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(work, item) for item in islice(waiting, threads + 1)]
        try:
            while running:
                done = running.pop(0).result()
                running += [pool.submit(work, item) for item in islice(waiting, 1)]
                yield done
        finally:
            pool.shutdown(cancel_futures=True)


class Scanner:
    """The same features, one bar at a time.

    Parameters
    ----------
    n_assets : int
        Number of columns.
    reference : int
        Column of the reference asset.

    windows : sequence of int
        Increasing window lengths in bars.

    Examples
    --------
    >>> scanner = Scanner(2, 0)
    >>> row = scanner.update(0, [100.0, 10.0])
    >>> row = scanner.update(60_000_000_000, [110.0, 10.0])
    >>> row.n_active.tolist()
    [[0, 0, 0, 0]]
    """

    def __init__(self, n_assets: int, reference: int, windows: Sequence[int] = WINDOWS) -> None:
        if n_assets < 2 or not 0 <= reference < n_assets:
            raise DolphinError(f"no scan over {n_assets} assets with reference column {reference}")
        self.reference = reference
        self.windows = check_windows(windows)
        self._state: State = new_state(n_assets, self.windows)
        self._trail: Trail = new_trail(self.windows)
        self._row = FeatureBlock.empty(1, self.windows)
        self._columns = Columns(**self._row.arrays())
        self._ts = np.empty(1, np.int64)
        self._close = np.empty((1, n_assets))
        self._last = int(np.iinfo(np.int64).min)
        self._recalled = False  # warmed from stored features: no sums until the next day's first bar

    @property
    def n_assets(self) -> int:
        """Number of columns."""
        return self._close.shape[1]

    def update(self, ts: int, price: Floats) -> FeatureBlock:
        """Take in one bar and return its features.

        Parameters
        ----------
        ts : int
            Close time, ns UTC, after that of the last bar.
        price : float64[N]

        Returns
        -------
        FeatureBlock of one row, overwritten by the next call.
        """
        if ts <= self._last:
            raise DolphinError(f"bar time {ts} is not after {self._last}")
        if np.shape(price) != (self.n_assets,):
            raise DolphinError(f"prices of shape {np.shape(price)} for {self.n_assets} assets")
        if self._recalled and ts // DAY_NS == self._last // DAY_NS:
            raise DolphinError(
                f"bar time {ts} is inside a UTC day", mend="warm up without `known`, or up to a day's end"
            )
        self._recalled = False
        self._ts[0] = ts
        self._close[0] = price
        measure_rows(self._ts, self._close, self.reference, self._state, self._columns)
        trail.follow_rows(self._trail, self._columns)
        self._last = ts
        return self._row

    def warm(self, ts: Ints, close: Floats, known: FeatureBlock | None = None) -> FeatureBlock:
        """Take in the history before the first live bar.

        Without ``known`` the history is scanned. The bits that follow are those of a scanner that
        started earlier if the history holds a UTC day's first bar with at least 751 rows before
        it and 52 rows from it on; :func:`history_bars` says how long it must be for that.
        With ``known``, the stored features of the same rows, nothing is computed: 751 rows do,
        and the next bar must be the first of a UTC day.

        Returns
        -------
        FeatureBlock of the history (``known`` itself if given).
        """
        if self._state.clock[0]:
            raise DolphinError("the scanner has already taken in bars", mend="warm it before the first update")
        ts, close = _checked(ts, close, self.reference)
        if close.shape[1] != self.n_assets:
            raise DolphinError(f"the history has {close.shape[1]} assets, the scanner {self.n_assets}")
        if known is None:
            known = FeatureBlock.empty(len(ts), self.windows)
            measure_on(ts, close, self.reference, self._state, known)
            follow(self._trail, known)
        elif len(known) != len(ts) or known.windows != self.windows:
            raise DolphinError(f"`known` has {len(known)} rows of windows {known.windows}, the prices {len(ts)} rows")
        else:
            first = max(0, len(ts) - trailing_bars(self.windows))
            take_in(np.array(close[first:], np.float64, order="C"), self._state)
            remember(self._trail, known)
            self._recalled = len(ts) > 0
        if len(ts):
            self._last = int(ts[-1])
        return known


def history_bars(spacing: int, windows: Sequence[int] = WINDOWS) -> int:
    """Rows of history (regular spacing in ns) after which no bit depends on where it began.

    A day's first bar needs the longest window and one more row before it (751); from there 52 rows
    fill what looks back over velocities; the history may begin anywhere in a day.
    """
    day = -(-DAY_NS // spacing)
    return trailing_bars(windows) + day + SHORT + 2


def scanner_digest(windows: Sequence[int] = WINDOWS) -> str:
    """SHA-256 of the sources that decide the bits of a feature, and of windows other than the default."""
    windows = check_windows(windows)
    if windows == WINDOWS:
        return _source_digest()
    return sha256(f"{_source_digest()} {windows}".encode()).hexdigest()


@cache
def _source_digest() -> str:
    modules = (bits, logarithm, block, kernel, lanczos, moments, trail)
    return source_digest([Path(str(module.__file__)) for module in modules])


def _pieces(ts: Ints, start: int, stop: int) -> list[tuple[int, int]]:
    """Whole UTC days, as many as make a piece of work that is worth its beginning."""
    days = ts[start:stop] // DAY_NS
    pieces = []
    low = start
    for row in start + 1 + np.flatnonzero(np.diff(days)):
        if row - low >= CHUNK:
            pieces.append((low, int(row)))
            low = int(row)
    return [*pieces, (low, stop)] if low < stop else pieces


def _checked(ts: Ints, close: Floats, reference: int) -> tuple[Ints, Floats]:
    ts = np.asarray(ts, dtype=np.int64)
    close = np.asarray(close, dtype=np.float64)
    if close.ndim != 2 or ts.shape != close.shape[:1]:
        raise DolphinError(f"times of shape {ts.shape} do not fit prices of shape {close.shape}")
    if close.shape[1] < 2 or not 0 <= reference < close.shape[1]:
        raise DolphinError(f"no scan over {close.shape[1]} assets with reference column {reference}")
    if len(ts) > 1 and not (ts[1:] > ts[:-1]).all():
        row = int(np.flatnonzero(ts[1:] <= ts[:-1])[0]) + 1
        raise DolphinError(f"bar time {ts[row]} is not after {ts[row - 1]}", where=f"row {row}")
    return ts, close
