"""The forewarner's rules: which probability is which status, and what an old status still counts (RISK section 2)."""

from __future__ import annotations

from typing import NamedTuple

from dolphin.core.jit import inline
from dolphin.core.units import DAY_NS

#: Status codes, and no record.
GREEN, ORANGE, RED = 0, 1, 2
MISSING = -1
STATUSES = ("GREEN", "ORANGE", "RED")

ORANGE_FROM, RED_FROM = 0.10, 0.25
#: Hours after which GREEN counts as ORANGE.
STALE_HOURS = 6.0
#: How often a forecast is made.
EVERY_NS = 4 * DAY_NS // 24


class Forecast(NamedTuple):
    """What the forewarner says at a time: the record of RISK section 2."""

    status: str
    catastrophic_prob: float
    envelope_score: float
    timestamp: int


@inline
def status_of(probability, orange_from=ORANGE_FROM, red_from=RED_FROM):  # type: ignore[no-untyped-def]
    """GREEN, ORANGE from 0.10, RED from 0.25; what is no number is MISSING."""
    if not 0.0 <= probability <= 1.0:
        return MISSING
    if probability >= red_from:
        return RED
    return ORANGE if probability >= orange_from else GREEN


@inline
def effective(status, hours, live):  # type: ignore[no-untyped-def]
    """What a status of this age counts as; what is missing is ORANGE in ``live``, and MISSING in research."""
    if status < GREEN or status > RED or not hours >= 0.0:
        return ORANGE if live else MISSING
    if status == GREEN and hours > STALE_HOURS:
        return ORANGE
    return status


def forecast(probability: float, envelope: float, ts: int) -> Forecast:
    """The record of a probability at ``ts`` (ns)."""
    code = int(status_of(float(probability)))
    if code == MISSING:
        raise ValueError(f"no probability: {probability}")
    return Forecast(STATUSES[code], float(probability), float(envelope), ts)
