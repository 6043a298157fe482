"""What strategies ask for, in one line each: intents written whole (docs/engine.md has what each field means).

``ask_...`` says what is wanted of a slot, ``by_...`` after it how it is to be traded (a market order otherwise).
"""

from __future__ import annotations

from dolphin.core.jit import inline
from dolphin.core.records import BRACKET, CANCEL, CLOSE, INCREASE, LIMIT, NONE, OPEN, REDUCE, REVERSE, STOP


@inline
def ask_open(intent, asset, side, qty, leverage):  # type: ignore[no-untyped-def]
    """A position of ``qty`` base units in a slot that is flat."""
    intent.action = OPEN
    intent.reason = 0
    intent.asset = asset
    intent.side = side
    intent.qty = qty
    intent.leverage = leverage


@inline
def ask_of_held(state, s, action, qty, reason):  # type: ignore[no-untyped-def]
    """``action`` on what slot ``s`` holds."""
    slot, intent = state.slots[s], state.intents[s]
    intent.action = action
    intent.reason = reason
    intent.asset = slot.asset
    intent.side = slot.side
    intent.qty = qty
    intent.leverage = slot.leverage


@inline
def ask_close(state, s, reason):  # type: ignore[no-untyped-def]
    """The end of slot ``s``'s position."""
    ask_of_held(state, s, CLOSE, state.slots[s].qty, reason)


@inline
def ask_increase(state, s, qty):  # type: ignore[no-untyped-def]
    """``qty`` more of what slot ``s`` holds."""
    ask_of_held(state, s, INCREASE, qty, 0)


@inline
def ask_reduce(state, s, qty, reason):  # type: ignore[no-untyped-def]
    """``qty`` less of what slot ``s`` holds; less than all of it."""
    ask_of_held(state, s, REDUCE, qty, reason)


@inline
def ask_reverse(state, s, qty, leverage, reason):  # type: ignore[no-untyped-def]
    """A position of ``qty`` on the other side in place of slot ``s``'s."""
    ask_of_held(state, s, REVERSE, qty, reason)
    intent = state.intents[s]
    intent.side = -intent.side
    intent.leverage = leverage


@inline
def ask_cancel(state, s):  # type: ignore[no-untyped-def]
    """The end of slot ``s``'s working order, if it has one."""
    if state.working[s].action != NONE:
        state.intents[s].action = CANCEL


@inline
def ask_out(state, slots, reason):  # type: ignore[no-untyped-def]
    """The end of all positions at the market, and of all working orders, in the first ``slots`` slots."""
    for s in range(slots):
        if state.slots[s].side != 0:
            ask_close(state, s, reason)
        else:
            ask_cancel(state, s)


@inline
def by_limit(intent, limit, expires):  # type: ignore[no-untyped-def]
    """At ``limit`` or better, for ``expires`` bars (0: until cancelled)."""
    intent.kind = LIMIT
    intent.limit = limit
    intent.expires = expires


@inline
def by_stop(intent, trigger, expires):  # type: ignore[no-untyped-def]
    """Once ``trigger`` is reached, for ``expires`` bars (0: until cancelled)."""
    intent.kind = STOP
    intent.trigger = trigger
    intent.expires = expires


@inline
def by_bracket(intent, limit, trigger, expires):  # type: ignore[no-untyped-def]
    """At ``limit`` or once ``trigger`` is reached, whichever is first, for ``expires`` bars (0: until cancelled)."""
    intent.kind = BRACKET
    intent.limit = limit
    intent.trigger = trigger
    intent.expires = expires
