"""The adaptive circuit breaker: stress points of nine external factors, boost, beta, adverse turn (RISK section 1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dolphin.core.jit import inline
from dolphin.core.logarithm import ln
from dolphin.core.records import DAY_NS, Floats, Ints, Words
from dolphin.risk.factors import limit_ns
from dolphin.risk.rules import FACTORS, GRADES, RiskRules

#: A fall of the boost between two bars beyond this is an adverse turn.
TURN_DROP = 0.2
#: Book quality above which the way out of an adverse turn is orderly.
ORDERLY_QUALITY = 0.5
#: What a bar's turn asks for.
NO_TURN, ORDERLY, DURESS = 0, 1, 2
LINE, SWITCH = 0, 1
MANY = len(FACTORS)


class Breaker(NamedTuple):
    """The rules as the kernel reads them, factors in the order of :data:`~dolphin.risk.rules.FACTORS`.

    ``limit_ns`` (9,) uint64; ``required`` (9,) int64; ``sign`` (9,) float64 is +1 where stress lies above the levels,
    -1 below (levels are times it); ``level`` (GRADES, 9) float64, infinite for a grade that there is not.
    """

    limit_ns: Words
    required: Ints
    sign: Floats
    level: Floats


def breaker_of(rules: RiskRules) -> Breaker:
    """The breaker of these rules."""
    sign, level = np.ones(len(FACTORS)), np.full((GRADES, len(FACTORS)), np.inf)
    for k, name in enumerate(FACTORS):
        stress = rules.stress[name]
        sign[k] = 1.0 if stress.side == "above" else -1.0
        if name in rules.required:
            level[: len(stress.levels), k] = sign[k] * np.array(stress.levels)
    limits = np.array([limit_ns(name) for name in FACTORS], np.uint64)
    return Breaker(limits, np.array([int(name in rules.required) for name in FACTORS]), sign, level)


@inline
def signals_of(breaker, values, ages, i):  # type: ignore[no-untyped-def]
    """The sum of graded stress points at bar ``i``, or -1 where the breaker is not ready.

    ``values`` (T, 9) float64, NaN where missing; ``ages`` (T, 9) int64 ns since publication.
    """
    # Sums of conditions and no branches: factors are as good as random to a branch predictor. An age of the future
    # is a very large one without its sign.
    missing, halves = 0, 0
    for k in range(MANY):
        value = values[i, k]
        missing += breaker.required[k] * (int(value != value) + int(np.uint64(ages[i, k]) > breaker.limit_ns[k]))
    for g in range(GRADES):
        for k in range(MANY):
            halves += int(breaker.sign[k] * values[i, k] >= breaker.level[g, k])
    return 0.5 * halves if missing == 0 else -1.0


@inline
def boost_of(signals):  # type: ignore[no-untyped-def]
    """1 + 0.5 ln(1 + max(signals, 0))."""
    return 1.0 + 0.5 * ln(1.0 + max(signals, 0.0))


@inline
def beta_line(boost):  # type: ignore[no-untyped-def]
    """Mode ``line``: clip(0.5 + 0.6548 (boost - 1), 0, 1)."""
    return min(max(0.5 + 0.6548 * (boost - 1.0), 0.0), 1.0)


@inline
def beta_switch(velocity, p60, low, high):  # type: ignore[no-untyped-def]
    """Mode ``w750_switch``: the high level while the 750-window velocity is above the day's ``acb_p60``."""
    return high if velocity > p60 else low  # NaN compares false


@inline
def leverage_multiplier(boost, beta):  # type: ignore[no-untyped-def]
    """What signal leverage is multiplied by."""
    return 1.0 + beta * (boost - 1.0)


@inline
def turn_of(before, boost, quality):  # type: ignore[no-untyped-def]
    """Whether the boost has fallen by more than 0.2, and how to leave: ``quality`` of the book, NaN unknown."""
    if not before - boost > TURN_DROP:
        return NO_TURN
    return ORDERLY if quality > ORDERLY_QUALITY else DURESS


def acb_p60(ts: Ints, velocity: Floats) -> Floats:
    """(T,) float64: of each bar, the 60th percentile of the 750-window velocity on the UTC day before.

    A day knows the percentile from its first bar on; NaN where the day before has no velocity. This is not
    ``vol_p60``, the volatility gate.
    """
    out = np.full(len(ts), np.nan)
    day = ts // DAY_NS
    starts = np.flatnonzero(np.diff(day, prepend=day[:1] - 1))
    stops = np.append(starts[1:], len(ts))
    for before in range(len(starts) - 1):
        low, high = starts[before], stops[before]
        if day[starts[before + 1]] != day[low] + 1:
            continue
        known = np.sort(velocity[low:high][~np.isnan(velocity[low:high])])
        if len(known):  # the value at rank ceil(0.6 n): no interpolation, no rounding
            out[starts[before + 1] : stops[before + 1]] = known[-(-6 * len(known) // 10) - 1]
    return out
