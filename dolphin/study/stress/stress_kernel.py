"""The bars of a run with its fills disturbed and some of its entries missed, compiled once per strategy.

:mod:`dolphin.study.stress.disturbed` executes this file with the names below already set, so that the strategy's
``decide`` and its sizes are compile-time constants. It is never imported as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dolphin.core.book import apply_fill, copy_order, mark, slipped
from dolphin.core.jit import inline
from dolphin.core.records import NONE, OPEN, State

decide: Callable[..., None]
begin: Callable[..., None]
drop_busy: Callable[..., None]
hold: Callable[..., None]
SLOTS: int
kernel: Callable[..., Any]

#: What became of a signal: there is none, it was taken, it is being missed.
QUIET, TAKEN, MISSED = 0, 1, 2

_BAR, _COLUMN = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S16, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(16), np.uint64(11)
_LOW = np.uint64(0xFFFF)
_TO_ONE = 2.0**-53
_DEVIATION = 3.0**0.5 / 65536.0


@inline
def word(seed, i, j):  # type: ignore[no-untyped-def]
    """64 random bits of bar ``i`` and column ``j`` (splitmix64 of a counter): no draw depends on another."""
    z = seed + np.uint64(i) * _BAR + np.uint64(j) * _COLUMN
    z = (z ^ (z >> _S30)) * _FIRST
    z = (z ^ (z >> _S27)) * _SECOND
    return z ^ (z >> _S31)


@inline
def bell(bits):  # type: ignore[no-untyped-def]
    """Nearly normal with mean 0 and deviation 1: the sum of four 16-bit fields, at most 3.46 away."""
    total = np.float64(bits & _LOW) + np.float64((bits >> _S16) & _LOW)
    bits = bits >> _S16 >> _S16
    total += np.float64(bits & _LOW) + np.float64((bits >> _S16) & _LOW)
    return (total - 131070.0) * _DEVIATION


@inline
def fill_disturbed(state, order, s, friction, market, i, seed, noise):  # type: ignore[no-untyped-def]
    """Fill ``order`` as the fill model does, at a price that the noise has moved."""
    fill = state.fills[s]
    copy_order(order, fill)
    direction = order.side if order.action == OPEN else -order.side
    price = market.price[i, order.asset]
    if noise > 0.0:
        price = price * (1.0 + noise * bell(word(seed, i, order.asset)))
    fill.price = slipped(price, direction, friction.slippage, market.instruments[order.asset])
    fill.fee = friction.fee * (order.qty * fill.price)


@inline
def miss_entries(state, signals, i, seed, share):  # type: ignore[no-untyped-def]
    """Drop the wish to open of a signal that is missed; it stays so until the wish is gone."""
    for s in range(SLOTS):
        intent = state.intents[s]
        if intent.action != OPEN:
            signals[s] = QUIET
            continue
        if signals[s] == QUIET:
            drawn = np.float64(word(seed, i, -1 - s) >> _S11) * _TO_ONE
            signals[s] = MISSED if drawn < share else TAKEN
        if signals[s] == MISSED:
            intent.action = NONE


@kernel(nogil=True, _nrt=False)
def run_disturbed(  # type: ignore[no-untyped-def]
    states, params, friction, market, seeds, noise, missed, signals, start, stop, trades
):
    """All combinations over bars ``start`` to ``stop``, no digest; see :func:`dolphin.core.engine.Engine.run_many`.

    ``seeds`` (C,) uint64, ``noise`` (C,) fractions of the price, ``missed`` (C,) probabilities,
    ``signals`` (C, S) int64, zero.
    """
    for c in range(params.shape[0]):
        state = State(
            states.account[c],
            states.slots[c],
            states.intents[c],
            states.pending[c],
            states.fills[c],
            states.exits[c],
            states.day_ends[c],
            states.memory[c],
            states.ranking[0],
            states.scratch,
        )
        seed = seeds[c]
        for i in range(start, stop):
            begin(state)
            if friction[c].fill_next:
                for s in range(SLOTS):
                    if state.pending[s].action != NONE:
                        fill_disturbed(state, state.pending[s], s, friction[c], market, i, seed, noise[c])
                        apply_fill(state, s, i, trades)
                decide(state, params[c], market, i)
                drop_busy(state)
                miss_entries(state, signals[c], i, seed, missed[c])
                hold(state)
            else:
                decide(state, params[c], market, i)
                miss_entries(state, signals[c], i, seed, missed[c])
                for s in range(SLOTS):
                    if state.intents[s].action != NONE:
                        fill_disturbed(state, state.intents[s], s, friction[c], market, i, seed, noise[c])
                        apply_fill(state, s, i, trades)
            mark(state, SLOTS, market, i)
