"""Series of external factors: one value per reference date (or time), perhaps per symbol.

Columns: series, symbol (null for a factor of the whole market), reference_ts (what the value is about, ns
UTC; midnight of a date), value. When a value became public is not in such files:
:mod:`dolphin.catalog.ingest.external` knows that.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from dolphin.catalog.readers.clock import Clock
from dolphin.catalog.readers.layouts import check_symbols
from dolphin.catalog.readers.reading import Reading, Source, explained, filled
from dolphin.errors import DolphinError

SERIES = {"series": pl.String, "symbol": pl.String, "reference_ts": pl.Int64, "value": pl.Float64}
FUNDING = "FUNDING_RATE"
MAX_BYTES = 256 << 20
_DATES = ("date", "datetime")


def read_series(path: Path) -> Reading:
    """A CSV or Parquet of (date or datetime, value), or of (symbol, ts, funding_rate).

    The file's name names the series: ``fred_VIXCLS.csv`` is ``VIXCLS``, ``fear_greed_index.csv`` is
    ``FEAR_GREED``. Empty values (holidays) are left out and counted in the notes.

    Raises
    ------
    DolphinError
        On a date or value that is none, or a file without rows.
    """
    source = Source.of(path)
    if path.stat().st_size > MAX_BYTES:
        raise DolphinError(f"a series of more than {MAX_BYTES} bytes", where=source.where, mend="split it")
    with explained(source.where, "series"):
        if path.suffix.lower() == ".parquet":
            frame = pl.read_parquet(path, hive_partitioning=False)
        else:
            frame = pl.read_csv(path, infer_schema=False)
        frame = frame.rename({name: name.strip().lower() for name in frame.columns})
        frame = _funding(frame, source) if "funding_rate" in frame.columns else _dated(frame, source)
    empty = frame["value"].null_count()
    notes = (f"{path.name}: {empty} dates without a value left out",) if empty else ()
    frame = frame.filter(pl.col("value").is_not_null())
    return Reading("series", filled(iter([frame]), source.where, "series"), notes)


def series_name(stem: str) -> str:
    """The series that a file's name tells."""
    name = re.sub(r"[^A-Z0-9]+", "_", stem.upper()).strip("_")
    return name.removeprefix("FRED_").removesuffix("_INDEX")


def _dated(frame: pl.DataFrame, source: Source) -> pl.DataFrame:
    time = next(frame[name] for name in _DATES if name in frame.columns)
    texts = time.cast(pl.String).str.strip_chars()
    days = texts.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    midnight = texts.str.slice(10).str.contains(r"^([T ]00:00(:00(\.0+)?)?(Z|\+00:00)?)?$")
    odd = days.is_null() | ~midnight
    if odd.any():
        raise DolphinError(f"'{texts.filter(odd)[0]}' is no date", where=source.where, mend="write dates as 2025-01-31")
    frame = frame.select(
        pl.lit(series_name(source.stem)).alias("series"),
        pl.lit(None, pl.String).alias("symbol"),
        (days.cast(pl.Datetime("ns")).to_physical()).alias("reference_ts"),
        _value(frame["value"], source),
    )
    return frame.select(list(SERIES))


def _funding(frame: pl.DataFrame, source: Source) -> pl.DataFrame:
    times = frame["ts"].cast(pl.Int64) if frame.schema["ts"] == pl.String else frame["ts"]
    frame = frame.select(
        pl.lit(FUNDING).alias("series"),
        pl.col("symbol").cast(pl.String),
        Clock(source.where).ns(times).alias("reference_ts"),
        _value(frame["funding_rate"], source),
    )
    check_symbols(frame, source)
    return frame.select(list(SERIES))


def _value(values: pl.Series, source: Source) -> pl.Series:
    """Numbers; an empty text and FRED's single dot are no value."""
    if values.dtype == pl.String:
        texts = values.str.strip_chars()
        texts = texts.set(texts.is_in(["", "."]), None)
        numbers = texts.cast(pl.Float64, strict=False)
        odd = texts.filter(numbers.is_null() & texts.is_not_null())
        if odd.len():
            raise DolphinError(f"'{odd[0]}' is no value", where=source.where, mend="leave it empty where there is none")
    else:
        numbers = values.cast(pl.Float64)
    if not numbers.drop_nulls().is_finite().all():
        raise DolphinError("a value is not finite", where=source.where, mend="leave it empty where there is none")
    return numbers.alias("value")
