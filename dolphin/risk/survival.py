"""The survival stack: factors between 0 and 1 whose product caps leverage (RISK section 3).

Rm1 to Rm4 are the market's; Rm5 is the account's and a part of the step (:mod:`dolphin.core.capital`).
"""

from __future__ import annotations

import numpy as np

from dolphin.core.exponential import exp
from dolphin.core.jit import inline
from dolphin.core.records import Floats, Ints
from dolphin.core.units import DAY_NS
from dolphin.freshness import LIMITS
from dolphin.risk.compiling import kernel
from dolphin.risk.forewarner import GREEN, MISSING, ORANGE, STALE_HOURS, effective

HEARTBEAT_SECONDS = 30.0
BOOK_LIMIT_NS = LIMITS["order_book"].dead_after
#: Rm3 of a book that is stale, or missing where there should be one.
STALE_BOOK = 0.5
#: Hourly readings that a spike is measured against, at most and at least.
SPIKE_WINDOW, SPIKE_LEAST = 720, 168
HOUR_NS = DAY_NS // 24


@inline
def rm1(nodes, heartbeat_seconds):  # type: ignore[no-untyped-def]
    """Invariants: 1, or 0 without a store node or with a heartbeat older than 30 s (or of the future)."""
    return 1.0 if nodes >= 1 and 0.0 <= heartbeat_seconds <= HEARTBEAT_SECONDS else 0.0


@inline
def base_of(status):  # type: ignore[no-untyped-def]
    """GREEN 1, ORANGE 0.5, RED 0.1."""
    if status == GREEN:
        return 1.0
    return 0.5 if status == ORANGE else 0.1


@inline
def rm2(status, hours, live):  # type: ignore[no-untyped-def]
    """Structural: what the forewarner says, and what is left of it after ``hours``; 1 where research has none."""
    counts = effective(status, hours, live)
    if counts == MISSING:
        return 1.0
    if status < GREEN or not hours >= 0.0:  # missing in live
        return base_of(counts)
    return min(base_of(counts), base_of(status) * exp(-max(0.0, hours - STALE_HOURS) / 3.0))


@inline
def rm3(depth_quality, fill_prob, age_ns):  # type: ignore[no-untyped-def]
    """Microstructure: 0.3 to 1 by the worse of depth and fill probability; 0.5 where the book is stale or missing."""
    if age_ns < 0 or age_ns > BOOK_LIMIT_NS or depth_quality != depth_quality or fill_prob != fill_prob:
        return STALE_BOOK
    quality = min((depth_quality - 0.3) / 0.4, (fill_prob - 0.3) / 0.2)
    return 0.3 + 0.7 * min(max(quality, 0.0), 1.0)


@inline
def rm4(minutes):  # type: ignore[no-untyped-def]
    """Environmental: 0.3 at a spike of implied volatility, back to 1 with 20 minutes; NaN or infinite: never one."""
    if not 0.0 <= minutes < np.inf:
        return 1.0
    return 0.3 + 0.7 * (1.0 - exp(-minutes / 20.0))


@kernel("void(int64[::1], float64[::1], boolean[::1])")
def spikes_into(hours, readings, out):  # type: ignore[no-untyped-def]
    """Whether each reading lies above mean + 2 sigma of those of the 720 hours before it, 168 of them at least."""
    low = 0
    for k in range(readings.size):
        while hours[low] < hours[k] - SPIKE_WINDOW:
            low += 1
        count = k - low
        out[k] = False
        if count < SPIKE_LEAST:
            continue
        mean = 0.0
        for j in range(low, k):
            mean += readings[j]
        mean /= count
        square = 0.0
        for j in range(low, k):
            square += (readings[j] - mean) * (readings[j] - mean)
        out[k] = readings[k] > mean + 2.0 * np.sqrt(square / count)


def minutes_since_spike(ts: Ints, readings_ts: Ints, readings: Floats) -> Floats:
    """(T,) float64: minutes from the last spike of implied volatility to each bar; infinite before the first.

    Parameters
    ----------
    ts : int64 [T]
        Closes of the bars.
    readings_ts, readings : [R]
        When each reading was public, ascending, and the reading; of each hour the first counts.
    """
    hours = np.asarray(readings_ts, np.int64) // HOUR_NS
    first = np.diff(hours, prepend=-1) > 0
    times = np.asarray(readings_ts, np.int64)[first]
    found = np.zeros(len(times), np.bool_)
    spikes_into(np.ascontiguousarray(hours[first]), np.ascontiguousarray(readings[first], np.float64), found)
    spikes = times[found]
    place = np.searchsorted(spikes, ts, side="right") - 1
    out = np.full(len(ts), np.inf)
    seen = place >= 0
    out[seen] = (ts[seen] - spikes[place[seen]]) / (60.0 * 1e9)
    return out
