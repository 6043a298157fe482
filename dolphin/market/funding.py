"""Funding rates of perpetuals on a dataset's grid, from an imported series of the workspace."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog import Dataset
from dolphin.catalog.store.cache import Writer
from dolphin.catalog.store.tables import Table, open_table
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace

#: The series of a table that are funding rates.
SERIES = "FUNDING_RATE"


def funding_table(dataset: Dataset, name: str) -> Table:
    """The table of this name in the dataset's workspace (``NAME@DIGEST``: that version).

    Raises
    ------
    DolphinError
        If there is none, or it holds no funding rate of any symbol of the dataset.
    """
    table = open_table(Workspace(dataset.root.parent), name)
    if table.kind != "series":
        raise DolphinError(f"'{name}' holds {table.kind}, no funding rates", mend="import them: dolphin data import")
    if not set(table.symbols) & set(dataset.symbols) or SERIES not in table.manifest.get("lag_rules", {}):
        raise DolphinError(
            f"table '{name}' has no {SERIES} of a symbol of '{dataset.name}'", mend="name another table in [market]"
        )
    return table


def funding_rates(dataset: Dataset, name: str) -> NDArray[np.float64]:
    """Rates that fell due since the bar before, float64 [T, N], memory-mapped.

    The rate of a symbol whose funding time lies in (ts[i - 1], ts[i]] stands at row i (several of one bar are
    added up), 0 elsewhere and for symbols that the table does not know.
    """
    table = funding_table(dataset, name)

    def build(writer: Writer) -> None:
        grid = dataset.grid()
        out = writer.array("funding", (len(grid), len(dataset.symbols)), np.float64)
        rates = (
            table.frame()
            .filter(pl.col("series") == SERIES, pl.col("symbol").is_in(list(dataset.symbols)))
            .select("symbol", "reference_ts", "value")
            .collect()
        )
        due = rates["reference_ts"].to_numpy()
        inside = (due > grid[0] - dataset.spacing_ns) & (due <= grid[-1])
        column = rates["symbol"].cast(pl.Enum(list(dataset.symbols))).to_physical().to_numpy()
        np.add.at(out, (np.searchsorted(grid, due[inside]), column[inside]), rates["value"].to_numpy()[inside])

    return dataset.cached("funding", build, table.digest)["funding"]
