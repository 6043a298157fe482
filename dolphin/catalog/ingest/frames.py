"""``dolphin.import_frame``: a DataFrame of pandas or polars, or an Arrow table, as a dataset."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog.ingest.importer import ImportReport, Sources, import_klines
from dolphin.catalog.readers.candles import PAIR, candles
from dolphin.catalog.readers.names import symbol_of
from dolphin.catalog.readers.reading import Source
from dolphin.catalog.store.layout import check_name
from dolphin.errors import DolphinError
from dolphin.times import parse_spacing, parse_time
from dolphin.workspace import Workspace
from dolphin.workspace import find as find_workspace


def import_frame(
    frame: Any,
    *,
    name: str,
    symbol: str | None = None,
    spacing: str | None = None,
    columns: Mapping[str, str] | None = None,
    start: str | None = None,
    stop: str | None = None,
    workspace: Workspace | None = None,
    **options: Any,
) -> ImportReport:
    """Import bars that are in memory as dataset ``name``.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, polars.LazyFrame or pyarrow.Table
        A row per bar (and symbol, in a column or the index), a time that is the bar's *opening* in a column or the
        index, and open, high, low, close, volume (and bid with ask) under any usual name; also what
        ``yfinance.download`` gives.
    symbol : str, optional
        The symbol where no column has one; by default the dataset's name.
    spacing : str, optional
        Such as ``5m``; told from the data when not given.
    columns : mapping of str to str, optional
        Role to column, where the names do not tell it: ``{"close": "Adj Close"}``.
    start, stop : str, optional
        Take bars that close at or after ``start`` and before ``stop`` (UTC).
    workspace : Workspace, optional
        By default the one that the command line would find.
    **options
        The others of :func:`~dolphin.catalog.ingest.importer.import_klines`: ``calendar``, ``reference``, ``stamped``,
        ``on_bad``, ``notes``, ...

    Raises
    ------
    DolphinError
        On a frame that cannot be taken whole; the dataset of that name stays what it was.

    Examples
    --------
    >>> import dolphin, polars as pl
    >>> bars = pl.DataFrame({"time": ["2025-01-01", "2025-01-02", "2025-01-03"], "close": [10.0, 10.5, 10.25]})
    >>> home = dolphin.workspace.create("lab")
    >>> dolphin.import_frame(bars, name="gold", workspace=home).dataset.symbols
    ('GOLD',)
    """
    check_name(name)
    where = Source("the frame", f"{symbol or symbol_of(name.replace('-', '_'))}.frame")
    reading = candles(_polars(frame), where, columns)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.parquet"
        pl.concat(reading.frames).write_parquet(path)
        source = Sources([(path, "a frame in memory")], [], [], "a frame in memory", "dolphin.import_frame(...)")
        return import_klines(
            workspace or find_workspace(), source, name,
            spacing_ns=parse_spacing(spacing) if spacing else None,
            start_ns=parse_time(start) if start else None, stop_ns=parse_time(stop) if stop else None,
            notes=(*options.pop("notes", ()), *reading.notes), **options,
        )  # fmt: skip


def _polars(frame: Any) -> pl.DataFrame:
    """Any frame as one of polars; the index of pandas becomes columns."""
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    kind = type(frame).__module__.partition(".")[0]
    if kind == "pyarrow":
        found = pl.from_arrow(frame)
        assert isinstance(found, pl.DataFrame)
        return found
    if kind == "pandas" and hasattr(frame, "columns"):
        return _of_pandas(frame)
    raise DolphinError(f"a {type(frame).__name__} is no frame", mend="give a DataFrame of pandas or polars, or Arrow")


def _of_pandas(frame: Any) -> pl.DataFrame:
    import pandas as pd

    frame = frame.copy(deep=False)
    if isinstance(frame.columns, pd.MultiIndex):  # yfinance: (field, ticker), or the other way round
        fields = {"open", "high", "low", "close", "adj close", "volume"}
        swap = not {str(first).lower() for first, *_ in frame.columns} & fields
        pairs = [(pair[1], pair[0]) if swap else (pair[0], pair[1]) for pair in frame.columns]
        frame.columns = pd.Index([PAIR.join(map(str, pair)) for pair in pairs])
    if not (isinstance(frame.index, pd.RangeIndex) and frame.index.name is None):
        plain = not any(name is not None for name in frame.index.names) and frame.index.nlevels == 1
        frame = frame.rename_axis("time") if plain and "time" not in frame.columns else frame
        frame = frame.reset_index()
    frame.columns = frame.columns.map(str)
    found = pl.from_pandas(frame)
    objects = [n for n, dtype in found.schema.items() if dtype == pl.Object]
    if objects:
        raise DolphinError(f"column '{objects[0]}' holds Python objects", mend="make it numbers or times")
    return found
