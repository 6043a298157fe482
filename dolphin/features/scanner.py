"""Batch and streaming scans: two ways to call one kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from dolphin.core import bits, logarithm
from dolphin.core.jit import source_digest
from dolphin.core.records import DAY_NS
from dolphin.errors import DolphinError
from dolphin.features import block, kernel, lanczos, moments
from dolphin.features.block import SHORT, WINDOWS, FeatureBlock
from dolphin.features.kernel import Columns, State, new_state, recall, scan_rows

CHUNK = 4096  # bars between two calls of ``progress``
TRAILING_BARS = WINDOWS[-1] + 1  # rows before a day's first bar on which that bar depends


def scan(
    ts: np.ndarray,
    close: np.ndarray,
    reference: int,
    *,
    out: FeatureBlock | None = None,
    start_row: int = 0,
    stop_row: int | None = None,
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
    out : FeatureBlock, optional
        Where to write (T rows). Rows before ``start_row`` are taken from it.
    start_row : int
        First row to compute: 0 or the first row of a UTC day. The result is bit for bit that of a
        scan from row 0.
    stop_row : int, optional
        Row to stop before (default T).
    progress : callable, optional
        Called with (rows done, rows to do) every few thousand rows.

    Raises
    ------
    DolphinError
        For arrays that do not fit together, times that do not increase, or a start inside a day.
    """
    ts, close = _checked(ts, close, reference)
    stop = len(ts) if stop_row is None else stop_row
    if not 0 <= start_row <= stop <= len(ts):
        raise DolphinError(f"rows {start_row} to {stop} are not within the {len(ts)} bars")
    if out is None:
        if start_row:
            raise DolphinError("a scan that starts later needs the earlier rows", mend="give them in `out`")
        out = FeatureBlock.empty(len(ts), close.shape[1])
    elif out.log_price.shape != close.shape:
        raise DolphinError(f"`out` has shape {out.log_price.shape}, the prices {close.shape}")
    state = new_state(close.shape[1])
    if 0 < start_row < len(ts):
        if ts[start_row] // DAY_NS == ts[start_row - 1] // DAY_NS:
            raise DolphinError(f"row {start_row} is inside a UTC day", mend="start at a day's first bar")
        _recall(close[:start_row], out.rows(0, start_row), state)
    for row in range(start_row, stop, CHUNK):
        end = min(row + CHUNK, stop)
        _scan(ts[row:end], close[row:end], reference, state, out.rows(row, end))
        if progress is not None:
            progress(end - start_row, stop - start_row)
    return out


class Scanner:
    """The same features, one bar at a time.

    Parameters
    ----------
    n_assets : int
        Number of columns.
    reference : int
        Column of the reference asset.

    Examples
    --------
    >>> scanner = Scanner(2, 0)
    >>> row = scanner.update(0, [100.0, 10.0])
    >>> float(row.log_price[0, 0]) == float(np.log(100.0))
    True
    """

    def __init__(self, n_assets: int, reference: int) -> None:
        if n_assets < 2 or not 0 <= reference < n_assets:
            raise DolphinError(f"no scan over {n_assets} assets with reference column {reference}")
        self.reference = reference
        self._state: State = new_state(n_assets)
        self._row = FeatureBlock.empty(1, n_assets)
        self._columns = Columns(**self._row.arrays())
        self._ts = np.empty(1, np.int64)
        self._close = np.empty((1, n_assets))
        self._last = int(np.iinfo(np.int64).min)
        self._recalled = False  # warmed from stored features: no sums until the next day's first bar

    @property
    def n_assets(self) -> int:
        """Number of columns."""
        return self._close.shape[1]

    def update(self, ts: int, price: np.ndarray) -> FeatureBlock:
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
        scan_rows(self._ts, self._close, self.reference, self._state, self._columns)
        self._last = ts
        return self._row

    def warm(self, ts: np.ndarray, close: np.ndarray, known: FeatureBlock | None = None) -> FeatureBlock:
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
            known = FeatureBlock.empty(len(ts), self.n_assets)
            _scan(ts, close, self.reference, self._state, known)
        elif known.log_price.shape != close.shape:
            raise DolphinError(f"`known` has shape {known.log_price.shape}, the prices {close.shape}")
        else:
            _recall(close, known, self._state)
            self._recalled = len(ts) > 0
        if len(ts):
            self._last = int(ts[-1])
        return known


def history_bars(spacing: int) -> int:
    """Rows of history (regular spacing in ns) after which no bit depends on where it began.

    A day's first bar needs 751 rows before it; from there 52 rows fill what looks back over
    velocities; the history may begin anywhere in a day.
    """
    day = -(-DAY_NS // spacing)
    return TRAILING_BARS + day + SHORT + 2


@cache
def scanner_digest() -> str:
    """SHA-256 of the sources that decide the bits of a feature."""
    modules = (bits, logarithm, block, kernel, lanczos, moments)
    return source_digest([Path(str(module.__file__)) for module in modules])


def _scan(ts: np.ndarray, close: np.ndarray, reference: int, state: State, out: FeatureBlock) -> None:
    # Copies, so that a read-only or strided array (a memory map) does not compile a second kernel.
    times, prices = np.array(ts, np.int64), np.array(close, np.float64, order="C")
    scan_rows(times, prices, reference, state, Columns(**out.arrays()))


def _recall(close: np.ndarray, known: FeatureBlock, state: State) -> None:
    first = max(0, len(close) - TRAILING_BARS)
    tail = known.rows(first, len(close)).copy()
    recall(np.array(close[first:], np.float64, order="C"), state, Columns(**tail.arrays()))


def _checked(ts: np.ndarray, close: np.ndarray, reference: int) -> tuple[np.ndarray, np.ndarray]:
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
