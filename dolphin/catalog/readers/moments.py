"""Times of a table as people write them: counts since 1970 in any unit, ISO text, dates; as int64 ns UTC."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from dolphin.catalog.readers.clock import LATEST_NS
from dolphin.catalog.readers.reading import Source
from dolphin.errors import DolphinError
from dolphin.times import DAY_NS

_SECOND = 10**9
_YEAR_FIRST = r"^(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})"
_YEAR_LAST = r"^(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y>\d{4})"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: ``Mar 05, 2024`` and ``5-Mar-2024``.
_MONTH_NAMED = (
    r"^(?P<n>[A-Za-z]{3})[a-z]*\.? (?P<d>\d{1,2}),? (?P<y>\d{4})",
    r"^(?P<d>\d{1,2})[- ](?P<n>[A-Za-z]{3})[a-z]*\.?[- ](?P<y>\d{4})",
)
_COMPACT = r"^(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"
_TAIL = (
    r"(?:(?:T| +)(?P<H>\d{1,2}):?(?P<M>\d{2})(?::?(?P<S>\d{2})(?:[.,](?P<F>\d{1,9}))?)?)?"
    r"(?: *(?P<P>[AaPp][Mm])\b)?"
    r" *(?P<Z>Z|UTC|GMT|[+-]\d{2}:?\d{2})?$"
)
#: Sizes that tell the unit of a count: from 2000 to 2100 they do not overlap.
_UNITS = ((10**11, _SECOND, "seconds"), (10**14, 10**6, "milliseconds"), (10**17, 10**3, "microseconds"))


@dataclass(frozen=True)
class Moments:
    """Times of a column, int64 ns UTC, and in words how they were written."""

    ns: pl.Series
    written: str
    assumed_utc: bool = False


def moments(times: pl.Series, source: Source) -> Moments:
    """Tell how a column writes time, and read it.

    Raises
    ------
    DolphinError
        If it is no time, if day and month cannot be told apart, or one lies before 1970 or after 2100.
    """
    if times.dtype == pl.Date:
        found = Moments(times.cast(pl.Datetime("ns")).to_physical(), "dates")
    elif isinstance(times.dtype, pl.Datetime):
        found = _datetimes(times)
    elif times.dtype.is_numeric():
        found = _counts(times, source)
    elif times.dtype in (pl.String, pl.Null):
        found = _texts(times.cast(pl.String).str.strip_chars(), source)
    else:
        raise DolphinError(f"column '{times.name}' is {times.dtype}, no time", where=source.where)
    outside = int((~found.ns.is_between(0, LATEST_NS)).sum() or 0) + int(found.ns.null_count())
    if outside:
        lost = times.filter(~found.ns.is_between(0, LATEST_NS).fill_null(False))[0]
        raise DolphinError(
            f"{outside} of {times.len()} times are empty or not between 1970 and 2100 ('{str(lost)[:40]}')",
            where=source.where,
            mend="write ISO times such as 2025-01-31T12:00:00Z, or counts since 1970 in one unit",
        )
    return found


def _datetimes(times: pl.Series) -> Moments:
    """Datetimes; where all are midnight of their own zone they are dates, and kept as these."""
    zone = times.dtype.time_zone  # type: ignore[attr-defined]
    local = times.dt.replace_time_zone(None).cast(pl.Datetime("ns")).to_physical()
    if bool((local % DAY_NS == 0).all()):
        return Moments(local, f"dates (midnights{f' of {zone}' if zone else ''})")
    if zone is None or zone == "UTC":
        return Moments(local, f"datetimes, {zone or 'without a zone'}", zone is None)
    utc = times.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.Datetime("ns"))
    return Moments(utc.to_physical(), f"datetimes of {zone}, taken to UTC")


def _counts(times: pl.Series, source: Source) -> Moments:
    counts = times.cast(pl.Int64, strict=False)
    if times.dtype.is_float() and bool((counts.cast(times.dtype) != times).any()):
        if not bool(times.drop_nulls().is_between(0.0, 1e11).all()):
            raise DolphinError(f"column '{times.name}' has fractions, no time", where=source.where)
        return Moments((times * _SECOND).round().cast(pl.Int64, strict=False), "seconds since 1970")
    least, most = counts.min(), counts.max()
    if least is None or most is None:
        return Moments(counts, "nothing")
    assert isinstance(least, int) and isinstance(most, int)
    if least >= 19_700_101 and most <= 21_001_231:
        return _texts(counts.cast(pl.String), source)
    limit, factor, name = next((u for u in _UNITS if most < u[0]), (2**63 - 1, 1, "nanoseconds"))
    counts = counts.set(~counts.is_between(0, min(limit, LATEST_NS // factor)), None)
    return Moments(counts * factor, f"{name} since 1970")


def _texts(texts: pl.Series, source: Source) -> Moments:
    whole = texts.drop_nulls().head(64)
    if whole.len() and bool(whole.str.contains(r"^-?\d{9,}(\.\d+)?$").all()):
        numbers = texts.cast(
            pl.Float64 if bool(texts.str.contains(".", literal=True).any()) else pl.Int64, strict=False
        )
        return _counts(numbers, source)
    for form in (_YEAR_FIRST, _YEAR_LAST, _COMPACT):
        if whole.len() and bool(whole.str.contains(form).all()):
            return _parsed(texts, form, source)
    for form in _MONTH_NAMED:
        if whole.len() and bool(whole.str.contains(form).all()):
            return _parsed(_numbered(texts, form), _YEAR_FIRST, source)
    shown = f"'{str(whole[0])[:40]}' is no time" if whole.len() else "its times are empty"
    raise DolphinError(shown, where=source.where, mend="write 2025-01-31T12:00:00Z, or counts since 1970")


def _numbered(texts: pl.Series, form: str) -> pl.Series:
    """Dates with the month's name, the year first and the month as a number; an unknown name is month 0."""
    parts = texts.str.extract_groups(form).struct.unnest()
    months = {name: str(number) for number, name in enumerate(_MONTHS, 1)}
    number = pl.col("n").str.to_lowercase().replace_strict(months, default="0", return_dtype=pl.String)
    rest = texts.str.replace(form, "")
    return parts.select(pl.concat_str([pl.col("y"), number, pl.col("d")], separator="-"))["y"] + rest


def _parsed(texts: pl.Series, form: str, source: Source) -> Moments:
    """Text by its parts; what does not match is null."""
    parts = texts.str.extract_groups(form + _TAIL).struct.unnest()
    numbers = parts.select(pl.exclude("Z", "F", "P").cast(pl.Int64, strict=False), "Z", "F", "P")
    if form == _YEAR_LAST:
        month_first = _month_first(numbers, texts, source)
        numbers = numbers.rename({"a": "m", "b": "d"} if month_first else {"a": "d", "b": "m"})
    day = pl.date("y", "m", "d")
    sound = pl.col("m").is_between(1, 12) & pl.col("d").is_between(1, 31) & pl.col("y").is_not_null()
    half = pl.col("P").is_null() | pl.col("H").is_between(1, 12)
    sound &= half & (pl.col("H").fill_null(0) < 24) & (pl.col("M").fill_null(0) < 60) & (pl.col("S").fill_null(0) < 60)
    numbers = numbers.with_columns(pl.when(~sound).then(None).otherwise(pl.col("y")).alias("y"))
    numbers = numbers.with_columns(pl.when(sound).then(pl.col("m")).otherwise(1).alias("m"))
    numbers = numbers.with_columns(pl.when(sound).then(pl.col("d")).otherwise(1).alias("d"))
    hour = pl.col("H").fill_null(0)
    twelve = hour % 12 + pl.when(pl.col("P").str.to_lowercase() == "pm").then(12).otherwise(0)
    hour = pl.when(pl.col("P").is_null()).then(hour).otherwise(twelve)
    clock = (hour * 60 + pl.col("M").fill_null(0)) * 60 + pl.col("S").fill_null(0)
    fraction = pl.col("F").str.pad_end(9, "0").cast(pl.Int64, strict=False).fill_null(0)
    sign = pl.when(pl.col("Z").str.starts_with("-")).then(-1).otherwise(1)
    digits = pl.col("Z").str.replace(":", "")
    offset = sign * (digits.str.slice(1, 2).cast(pl.Int64, strict=False) * 60
                     + digits.str.slice(3, 2).cast(pl.Int64, strict=False)) * 60  # fmt: skip
    found = numbers.select(
        (day.cast(pl.Datetime("ns")).to_physical() + clock * _SECOND + fraction).alias("local"),
        offset.fill_null(0).alias("offset"),
        pl.col("Z"),
        pl.col("H"),
    )
    local = found["local"]
    zoned = found["Z"].null_count() < found.height
    if found["H"].null_count() == found.height or (zoned and bool((local % DAY_NS == 0).all())):
        return Moments(local, "dates")
    shown = "text with its zone, taken to UTC" if zoned else "text without a zone"
    return Moments(local - found["offset"] * _SECOND, shown, not zoned)


def _month_first(numbers: pl.DataFrame, texts: pl.Series, source: Source) -> bool:
    """Whether 01/02/2025 is in January: some day above 12 has to tell it.

    Raises
    ------
    DolphinError
        If none does.
    """
    if bool(texts.drop_nulls().head(64).str.contains(r"^\d{1,2}\.\d{1,2}\.").all()):
        return False  # points are between days and months of countries that begin with the day
    first, second = numbers["a"].max(), numbers["b"].max()
    if isinstance(second, int) and second > 12:
        return True
    if isinstance(first, int) and first > 12:
        return False
    raise DolphinError(
        f"'{str(texts[0])[:40]}': day and month cannot be told apart", where=source.where, mend="write 2025-01-31"
    )
