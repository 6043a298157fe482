"""Pickles: refused, because loading one runs whatever code it holds; read when asked for by flag."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog.readers.clock import Clock
from dolphin.catalog.readers.layouts import recognise
from dolphin.catalog.readers.reading import Reading, Source, explained, filled
from dolphin.errors import DolphinError


def refuse_pickle(path: Path) -> Reading:
    """Raise: the default for every pickle."""
    raise DolphinError(
        "a pickle can run any code when it is loaded, so it is not read",
        where=str(path),
        mend="write it as Parquet, or allow pickles if you made it yourself",
    )


def read_pickle(path: Path) -> Reading:
    """A pickled pandas table (pickle or joblib) of any layout; loading it runs the code inside."""
    source = Source.of(path)
    with explained(source.where, "pickle"):
        try:
            table = _load(path)
        except (pickle.UnpicklingError, AttributeError, ImportError) as error:
            raise ValueError(error) from error
    if not hasattr(table, "reset_index") or not hasattr(table, "columns"):
        raise DolphinError(
            f"holds a {type(table).__name__}, no table", where=source.where, mend="pickle a pandas DataFrame"
        )
    with explained(source.where, "pickle"):
        frame = pl.from_pandas(table.reset_index() if any(table.index.names) else table)
    layout = recognise(frame.columns, source)
    if layout.kind == "series":
        raise DolphinError("a pickled series", where=source.where, mend="write it as CSV: date,value")

    def frames() -> Iterator[pl.DataFrame]:
        yield layout.make(frame.select(layout.wanted(frame.columns)), source, Clock(source.where))

    return Reading(layout.kind, filled(frames(), source.where, "pickle"))


def _load(path: Path) -> Any:
    if path.suffix.lower() == ".joblib":
        import joblib

        return joblib.load(path)
    with path.open("rb") as stream:
        return pickle.load(stream)
