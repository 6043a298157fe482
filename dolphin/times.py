"""Bar spacings, UTC days and times: text on the outside, int64 nanoseconds inside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from dolphin.core.units import DAY_NS, SECOND_NS
from dolphin.errors import DolphinError

WEEK_NS = 7 * DAY_NS
_UNITS = {"ms": SECOND_NS // 1000, "s": SECOND_NS, "m": 60 * SECOND_NS, "h": 3600 * SECOND_NS, "d": DAY_NS}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_spacing(text: str) -> int:
    """Nanoseconds of a bar spacing such as ``5s``, ``1m``, ``5m``, ``1h``, ``1d`` or ``7d``.

    Raises
    ------
    DolphinError
        If it is not of that form, or neither divides a day (bars are aligned to UTC midnight) nor is a week.
    """
    match = re.fullmatch(r"(\d{1,9})(ms|s|m|h|d)", text.strip())
    spacing = int(match[1]) * _UNITS[match[2]] if match else 0
    if not is_spacing(spacing):
        raise DolphinError(f"'{text}' is no bar spacing", mend="use one that divides a day: 5s, 1m, 1h, or a week: 7d")
    return spacing


def is_spacing(spacing_ns: int) -> bool:
    """Whether bars may be so far apart: it divides a day, or is a week."""
    return spacing_ns > 0 and (DAY_NS % spacing_ns == 0 or spacing_ns == WEEK_NS)


def grid_origin(spacing_ns: int) -> int:
    """A close that bars of this spacing are aligned to: 1970-01-01, and for weeks the first Monday after."""
    return 4 * DAY_NS if spacing_ns == WEEK_NS else 0


def format_spacing(spacing_ns: int) -> str:
    """The shortest text of a spacing: 300_000_000_000 is ``5m``."""
    for unit, size in sorted(_UNITS.items(), key=lambda item: -item[1]):
        if spacing_ns % size == 0:
            return f"{spacing_ns // size}{unit}"
    return f"{spacing_ns}ns"


def parse_duration(text: str) -> int:
    """Nanoseconds of a length of time such as ``90s``, ``30m``, ``5h`` or ``2d``.

    Raises
    ------
    DolphinError
        If it is not of that form.
    """
    match = re.fullmatch(r"(\d{1,9})(ms|s|m|h|d)", text.strip())
    if not match:
        raise DolphinError(f"'{text}' is no length of time", mend="write 90s, 30m, 5h or 2d")
    return int(match[1]) * _UNITS[match[2]]


def format_duration(length_ns: int) -> str:
    """A length of time in its two largest units: ``4h 41m``."""
    parts, rest = [], length_ns
    for unit, size in sorted(_UNITS.items(), key=lambda item: -item[1]):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def parse_time(text: str) -> int:
    """Nanoseconds UTC of a date or an ISO time; without an offset it is UTC.

    Raises
    ------
    DolphinError
        If it is neither.
    """
    # The library keeps six digits of a second; nanoseconds are kept here.
    split = re.fullmatch(r"(.+:\d\d)\.(\d{1,9})(\D.*)?", text.strip())
    plain, fraction = (split[1] + (split[3] or ""), int(split[2].ljust(9, "0"))) if split else (text.strip(), 0)
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError:
        raise DolphinError(f"'{text}' is no time", mend="write 2025-01-31 or 2025-01-31T12:00:00Z (UTC)") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000 + fraction


def format_time(ts_ns: int) -> str:
    """ISO text (UTC, ``Z``): to the second, or to the micro- or nanosecond where there is a rest."""
    seconds, rest = divmod(int(ts_ns), SECOND_NS)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".removesuffix("000") if rest else ""
    return f"{text}{fraction}Z"


def format_day(day: int) -> str:
    """``YYYY-MM-DD`` of a day number (days since 1970-01-01)."""
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


def return_day(ts: Any) -> Any:
    """The UTC day, as a day number, that a bar's return belongs to: one that closes at midnight ends its day.

    ENGINE section 5, so that 55 days of bars are 55 daily returns. Anchors and day resets are of
    floor(ts / 24 h). An int, an array, a Polars series or expression of ns UTC.
    """
    return (ts - 1) // DAY_NS


def days_between(first_ts: int, last_ts: int) -> range:
    """Day numbers of the UTC days from one close to another, both included."""
    return range(first_ts // DAY_NS, last_ts // DAY_NS + 1)
