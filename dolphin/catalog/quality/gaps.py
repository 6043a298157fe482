"""Missing bars: per symbol, and per symbol and day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog.quality.rules import GAP, REPORT


class Gaps:
    """Bars of the grid that have no row, followed from day to day.

    A gap is a run of missing bars of one symbol. It may cross midnight, and it counts from the first to
    the last bar of the whole dataset: a symbol that is listed later misses the bars before.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = list(symbols)
        n = len(self._symbols)
        self._open, self._longest, self._count, self._missing = (np.zeros(n, np.int64) for _ in range(4))
        self.bars = 0
        self._days: list[tuple[int, int, int, int, int, int]] = []

    def add(self, day: int, closes: NDArray[np.int64], column: NDArray[np.int64], ts: NDArray[np.int64]) -> None:
        """One more day of the grid.

        Parameters
        ----------
        day : int
            Day number.
        closes : int64 [T]
            The closes that the day should have; those of the first and last day are cut to the dataset.
        column, ts : int64 [R]
            Symbol number and close of every row; each close is one of ``closes``.
        """
        absent = np.ones((len(self._symbols), closes.size), bool)
        absent[column, np.searchsorted(closes, ts)] = False
        self.bars += closes.size
        whole = np.flatnonzero(absent.any(axis=1))
        self._open[~absent.any(axis=1)] = 0
        for j in whole:
            edges = np.flatnonzero(np.diff(np.r_[False, absent[j], False].astype(np.int8)))
            starts, lengths = edges[::2], edges[1::2] - edges[::2]
            missing, longest, runs = int(lengths.sum()), int(lengths.max()), lengths.size
            self._days.append((day, int(j), missing, runs, longest, closes.size))
            goes_on = starts[0] == 0 and self._open[j] > 0
            self._count[j] += runs - goes_on
            self._missing[j] += missing
            if goes_on:
                lengths[0] += self._open[j]
            self._longest[j] = max(int(self._longest[j]), int(lengths.max()))
            self._open[j] = lengths[-1] if edges[-1] == closes.size else 0

    def table(self) -> dict[str, dict[str, Any]]:
        """Per symbol: missing bars, gaps, the longest (bars) and the share of the grid that is missing."""
        return {
            symbol: {
                "missing": int(self._missing[j]),
                "gaps": int(self._count[j]),
                "longest": int(self._longest[j]),
                "share": int(self._missing[j]) / self.bars,
            }
            for j, symbol in enumerate(self._symbols)
        }

    def report(self) -> pl.DataFrame:
        """A row per day and symbol with missing bars (columns ``REPORT``, rule ``gap``)."""
        names = ("date", "symbol", "count", "gaps", "longest", "expected")
        frame = pl.DataFrame(self._days, schema=dict.fromkeys(names, pl.Int64), orient="row")
        symbol = pl.lit(pl.Series(self._symbols, dtype=pl.String)).gather(pl.col("symbol"))
        frame = frame.with_columns(
            pl.col("date").cast(pl.Int32).cast(pl.Date), symbol.alias("symbol"), pl.lit(GAP).alias("rule")
        )
        return frame.select(pl.col(name).cast(kind) for name, kind in REPORT.items())
