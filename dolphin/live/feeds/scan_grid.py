"""Scans put on the grid: rows in order, what is missing filled as the catalog fills, what comes late named."""

from __future__ import annotations

import math
import time

import numpy as np

from dolphin.catalog.store.scan_layout import FEATURES
from dolphin.live.feed import Row
from dolphin.live.feeds.scan_record import ScanRecord
from dolphin.times import format_spacing, format_time

#: Rows that are made up for in one go; a longer hole is a feed that begins anew.
LONGEST_HOLE = 100_000
_NOTHING_KNOWN = dict.fromkeys(FEATURES, math.nan)


class ScanGrid:
    """Turns scans into rows.

    Parameters
    ----------
    symbols : tuple of str
        By column; prices of others are left out.
    spacing_ns : int
    origin_ns : int, optional
        Close of row 0; by default of the first scan.
    """

    def __init__(self, symbols: tuple[str, ...], spacing_ns: int, origin_ns: int | None = None) -> None:
        self.symbols, self.spacing_ns, self.origin = symbols, spacing_ns, origin_ns
        self.refused: dict[str, str] = {}
        self.unknown: set[str] = set()
        self._column = {symbol: k for k, symbol in enumerate(symbols)}
        self._price = np.full(len(symbols), np.nan)
        self._age = np.full(len(symbols), -1, np.int32)
        self._last: int | None = None

    def add(self, scan: ScanRecord) -> list[Row]:
        """The rows that a scan closes: its own, after those between it and the last; none where it is refused."""
        reason = self._wrong(scan)
        if reason is not None:
            self.refused[f"{scan.source} {format_time(scan.ts)}"] = reason
            return []
        if self.origin is None:
            self.origin = scan.ts
        rows = []
        if self._last is not None:
            rows = [self._row(ts) for ts in range(self._last + self.spacing_ns, scan.ts, self.spacing_ns)]
        price = np.full(len(self.symbols), np.nan)
        for symbol, value in scan.prices.items():
            column = self._column.get(symbol)
            if column is None:
                self.unknown.add(symbol)
            else:
                price[column] = value
        rows.append(self._row(scan.ts, price, scan))
        return rows

    def _row(self, ts: int, price: np.ndarray | None = None, scan: ScanRecord | None = None) -> Row:
        real = np.zeros(len(self.symbols), np.bool_) if price is None else ~np.isnan(price)
        self._price = np.where(real, price, self._price) if price is not None else self._price
        age = np.where(self._age >= 0, self._age + 1, -1)
        self._age = np.where(real, 0, age).astype(np.int32)
        self._last = ts
        assert self.origin is not None
        bar = (ts - self.origin) // self.spacing_ns
        features = _NOTHING_KNOWN if scan is None else dict(scan.features)
        return Row(
            bar, ts, self._price.copy(), self._age.copy(), features=features, trade=scan is not None,
            local=time.time_ns(),
        )  # fmt: skip

    def _wrong(self, scan: ScanRecord) -> str | None:
        if scan.ts % self.spacing_ns:
            return f"not on the grid of {format_spacing(self.spacing_ns)}"
        if self.origin is not None and scan.ts < self.origin:
            return f"before the first row, {format_time(self.origin)}"
        if self._last is not None and scan.ts <= self._last:
            what = "came again" if scan.ts == self._last else "came late"
            return f"{what}: row {format_time(self._last)} is closed"
        if self._last is not None and (scan.ts - self._last) // self.spacing_ns > LONGEST_HOLE:
            return f"more than {LONGEST_HOLE} rows after {format_time(self._last)}"
        if not any(symbol in self._column for symbol in scan.prices):
            return "no price of any symbol that is traded"
        return None
