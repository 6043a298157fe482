"""A dataset of the catalog as a feed: every row as it was, as fast as wanted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np

from dolphin.catalog import Dataset
from dolphin.config import Config, columns_needed
from dolphin.core.records import Floats, Records
from dolphin.errors import BadInput
from dolphin.live.feed import History, Row
from dolphin.market.assemble import market_column
from dolphin.market.risk_table import risk_columns


class ReplayFeed:
    """Rows ``start`` to ``stop`` of a dataset.

    Parameters
    ----------
    dataset : Dataset
    config : Config
        What is read beside closes: its columns, its risk table.
    start, stop : int
        Rows of the dataset's grid.
    speed : float
        Times as fast as the clock; 0 for as fast as they are taken.
    """

    def __init__(self, dataset: Dataset, config: Config, start: int, stop: int, speed: float = 0.0) -> None:
        if not speed >= 0.0:
            raise BadInput(f"a speed of {speed:g}", mend="0 for as fast as possible, 60 for a minute a second")
        self.name = f"replay:{dataset.name}"
        self.symbols, self.instruments = dataset.symbols, dataset.instruments
        self.reference, self.spacing_ns = dataset.reference, dataset.spacing_ns
        self.start, self.stop = start, stop
        self._speed = speed
        prices = dataset.prices()
        self._ts, self._price, self._age = dataset.grid(), prices.close, prices.age
        self._columns: dict[str, Floats] = {
            name: market_column(dataset, name, config) for name in columns_needed(config)
        }
        self._risk: Records | None = risk_columns(dataset, config) if config.risk.table is not None else None

    async def history(self, rows: int, after: int | None) -> History:
        """See :class:`~dolphin.live.feed.Feed`."""
        stop = self._next(after)
        first = max(0, stop - rows)
        part = slice(first, stop)
        columns = {name: np.array(values[part]) for name, values in self._columns.items()}
        risk = None if self._risk is None else self._risk[part]
        where = np.array(self._ts[part]), np.array(self._price[part]), np.array(self._age[part])
        return History(first, *where, columns, None, risk, whole=first == 0)

    async def rows(self, after: int | None) -> AsyncIterator[Row]:
        """See :class:`~dolphin.live.feed.Feed`."""
        first = self._next(after)
        begun = time.monotonic()
        for bar in range(first, self.stop):
            if self._speed:
                due = begun + (int(self._ts[bar]) - int(self._ts[first])) / (self._speed * 1e9)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield self.row(bar)

    def row(self, bar: int) -> Row:
        """Row ``bar`` of the dataset."""
        columns: Mapping[str, Any] = {name: np.array(values[bar]) for name, values in self._columns.items()}
        return Row(
            bar=bar,
            ts=int(self._ts[bar]),
            price=np.array(self._price[bar]),
            age=np.array(self._age[bar]),
            columns=columns,
            risk=None if self._risk is None else self._risk[bar : bar + 1],
            local=time.time_ns(),
        )

    async def close(self) -> None:
        """Nothing is held."""

    def _next(self, after: int | None) -> int:
        return self.start if after is None else int(np.searchsorted(self._ts, after, side="right"))
