"""Times of a file as int64 ns UTC, whatever unit it counts in."""

from __future__ import annotations

import polars as pl

from dolphin.errors import DolphinError
from dolphin.times import parse_time

EARLIEST_NS, LATEST_NS = 946_684_800 * 10**9, 4_102_444_800 * 10**9  # 2000 to 2100
_UNITS = {"ms": 10**6, "us": 10**3, "ns": 1}


class Clock:
    """The unit of a file's integers, told once from their size and then held to.

    From 2000 to 2100 seconds, milliseconds, microseconds and nanoseconds since 1970 do not overlap, so that the
    size tells the unit; a file that changes it on the way is refused.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.factor: int | None = None

    def ns(self, times: pl.Series) -> pl.Series:
        """Times as int64 ns: integers, datetimes, or ISO text (UTC where it names no offset).

        Raises
        ------
        DolphinError
            If the column is no time, or one of them is empty or not between 2000 and 2100.
        """
        if isinstance(times.dtype, pl.Datetime):
            factor = _UNITS[times.dtype.time_unit]
            counts = times.to_physical()
        elif times.dtype.is_integer():
            counts = times.cast(pl.Int64, strict=False)
            factor = self._unit(counts)
        elif times.dtype == pl.String:
            parsed = [None if text is None else self._parse(text) for text in times]
            counts, factor = pl.Series(times.name, parsed, pl.Int64), 1
        else:
            raise DolphinError(f"column '{times.name}' is {times.dtype}, no time", where=self.where)
        # compared before the multiplication: a wrapped product could look like a time
        inside = counts.is_between(EARLIEST_NS // factor, LATEST_NS // factor)
        odd = int(counts.null_count()) + int((~inside).sum() or 0)
        if odd:
            raise DolphinError(
                f"{odd} of {counts.len()} times are empty or not between 2000 and 2100",
                where=self.where,
                mend="times are seconds, milliseconds, microseconds or nanoseconds since 1970, one unit per file",
            )
        return counts * factor

    def _unit(self, counts: pl.Series) -> int:
        if self.factor is None and counts.len() > counts.null_count():
            last = counts.max()
            assert isinstance(last, int)
            self.factor = 10**9 if last < 10**11 else 10**6 if last < 10**14 else 10**3 if last < 10**17 else 1
        return self.factor or 1

    def _parse(self, text: str) -> int:
        try:
            return parse_time(text)
        except DolphinError as error:
            raise DolphinError(error.what[:80], where=self.where, mend="times are ISO text or integers") from None
