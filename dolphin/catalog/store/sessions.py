"""Trading sessions: which bars an exchange has, and to which session date each belongs.

Crypto is ``ALWAYS_OPEN``: its sessions are the UTC days. Other calendars come from exchange_calendars, with
their holidays, half days and daylight-saving changes. A session date is the exchange's own: CME's begins on
the evening before. A bar that closes exactly at the end of a session belongs to it.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.errors import DolphinError, nearest
from dolphin.times import DAY_NS, WEEK_NS, format_day, format_spacing, format_time, grid_origin

ALWAYS_OPEN = "ALWAYS_OPEN"
NO_SESSION = np.iinfo(np.int64).min
FIRST, LAST = "2000-01-01", "2040-12-31"  # sessions are known from and to


class Calendar:
    """The sessions of an exchange; :func:`calendar` gives it by name.

    Parameters
    ----------
    name : str
        Its canonical name (``XNYS``, ``CMES``).
    start, end : int64 [P]
        Stretches of trading, ns UTC, ascending; a session with a lunch break has two.
    date : int64 [P]
        Session date of each, days since 1970.
    """

    def __init__(self, name: str, start: NDArray[np.int64], end: NDArray[np.int64], date: NDArray[np.int64]) -> None:
        self.name = name
        self._start, self._end, self._date = start, end, date

    def date_of(self, ts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Session date (days since 1970) of bar closes, int64 [T]; ``NO_SESSION`` outside all sessions."""
        ts = np.asarray(ts, np.int64)
        self._check(ts)
        at = np.searchsorted(self._end, ts, side="left")
        return np.where(self._start[at] < ts, self._date[at], NO_SESSION)

    def is_open(self, ts: int) -> bool:
        """Whether the exchange trades at this moment (its opening included, its closing not)."""
        self._check(np.array([ts]))
        at = int(np.searchsorted(self._end, ts, side="right"))
        return bool(self._start[at] <= ts)

    def closes(self, first_ts: int, last_ts: int, spacing_ns: int) -> NDArray[np.int64]:
        """Closes inside sessions from one time to another, both included; multiples of the spacing.

        Raises
        ------
        DolphinError
            If it is open for more than the calendar is known.
        """
        self._check(np.array([first_ts, last_ts]))
        low, high = np.searchsorted(self._end, [first_ts, last_ts], side="left")
        parts = [
            np.arange(max(start // spacing_ns + 1, -(-first_ts // spacing_ns)), min(end, last_ts) // spacing_ns + 1)
            for start, end in zip(self._start[low : high + 1].tolist(), self._end[low : high + 1].tolist(), strict=True)
        ]
        return np.concatenate([*parts, np.zeros(0, np.int64)]).astype(np.int64) * spacing_ns

    def dates(self, first: int, stop: int) -> NDArray[np.int64]:
        """Session dates from one day number to before another."""
        dates = np.unique(self._date)
        return dates[(dates >= first) & (dates < stop)]

    def daily(self) -> Calendar:
        """The same session dates for daily bars: each from the UTC midnight that begins its date to the one after."""
        dates = np.unique(self._date)
        return Calendar(self.name, dates * DAY_NS, (dates + 1) * DAY_NS, dates)

    def bounds(self, date: int) -> tuple[int, int]:
        """Opening and closing of a session, ns UTC.

        Raises
        ------
        DolphinError
            If there is no session on that date.
        """
        at = np.flatnonzero(self._date == date)
        if not at.size:
            raise DolphinError(f"no session on {format_day(date)}", where=self.name)
        return int(self._start[at[0]]), int(self._end[at[-1]])

    def _check(self, ts: NDArray[np.int64]) -> None:
        odd = (ts < self._start[0]) | (ts > self._end[-1])
        if odd.any():
            raise DolphinError(
                f"the sessions of {self.name} are known from {FIRST} to {LAST}, not at {format_time(int(ts[odd][0]))}"
            )

    def days_of(self, ts: pl.Series) -> pl.Series:
        """:meth:`date_of` of a series; null outside all sessions."""
        days = pl.Series(ts.name, self.date_of(ts.to_numpy()), pl.Int64)
        return days.set(days == NO_SESSION, None)

    def days(self, first: int, stop: int) -> list[int]:
        """:meth:`dates` as a plain list."""
        dates: list[int] = self.dates(first, stop).tolist()
        return dates

    def closes_of(self, day: int, spacing_ns: int) -> NDArray[np.int64]:
        """Every close of one session."""
        start, end = self.bounds(day)
        closes = self.closes(start, end, spacing_ns)
        return closes[self.date_of(closes) == day]


class AlwaysOpen(Calendar):
    """Around the clock: the session is the UTC day; a close at midnight belongs to the day that begins."""

    def __init__(self) -> None:
        self.name = ALWAYS_OPEN

    def date_of(self, ts: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(ts, np.int64) // DAY_NS

    def is_open(self, ts: int) -> bool:
        return True

    def closes(self, first_ts: int, last_ts: int, spacing_ns: int) -> NDArray[np.int64]:
        origin = grid_origin(spacing_ns)
        first, last = -(-(first_ts - origin) // spacing_ns), (last_ts - origin) // spacing_ns
        return origin + np.arange(first, last + 1, dtype=np.int64) * spacing_ns

    def dates(self, first: int, stop: int) -> NDArray[np.int64]:
        return np.arange(first, stop, dtype=np.int64)

    def bounds(self, date: int) -> tuple[int, int]:
        return date * DAY_NS, (date + 1) * DAY_NS

    def closes_of(self, day: int, spacing_ns: int) -> NDArray[np.int64]:
        if spacing_ns > DAY_NS:
            return self.closes(day * DAY_NS, (day + 1) * DAY_NS - 1, spacing_ns)
        return np.arange(day * DAY_NS, (day + 1) * DAY_NS, spacing_ns, dtype=np.int64)


@cache
def calendar(name: str, spacing_ns: int | None = None) -> Calendar:
    """The calendar of this name: ``ALWAYS_OPEN``, or an exchange's code or alias (``NYSE``, ``CME``).

    Parameters
    ----------
    spacing_ns : int, optional
        Of the bars. Daily ones are of a session as a whole: each closes at the UTC midnight after its date.

    Raises
    ------
    DolphinError
        On an unknown name (the nearest is suggested); for weekly bars, which no session has.
    """
    found = _calendar(name)
    if found.name == ALWAYS_OPEN or spacing_ns is None or spacing_ns < DAY_NS:
        return found
    if spacing_ns >= WEEK_NS:
        raise DolphinError(f"weekly bars lie in no session of {name}", mend="leave --calendar out")
    return found.daily()


@cache
def _calendar(name: str) -> Calendar:
    wanted = name.strip().upper()
    if wanted == ALWAYS_OPEN:
        return AlwaysOpen()
    with warnings.catch_warnings():  # of the library's own use of pandas
        warnings.simplefilter("ignore")
        import exchange_calendars

        known = exchange_calendars.get_calendar_names(include_aliases=True)
        codes = {code.upper(): code for code in known}
        if wanted not in codes:
            raise DolphinError(f"no calendar '{name}'", mend=nearest(wanted, [ALWAYS_OPEN, *codes]))
        code = exchange_calendars.resolve_alias(codes[wanted])
        found = exchange_calendars.get_calendar(code, start=FIRST, end=LAST)
        schedule = found.schedule
        dates = schedule.index.to_numpy().astype("M8[D]").astype(np.int64)
        opens, breaks, resumes, closes = (
            schedule[column].to_numpy("M8[ns]") for column in ("open", "break_start", "break_end", "close")
        )
    pause = ~np.isnat(breaks)
    start = np.concatenate([opens, resumes[pause]]).astype(np.int64)
    end = np.concatenate([np.where(pause, breaks, closes), closes[pause]]).astype(np.int64)
    order = np.argsort(start, kind="stable")
    return Calendar(code, start[order], end[order], np.concatenate([dates, dates[pause]])[order])


def session_closes(name: str, first_ts: int, last_ts: int, spacing_ns: int) -> NDArray[np.int64]:
    """The full grid of a dataset: every close of a calendar from the first to the last.

    Raises
    ------
    DolphinError
        If the spacing leaves no close in its sessions.
    """
    closes = calendar(name, spacing_ns).closes(first_ts, last_ts, spacing_ns)
    if not closes.size or closes[0] != first_ts or closes[-1] != last_ts:
        raise DolphinError(f"bars of {format_spacing(spacing_ns)} do not lie in the sessions of {name}")
    return closes
