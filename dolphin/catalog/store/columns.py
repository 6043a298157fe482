"""What a dataset's rows hold beside closes, on the full grid: memory-mapped (T, N) arrays of the hot cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog.store.cache import Writer
from dolphin.catalog.store.dataset import Dataset
from dolphin.catalog.store.filling import Filler
from dolphin.errors import DolphinError

#: Columns of rows, by what stands where no row came: the price that stood, nothing, the last quote.
STANDING, NOTHING, QUOTED = ("open", "high", "low"), ("volume",), ("bid", "ask")


def row_column(dataset: Dataset, name: str) -> NDArray[np.float64]:
    """A column of the rows on the grid, float64 [T, N], built when missing or damaged; NaN before a symbol's first.

    Where a symbol has no row, ``open``, ``high`` and ``low`` are the forward-filled close, ``volume`` is 0,
    and ``bid`` and ``ask`` are the last ones; so they are where a row has none. Each side stands by itself.

    Raises
    ------
    DolphinError
        If the rows have no such column.
    """
    days = sorted(dataset.manifest["days"])
    if name not in (*STANDING, *NOTHING, *QUOTED) or name not in dataset.columns:
        raise DolphinError(
            f"its rows have no {name}",
            where=dataset.name,
            mend="use a dataset whose rows have it",
        )

    def build(writer: Writer) -> None:
        prices = dataset.prices()
        out = writer.array(name, prices.close.shape, np.float64)
        fill = Filler(prices.close.shape[1])
        for low, high, row, column, values in _days(dataset, days, name):
            block = out[low:high]
            if name in STANDING:
                block[:] = prices.close[low:high]
            elif name in NOTHING:
                block[:] = np.where(prices.age[low:high] < 0, np.nan, 0.0)
            else:
                block[:] = np.nan
            block[row - low, column] = values
            if name in QUOTED:
                fill(block, np.empty(block.shape, np.int32))

    return dataset.cached(name, build)[name]


def _days(
    dataset: Dataset, days: list[str], name: str
) -> Iterator[tuple[int, int, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Per day that has rows: the stretch of the grid up to its last, and its rows, columns and values there."""
    grid, symbols, low = dataset.grid(), pl.Enum(list(dataset.symbols)), 0
    for date in days:
        frame = dataset.day(date, ("symbol", "ts", name))
        column = frame["symbol"].cast(symbols).to_physical().to_numpy().astype(np.int64)
        row = dataset.rows_of(grid, frame["ts"].to_numpy(), date)
        high = int(row.max()) + 1
        yield low, high, row, column, frame[name].cast(pl.Float64).to_numpy()
        low = high
