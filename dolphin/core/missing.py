"""Entries that are missed, under stress: a signal to open a slot is taken or not, for as long as it lasts."""

from __future__ import annotations

import numpy as np

from dolphin.core.jit import hook
from dolphin.core.records import NONE, OPEN
from dolphin.core.taking import word

#: What became of a signal: there is none, it was taken, it is being missed.
QUIET, TAKEN, MISSED = 0, 1, 2

_S11 = np.uint64(11)
_TO_ONE = 2.0**-53


def miss_entries(state, friction, slots, i):  # type: ignore[no-untyped-def]
    """Drop the wish to open of a signal that is missed; it stays so until the wish is gone."""
    raise NotImplementedError


@hook(miss_entries)
def _miss_entries(state, friction, slots, i):  # type: ignore[no-untyped-def]
    if "missed" not in friction.fields:
        return lambda state, friction, slots, i: None

    def disturbed(state, friction, slots, i):  # type: ignore[no-untyped-def]
        for s in range(slots):
            intent = state.intents[s]
            if intent.action != OPEN:
                state.signals[s] = QUIET
                continue
            if state.signals[s] == QUIET:
                drawn = np.float64(word(friction.seed, i, -1 - s) >> _S11) * _TO_ONE
                state.signals[s] = MISSED if drawn < friction.missed else TAKEN
            if state.signals[s] == MISSED:
                intent.action = NONE

    return disturbed


def is_disturbed(friction):  # type: ignore[no-untyped-def]
    """Whether every bar must be seen, because a signal ends where there is no wish."""
    raise NotImplementedError


@hook(is_disturbed)
def _is_disturbed(friction):  # type: ignore[no-untyped-def]
    disturbed = "missed" in friction.fields
    return lambda friction: disturbed
