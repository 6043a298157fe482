"""The step and its loops. One source, compiled once per strategy by :mod:`dolphin.core.engine`.

The engine executes this file with the names below already set, so that the strategy's ``decide``
and its sizes are compile-time constants of every kernel. It is never imported as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dolphin.core.book import apply_fill, clear, copy_order, fill_from_model, mark, mark_flat
from dolphin.core.digest import (
    chain,
    data_word,
    features_word,
    fill_word,
    intent_word,
    risk_word,
    state_word,
)
from dolphin.core.jit import inline
from dolphin.core.records import NONE, State

decide: Callable[..., None]
may_enter: Callable[..., bool]
SKIPS: bool
SLOTS: int
MEMORY: int
FEATURES: int
kernel: Callable[..., Any]

#: Bars that all combinations pass before the next ones are read: they stay in the cache.
BLOCK = 2048


@inline
def begin(state):  # type: ignore[no-untyped-def]
    """Clear what was in flight in the bar before."""
    clear(state.intents, SLOTS)
    clear(state.fills, SLOTS)


@inline
def drop_busy(state):  # type: ignore[no-untyped-def]
    """A slot whose order was filled in this bar takes no new decision before the next bar."""
    for s in range(SLOTS):
        if state.fills[s].action != NONE:
            state.intents[s].action = NONE


@inline
def hold(state):  # type: ignore[no-untyped-def]
    """Keep the intents until the next bar's price (fill timing ``next``)."""
    for s in range(SLOTS):
        copy_order(state.intents[s], state.pending[s])


@inline
def step(state, params, friction, market, i, trades):  # type: ignore[no-untyped-def]
    """One bar: pending fills, decision, fills, marking. The digest is folded by the caller."""
    begin(state)
    if friction.fill_next:
        for s in range(SLOTS):
            if state.pending[s].action != NONE:
                fill_from_model(state, state.pending[s], s, friction, market, i)
                apply_fill(state, s, i, trades)
        decide(state, params, market, i)
        drop_busy(state)
        hold(state)
    else:
        decide(state, params, market, i)
        for s in range(SLOTS):
            if state.intents[s].action != NONE:
                fill_from_model(state, state.intents[s], s, friction, market, i)
                apply_fill(state, s, i, trades)
    mark(state, SLOTS, market, i)


@inline
def idle(state):  # type: ignore[no-untyped-def]
    """Nothing held, nothing waiting to be filled: a bar without a decision changes only bars and days."""
    for s in range(SLOTS):
        if state.slots[s].side != 0 or state.pending[s].action != NONE:
            return False
    account = state.account[0]
    return account.equity == account.capital


@inline
def skip(state, params, market, start, stop):  # type: ignore[no-untyped-def]
    """Pass the bars from ``start`` on at which an idle strategy cannot enter; the bar stopped at."""
    i = start
    while i < stop and not may_enter(params, market, i):
        i += 1
    if i > start:
        begin(state)
        mark_flat(state, market, start, i)
    return i


@inline
def fold(state, market, i):  # type: ignore[no-untyped-def]
    """Chain bar ``i`` to the digest and return the six stage words."""
    data = data_word(state, SLOTS, market, i)
    features = features_word(FEATURES, market, i)
    risk = risk_word(market, i)
    intent = intent_word(state, SLOTS)
    fill = fill_word(state, SLOTS)
    after = state_word(state, SLOTS, MEMORY)
    account = state.account[0]
    account.digest = chain(account.digest, data, features, risk, intent, fill, after)
    return data, features, risk, intent, fill, after


@inline
def exposure(state):  # type: ignore[no-untyped-def]
    """-1, 0 or +1: the side of the first open slot."""
    for s in range(SLOTS):
        if state.slots[s].side != 0:
            return state.slots[s].side
    return 0


@kernel(nogil=True, _nrt=False)
def run_recorded(  # type: ignore[no-untyped-def]
    state, params, friction, market, origin, start, stop, trades, equity, capital, position, digests
):
    """Bars ``start`` to ``stop``, everything recorded; returns the bar it stopped before.

    That is earlier than ``stop`` only when ``trades`` might run full: enlarge it and go on.
    Curves are indexed from ``origin``, the first bar of the whole run.
    """
    for i in range(start, stop):
        if trades.shape[0] - state.account[0].trades < SLOTS:
            return i
        step(state, params[0], friction[0], market, i, trades)
        fold(state, market, i)
        account = state.account[0]
        k = i - origin
        equity[k] = account.equity
        capital[k] = account.capital
        position[k] = exposure(state)
        digests[k] = account.digest
    return stop


@kernel(nogil=True, _nrt=False)
def run_digested(state, params, friction, market, start, stop, trades, digests):  # type: ignore[no-untyped-def]
    """Bars ``start`` to ``stop`` with nothing but the digest per bar, at ``digests[i - start]``."""
    for i in range(start, stop):
        step(state, params[0], friction[0], market, i, trades)
        fold(state, market, i)
        digests[i - start] = state.account[0].digest


@kernel(nogil=True, _nrt=False)
def run_many(states, params, friction, market, start, stop, trades):  # type: ignore[no-untyped-def]
    """All combinations over bars ``start`` to ``stop``, blocks of bars outside, no digest.

    ``states`` has a leading axis of combinations in every field but ``scratch``, ``params`` and
    ``friction`` are (C,). The first row of ``ranking`` serves all combinations. States go on where
    an earlier call left them.
    """
    for low in range(start, stop, BLOCK):
        high = min(low + BLOCK, stop)
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
            i = low
            while i < high:
                if SKIPS and idle(state):
                    i = skip(state, params[c], market, i, high)
                if i < high:
                    step(state, params[c], friction[c], market, i, trades)
                i += 1


@kernel(_nrt=False)
def step_bar(state, params, friction, market, i, trades, stages):  # type: ignore[no-untyped-def]
    """One bar from Python, digest folded; ``stages`` (6,) uint64 receives the stage words."""
    step(state, params[0], friction[0], market, i, trades)
    stages[0], stages[1], stages[2], stages[3], stages[4], stages[5] = fold(state, market, i)


@kernel(_nrt=False)
def decide_bar(state, params, market, i):  # type: ignore[no-untyped-def]
    """The decision alone, for rungs whose fills come from an exchange; see ``state.intents``."""
    decide(state, params[0], market, i)
    drop_busy(state)


@kernel(_nrt=False)
def begin_bar(state):  # type: ignore[no-untyped-def]
    """Open a bar whose fills come from an exchange."""
    begin(state)


@kernel(_nrt=False)
def hold_intents(state):  # type: ignore[no-untyped-def]
    """Fill timing ``next`` with an exchange: the intents become the next bar's orders."""
    hold(state)


@kernel(_nrt=False)
def book_fill(state, s, i, trades):  # type: ignore[no-untyped-def]
    """Book the exchange's fill that was written to ``state.fills[s]``."""
    apply_fill(state, s, i, trades)


@kernel(_nrt=False)
def end_bar(state, market, i, stages):  # type: ignore[no-untyped-def]
    """Mark and fold a bar whose fills came from an exchange."""
    mark(state, SLOTS, market, i)
    stages[0], stages[1], stages[2], stages[3], stages[4], stages[5] = fold(state, market, i)
