"""The account's own drawdown in the step: Rm5, and what it makes of a bar's risk inputs (RISK section 3).

The peak is of 30 UTC days, today and the 29 before: one high a day, because every combination of a sweep has its own.
A lifetime peak would make TURTLE a state without exit at about 13.8 % drawdown.
"""

from __future__ import annotations

import numpy as np

from dolphin.core.book import LESS
from dolphin.core.exponential import exp
from dolphin.core.hooks import only_where, weighs_drawdown
from dolphin.core.jit import cold, inline
from dolphin.core.posture import HYSTERESIS, check, stands
from dolphin.core.records import APEX, DAY_NS, Records

#: Days that the peak is of.
PEAK_DAYS = 30

#: Rm5's knee, the drawdown that costs nothing, and the two slopes.
KNEE, FREE, STEEP, FLAT = 0.12, 0.05, 50.0, 25.0

#: A share of a peak that is surely no more than FREE: a fall of less needs no division. Not so of peaks that round
#: by more than others.
SURELY_FREE, LEAST_PEAK = FREE * LESS, 1e-290

#: What an account's drawdown is judged by: the UTC day, the peak of 30 days, the equity last seen and its Rm5, then
#: the hysteresis of its posture. That stands last: numba takes a record that begins with another's fields for a
#: subtype of it.
CAPITAL = np.dtype(
    [
        ("day", "i8"),
        ("peak", "f8"),
        ("equity", "f8"),
        ("rm5", "f8"),
        *((name, "i8") for name in HYSTERESIS.names or ()),
    ],
    align=True,
)


def new_capital(shape: int | tuple[int, ...] = 1) -> Records:
    """One CAPITAL, or more, of which nothing is known yet, in APEX; ``highs`` beside it begin at minus infinity."""
    capital = np.zeros(shape, CAPITAL)
    capital["posture"], capital["day"] = APEX, -(2**62)
    capital["peak"], capital["equity"], capital["rm5"] = -np.inf, np.nan, 1.0
    return capital


@inline
def stress(drawdown):  # type: ignore[no-untyped-def]
    """g(d), falling through one half at the knee."""
    slope = STEEP if drawdown < KNEE else FLAT
    return 1.0 / (1.0 + exp(slope * (drawdown - KNEE)))


@cold
def rm5(drawdown):  # type: ignore[no-untyped-def]
    """Capital stress: min(1, g(d) / g(0.05)) of the drawdown (a fraction) from the peak; 1 where it is unknown."""
    if drawdown <= FREE:
        return 1.0
    ratio = stress(drawdown) / stress(FREE)
    return ratio if ratio < 1.0 else 1.0


@inline
def drawdown_of(peak, equity):  # type: ignore[no-untyped-def]
    """The fraction of the peak that is lost; 1 where there never was capital."""
    return (peak - equity) / peak if peak > 0.0 else 1.0


@inline
def high_of(day):  # type: ignore[no-untyped-def]
    """Where the high of a UTC day stands."""
    return day % PEAK_DAYS


@cold
def turn_day(capital, highs, day):  # type: ignore[no-untyped-def]
    """A new day has no high yet, nor have those that were passed over; what is 30 days old is forgotten."""
    for k in range(min(day - capital.day, PEAK_DAYS)):
        highs[high_of(day - k)] = -np.inf
    capital.peak = -np.inf
    for k in range(PEAK_DAYS):
        if highs[k] > capital.peak:
            capital.peak = highs[k]
    capital.day = day


@cold
def judge(capital, invariants, others):  # type: ignore[no-untyped-def]
    """One check that may change something."""
    check(capital, invariants, others)


@inline
def take_in(capital, highs, ts, equity):  # type: ignore[no-untyped-def]
    """Take in an equity of time ``ts``; whether the day or its high is another than before."""
    day = ts // DAY_NS
    if equity == capital.equity and day == capital.day:  # it is in the day's high
        return False
    before, changed = capital.peak, day != capital.day
    if day > capital.day:
        turn_day(capital, highs, day)
    k = high_of(day)
    if equity > highs[k]:
        changed = True
        highs[k] = equity
        if equity > capital.peak:
            capital.peak = equity
    if equity != capital.equity or capital.peak != before:
        capital.equity = equity
        peak = capital.peak
        if peak > LEAST_PEAK and peak - equity <= peak * SURELY_FREE:
            capital.rm5 = 1.0
        else:
            capital.rm5 = rm5(drawdown_of(peak, equity))
    return changed


@inline
def bring_into_force(row, capital, highs, ts, equity, out):  # type: ignore[no-untyped-def]
    """Write to ``out`` what holds at a bar: its risk inputs ``row``, with Rm5 of the ``equity`` before it.

    A posture that a person imposes takes the place of the stack's, while Rm1 is not 0. Returns whether the day, its
    high or the hysteresis is another than before.
    """
    changed = take_in(capital, highs, ts, equity)
    others = row.others * capital.rm5
    if not stands(capital, row.rm1, others):
        judge(capital, row.rm1, others)
        changed = True
    out.boost = row.boost
    out.beta = row.beta
    out.quality = row.quality
    out.rm1 = row.rm1
    out.others = others
    out.imposed = row.imposed
    out.rm = row.rm1 * others
    out.posture = row.imposed - 1 if row.imposed > 0 and row.rm1 > 0.0 else capital.posture
    return changed


@only_where(weighs_drawdown, otherwise=False)
def weigh(state, market, i):  # type: ignore[no-untyped-def]
    """Before the decision: what is in force at bar ``i``, by the equity at the end of the bar before.

    Returns what :func:`bring_into_force` does.
    """
    return bring_into_force(
        market.risk[i], state.stress[0], state.highs, market.ts[i], state.account[0].equity, state.in_force[0]
    )
