"""How old a value may be before it is stale, and before it is dead: every limit of the system in one table."""

from __future__ import annotations

from typing import Literal, NamedTuple

from dolphin.errors import DolphinError, nearest
from dolphin.times import DAY_NS, SECOND_NS

Freshness = Literal["fresh", "stale", "dead"]


class Limit(NamedTuple):
    """Ages in ns: fresh up to ``stale_after``, dead beyond ``dead_after``; ``periods`` widen both."""

    stale_after: int
    dead_after: int
    periods: int = 0


#: Limits of the data specification; where it names one, a value beyond it is dead at once.
LIMITS = {
    "tick": Limit(5 * SECOND_NS, 30 * SECOND_NS),
    "order_book": Limit(30 * SECOND_NS, 30 * SECOND_NS),
    "external_factor": Limit(120 * SECOND_NS, 120 * SECOND_NS, periods=2),
    "forewarner": Limit(6 * 3600 * SECOND_NS, 6 * 3600 * SECOND_NS),
    "scan": Limit(2 * DAY_NS, 2 * DAY_NS),
    "log": Limit(2 * DAY_NS, 2 * DAY_NS),
}


def fresh(kind: str, age_ns: int, period_ns: int | None = None) -> Freshness:
    """Whether a value of this age may still be used.

    Parameters
    ----------
    kind : str
        A key of ``LIMITS``.
    age_ns : int
        Now minus the time at which the value became known; a negative age is of the future, hence dead.
    period_ns : int, optional
        How often the value is published; needed for external factors, whose limit grows with it.

    Raises
    ------
    DolphinError
        On an unknown kind, or an external factor without its period.
    """
    if kind not in LIMITS:
        raise DolphinError(f"no freshness limit for '{kind}'", mend=nearest(kind, LIMITS))
    limit = LIMITS[kind]
    if limit.periods and period_ns is None:
        raise DolphinError(f"the freshness of '{kind}' needs its period", mend="give period_ns")
    least = limit.periods * (period_ns or 0)
    if not 0 <= age_ns <= max(limit.dead_after, least):
        return "dead"
    return "fresh" if age_ns <= max(limit.stale_after, least) else "stale"
