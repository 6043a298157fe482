"""Price jumps that nothing confirms: more than 5 % from bar to bar, without volume or a second source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

JUMP = 0.05  # of the close before
VOLUME_TIMES = 3.0  # the trailing median volume confirms a jump
SOURCE_WITHIN = 0.01  # of a second source's close confirms a jump
MEDIAN_BARS = 200  # before the jump, its own bar aside
COLUMNS = {
    "symbol": pl.String, "ts": pl.Int64, "close": pl.Float64, "move": pl.Float64, "close_before": pl.Float64,
    "ts_before": pl.Int64, "volume": pl.Float64, "median_volume": pl.Float64, "second_close": pl.Float64,
}  # fmt: skip

#: ``second(symbols, ts)``: another source's closes at those bars, NaN where it has none.
Second = Callable[[list[str], NDArray[np.int64]], NDArray[np.float64]]


class Jumps:
    """Finds jumps day by day; what a symbol needs of the days before is carried.

    A jump is a close more than ``JUMP`` away from the symbol's close before it, however long ago that was,
    whose volume is below ``VOLUME_TIMES`` the median of the ``MEDIAN_BARS`` bars before it, and which no
    second source confirms within ``SOURCE_WITHIN``. The way back from a lone wrong price is one too.
    """

    def __init__(self, symbols: Sequence[str], second: Second | None = None) -> None:
        self._symbols, self._second = list(symbols), second
        n = len(self._symbols)
        self._close, self._ts = np.full(n, np.nan), np.zeros(n, np.int64)
        self._base = np.full(n, np.nan)  # the last close that would stay if jumps were set aside
        self._volumes: list[NDArray[np.float64]] = [np.empty(0)] * n
        self.found: list[pl.DataFrame] = []

    def add(self, column: NDArray[np.int64], frame: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """One more day, sorted by symbol number and time.

        Returns
        -------
        jumps : int64 [K]
            Rows that are jumps.
        stray : int64 [S]
            Those among them that the symbol does not stay at: to set aside, where that is asked for. The
            way back is not among them; of a level that holds only the first bar is.
        """
        close, volume, ts = (frame[name].to_numpy() for name in ("close", "volume", "ts"))
        starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
        before, ts_before = np.r_[np.nan, close[:-1]], np.r_[0, ts[:-1]]
        before[starts], ts_before[starts] = self._close[column[starts]], self._ts[column[starts]]
        move = close / before - 1.0
        start_of = np.repeat(starts, np.diff(np.r_[starts, column.size]))
        rows = np.flatnonzero(_apart(close, before))  # NaN before a symbol's first close: no jump
        median = np.array([self._median(int(column[i]), volume[start_of[i] : i]) for i in rows])
        kept = ~((volume[rows] >= VOLUME_TIMES * median) & (volume[rows] > 0))
        other = np.full(rows.size, np.nan)
        if self._second is not None and kept.any():
            names = [self._symbols[j] for j in column[rows[kept]]]
            other[kept] = self._second(names, ts[rows[kept]])
            kept &= ~(np.abs(close[rows] / other - 1.0) <= SOURCE_WITHIN)
        rows, median, other = rows[kept], median[kept], other[kept]
        stray = self._stray(column, close, before, rows)
        self._carry(column, close, volume, ts, starts, stray)
        if rows.size:
            values = (close, move, before, ts_before, volume)
            found = (
                frame[rows]
                .select("symbol", "ts")
                .with_columns(
                    pl.Series(name, array[rows]) for name, array in zip(list(COLUMNS)[2:7], values, strict=True)
                )
            )
            extra = [pl.Series("median_volume", median), pl.Series("second_close", other).fill_nan(None)]
            self.found.append(found.with_columns(extra))
        return rows, stray

    def table(self) -> pl.DataFrame:
        """Every jump found, by symbol and time, with what it was judged by."""
        return pl.concat([pl.DataFrame(schema=COLUMNS), *self.found]).sort("symbol", "ts")

    def _median(self, j: int, today: NDArray[np.float64]) -> float:
        """Median volume of the bars before; NaN (nothing confirms) where there is none."""
        bars = np.r_[self._volumes[j], today][-MEDIAN_BARS:]
        return float(np.median(bars)) if bars.size else float("nan")

    def _stray(
        self,
        column: NDArray[np.int64],
        close: NDArray[np.float64],
        before: NDArray[np.float64],
        rows: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Jumps away from the last close that stays."""
        bases: dict[int, float] = {}
        for i in map(int, rows):
            j, first = int(column[i]), i == 0 or column[i] != column[i - 1]
            base = self._base[j] if first else bases.get(i - 1, before[i])
            if _apart(close[i], base):
                bases[i] = float(base)
        return np.array(sorted(bases), np.int64)

    def _carry(
        self,
        column: NDArray[np.int64],
        close: NDArray[np.float64],
        volume: NDArray[np.float64],
        ts: NDArray[np.int64],
        starts: NDArray[np.int64],
        stray: NDArray[np.int64],
    ) -> None:
        ends = np.r_[starts[1:], column.size]
        wrong = set(stray.tolist())
        for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
            j = column[a]
            good = b - 1
            while good >= a and good in wrong:
                good -= 1
            if good >= a:
                self._base[j] = close[good]
            self._close[j], self._ts[j] = close[b - 1], ts[b - 1]
            self._volumes[j] = np.r_[self._volumes[j], volume[a:b]][-MEDIAN_BARS:].copy()


def _apart(price: Any, other: Any) -> Any:
    """Whether prices are more than ``JUMP`` apart; exactly that much is not, whatever the last bit says."""
    return np.abs(price - other) > JUMP * other * (1.0 + 1e-12)
