"""External factors: series of values, each with the moment at which it was public.

A value is about its reference date and becomes known later, by the lag rule of its series. Whoever asks for
the value at a time gets the newest that was public then, never one whose reference date merely lies before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog.readers import Reading
from dolphin.catalog.store.tables import Part, Table, write_table
from dolphin.errors import DolphinError, nearest
from dolphin.files import sha256_file
from dolphin.times import DAY_NS, SECOND_NS, parse_duration
from dolphin.workspace import Workspace

Times = NDArray[np.int64]
HOUR_NS = 3600 * SECOND_NS
EVENING_NS = 22 * HOUR_NS  # UTC; after 16:15 in New York, in winter and in summer


class LagRule(NamedTuple):
    """When a series' values are public: ``available`` of their reference times; how often one comes."""

    available: Callable[[Times], Times]
    period_ns: int
    text: str


def next_business_day(reference: Times) -> Times:
    """The evening of the first US business day after the reference date."""
    return _roll(reference // DAY_NS + 1)


def next_monday(reference: Times) -> Times:
    """The evening of the Monday after the reference date's week, or the business day after that."""
    day = reference // DAY_NS
    return _roll(day + 7 - (day + 3) % 7)  # 1970-01-01 was a Thursday


def next_month(reference: Times) -> Times:
    """The evening of the first business day of the month after the reference month."""
    month = (reference // DAY_NS).astype("M8[D]").astype("M8[M]") + np.timedelta64(1, "M")
    return _roll(month.astype("M8[D]").astype(np.int64))


def at_once(reference: Times) -> Times:
    """The reference time itself."""
    return reference


def after(lag_ns: int) -> Callable[[Times], Times]:
    """So long after the reference time."""
    return lambda reference: reference + lag_ns


def _roll(day: Times) -> Times:
    """The evening (UTC) of these days, or of the US business day that follows."""
    business = np.busday_offset(day.astype("M8[D]"), 0, roll="forward", busdaycal=_business_days())
    return business.astype(np.int64) * DAY_NS + EVENING_NS


@cache
def _business_days() -> np.busdaycalendar:
    """US business days: Monday to Friday without federal holidays."""
    from pandas.tseries.holiday import USFederalHolidayCalendar

    holidays = USFederalHolidayCalendar().holidays("1970-01-01", "2100-12-31")
    return np.busdaycalendar(holidays=holidays.to_numpy().astype("M8[D]"))


#: The lag rule of every known series, with its source.
LAGS = {
    # FRED, Cboe volatility index: the close is posted on the next business day.
    "VIXCLS": LagRule(next_business_day, DAY_NS, "next US business day, 22:00 UTC"),
    # FRED, Federal Reserve H.15: "posted daily Monday through Friday at 4:15 pm", for the day before.
    "DGS10": LagRule(next_business_day, DAY_NS, "next US business day, 22:00 UTC"),
    # FRED, S&P Dow Jones Indices: the close is posted in the evening; taken as of the next business day.
    "SP500": LagRule(next_business_day, DAY_NS, "next US business day, 22:00 UTC"),
    # Federal Reserve H.10: daily rates of a week are released on the following Monday, 4:15 pm.
    "DTWEXBGS": LagRule(next_monday, 7 * DAY_NS, "Monday after the week (H.10), 22:00 UTC"),
    # Federal Reserve H.15: the monthly average follows on the first business day of the next month.
    "FEDFUNDS": LagRule(next_month, 31 * DAY_NS, "first business day of the next month, 22:00 UTC"),
    # Crypto fear and greed index: the day's value is set at 00:00 UTC; an hour's margin.
    "FEAR_GREED": LagRule(after(HOUR_NS), DAY_NS, "same day, 01:00 UTC"),
    # Exchange funding: the rate is final at the funding time, every 8 hours.
    "FUNDING_RATE": LagRule(at_once, 8 * HOUR_NS, "at the funding time"),
}


def lag_rule(series: str, lags: Mapping[str, str] | None = None) -> LagRule:
    """The rule of a series; ``lags`` (series to duration, such as ``2d``) go before the table.

    Raises
    ------
    DolphinError
        If there is none: a guess could look ahead.
    """
    if lags and series in lags:
        lag = parse_duration(lags[series])
        known = LAGS.get(series)
        return LagRule(after(lag), known.period_ns if known else DAY_NS, f"{lags[series]} after the reference time")
    if series not in LAGS:
        raise DolphinError(
            f"no rule says when '{series}' is public; {nearest(series, LAGS)}",
            mend=f"give its lag: --lag {series}=2d, or [lags] in the definition",
        )
    return LAGS[series]


def import_series(
    workspace: Workspace, name: str, readings: Iterable[tuple[Path, Reading]], about: Mapping[str, Any]
) -> Table:
    """Import files of series as table ``name``: series, symbol, reference_ts, available_ts, value.

    Parameters
    ----------
    readings : iterable of (path, Reading)
        Of kind ``series``.
    about : mapping
        ``source``, ``made`` and ``notes`` for the manifest; ``lags`` overrides the table of lag rules.

    Raises
    ------
    DolphinError
        On a series without a lag rule, or a file that cannot be taken whole.
    """
    lags = about.get("lags")
    frames: list[pl.DataFrame] = []
    lineage: list[dict[str, Any]] = []
    notes: list[str] = list(about.get("notes", ()))
    for path, reading in readings:
        pieces = [piece.with_columns(pl.lit(path.name).alias("file")) for piece in reading.frames]
        frames += pieces
        notes += reading.notes
        rows = sum(piece.height for piece in pieces)
        lineage.append({"file": path.name, "sha256": sha256_file(path), "rows": rows})
    if not frames:
        raise DolphinError("no row is left", where=name, mend="check the files")
    values = pl.concat(frames)
    twice = ~pl.struct("series", "symbol", "reference_ts").is_first_distinct()
    odd = values.filter(twice).select("file", pl.lit("duplicate").alias("rule"), pl.exclude("file"))
    values = with_availability(values.filter(~twice).drop("file"), lags)
    used = {series: lag_rule(series, lags).text for series in sorted(values["series"].unique().to_list())}
    quality = {"rows": values.height, "rejected": odd.height, "flagged": 0, "counts": {"duplicate": odd.height}}
    document = {
        "collector": "dolphin data import",
        **about,
        "notes": list(dict.fromkeys(notes)),
        "sources": lineage,
        "lag_rules": used,
        "quality": quality,
    }
    return write_table(workspace, name, kind="series", parts=_years(values), about=document, rejected=lambda: odd)


def with_availability(rows: pl.DataFrame, lags: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Rows with ``available_ts`` by the lag rule of their series, sorted by it."""
    parts = []
    for (series,), part in rows.group_by("series", maintain_order=True):
        available = lag_rule(str(series), lags).available(part["reference_ts"].to_numpy())
        parts.append(part.with_columns(pl.Series("available_ts", available, pl.Int64)))
    found = pl.concat(parts).select("series", "symbol", "reference_ts", "available_ts", "value")
    return found.sort("available_ts", "series", "symbol", "reference_ts")


def _years(rows: pl.DataFrame) -> Iterator[Part]:
    """One part a year of publication: a file a day would hold a handful of values."""
    year = pl.from_epoch("available_ts", "ns").dt.year()
    for (number,), part in rows.group_by(year, maintain_order=True):
        yield f"{number:04d}-01-01", None, part


def as_of(
    table: Table | pl.LazyFrame,
    ts: Times,
    *,
    series: Sequence[str] | None = None,
    symbol: str | None = None,
) -> pl.DataFrame:
    """The newest value of each series that was public at these times.

    Parameters
    ----------
    table : Table or LazyFrame
        Of kind ``series``.
    ts : int64 [T]
        Times (bar closes), ns UTC, in any order.
    series : sequence of str, optional
        Which; by default all that are of the whole market, and with ``symbol`` those of that symbol too.
    symbol : str, optional
        Whose values of series that have one per symbol.

    Returns
    -------
    DataFrame [T]
        ``ts``; per series its value and ``<series>_age_ns``, the time since it was public; null before the
        first.

    Raises
    ------
    DolphinError
        On a series that the table does not hold (for that symbol).
    """
    rows = table.frame() if isinstance(table, Table) else table
    of = pl.col("symbol").is_null() if symbol is None else pl.col("symbol").is_null() | (pl.col("symbol") == symbol)
    found = rows.filter(of).collect()
    known = sorted(found["series"].unique().to_list())
    for name in series or ():
        if name not in known:
            raise DolphinError(f"no series '{name}'" + (f" of {symbol}" if symbol else ""), mend=nearest(name, known))
    answer = pl.DataFrame({"ts": np.asarray(ts, np.int64)}).with_row_index("row").sort("ts", "row")
    for name in series or known:
        # of values public at one moment, and after a late correction, the newest reference date counts
        values = found.filter(pl.col("series") == name).sort("available_ts", "reference_ts")
        values = values.filter(pl.col("reference_ts") >= pl.col("reference_ts").cum_max())
        values = values.unique("available_ts", keep="last", maintain_order=True)
        values = values.select(pl.col("available_ts").alias("ts"), "available_ts", pl.col("value").alias(name))
        answer = answer.join_asof(values.set_sorted("ts"), on="ts", strategy="backward")
        age = (pl.col("ts") - pl.col("available_ts")).alias(f"{name}_age_ns")
        answer = answer.with_columns(age).drop("available_ts")
    return answer.sort("row").drop("row")
