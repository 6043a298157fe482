"""Postures from Rm: thresholds, hysteresis, trips and their release (RISK section 3)."""

from __future__ import annotations

import numpy as np

from dolphin.core.jit import inline, kernel
from dolphin.core.records import APEX, HIBERNATE, STALKER, TURTLE, Floats, Ints, Records

APEX_FROM, STALKER_FROM, TURTLE_FROM = 0.85, 0.40, 0.10
TOLERANCE = 1e-12
#: Checks in a row that a downgrade, an upgrade and the release of a trip take.
DOWN, UP, RELEASE = 2, 5, 2

#: What the hysteresis remembers. ``worse``, ``better``: checks in a row below or above the posture, with the best
#: (worst) of them. ``tripped``: 1 by the invariants alone, 2 otherwise; ``before``: the posture before the trip.
HYSTERESIS = np.dtype(
    [
        ("posture", "i8"),
        ("worse", "i8"),
        ("worse_best", "i8"),
        ("better", "i8"),
        ("better_worst", "i8"),
        ("tripped", "i8"),
        ("before", "i8"),
        ("good", "i8"),
        ("good_best", "i8"),
    ],
    align=True,
)
BY_INVARIANTS, BY_RISK = 1, 2


def new_hysteresis(posture: int = APEX) -> Records:
    """One HYSTERESIS in this posture."""
    state = np.zeros(1, HYSTERESIS)
    state["posture"] = posture
    return state


@inline
def posture_of(rm):  # type: ignore[no-untyped-def]
    """The posture that a single Rm asks for; what is no number asks for the last."""
    if rm >= APEX_FROM - TOLERANCE:
        return APEX
    if rm >= STALKER_FROM - TOLERANCE:
        return STALKER
    return TURTLE if rm >= TURTLE_FROM - TOLERANCE else HIBERNATE


@inline
def check(state, invariants, others):  # type: ignore[no-untyped-def]
    """One check: Rm1 and the product of the other factors; returns the posture in force."""
    asked = posture_of(invariants * others)
    if not invariants * others > 0.0:
        _trip(state, others > 0.0)
    elif state.tripped == BY_INVARIANTS:
        _recover(state, asked)
    else:
        state.tripped = 0
        _drift(state, asked)
    return state.posture


@inline
def stands(state, invariants, others):  # type: ignore[no-untyped-def]
    """Whether :func:`check` would change nothing: nothing is counted, and what is asked for is in force."""
    rm = invariants * others
    return (state.worse | state.better | state.tripped) == 0 and rm > 0.0 and posture_of(rm) == state.posture


@inline
def _trip(state, alone):  # type: ignore[no-untyped-def]
    """Down at once; a trip by the invariants alone remembers from where."""
    if state.tripped == 0:
        state.before = state.posture
        state.tripped = BY_INVARIANTS if alone else BY_RISK
    elif not alone:
        state.tripped = BY_RISK
    state.posture = HIBERNATE
    state.good = 0
    state.worse = 0
    state.better = 0


@inline
def _recover(state, asked):  # type: ignore[no-untyped-def]
    """Two good checks release to the posture before; if both ask for a worse one, to the better of what they ask."""
    state.good_best = asked if state.good == 0 else min(state.good_best, asked)
    state.good += 1
    if state.good >= RELEASE:
        state.posture = max(state.before, state.good_best)
        state.tripped = 0
        state.good = 0


@inline
def _drift(state, asked):  # type: ignore[no-untyped-def]
    """Down after 2 checks in a row to the better of the two, up after 5 to the worst of the five."""
    if asked > state.posture:
        state.better = 0
        state.worse_best = asked if state.worse == 0 else min(state.worse_best, asked)
        state.worse += 1
        if state.worse >= DOWN:
            state.posture = state.worse_best
            state.worse = 0
    elif asked < state.posture:
        state.worse = 0
        state.better_worst = asked if state.better == 0 else max(state.better_worst, asked)
        state.better += 1
        if state.better >= UP:
            state.posture = state.better_worst
            state.better = 0
    else:
        state.worse = 0
        state.better = 0


@kernel(nogil=True)
def postures_into(state, invariants, others, out):  # type: ignore[no-untyped-def]
    """Run the checks one after the other."""
    for i in range(out.size):
        out[i] = check(state[0], invariants[i], others[i])


def postures(state: Records, invariants: Floats, others: Floats) -> Ints:
    """(T,) int64 posture codes after each check; ``state`` (one HYSTERESIS) goes on from where it stands."""
    out = np.empty(len(others), np.int64)
    postures_into(state, np.ascontiguousarray(invariants, np.float64), np.ascontiguousarray(others, np.float64), out)
    return out
