"""Wishes that cannot be: refused with a code that the strategy can read, never mended in silence (docs/engine.md)."""

from __future__ import annotations

import numpy as np

from dolphin.core.grid import on_lot, on_tick
from dolphin.core.hooks import only_where, resizes, sends_limits, sends_orders, sends_stops, slot_count
from dolphin.core.jit import cold, inline
from dolphin.core.records import (
    BRACKET,
    CANCEL,
    CLOSE,
    INCREASE,
    LIMIT,
    MARKET,
    NONE,
    OPEN,
    REDUCE,
    REVERSE,
    STOP,
)

#: What ``state.refused`` holds, by code.
REFUSALS = (
    "", "UNDECLARED", "BUSY", "NO_POSITION", "POSITION_OPEN", "NO_ORDER", "BAD_ASSET", "WRONG_POSITION", "BAD_SIDE",
    "BAD_QTY", "OFF_LOT", "TOO_MUCH", "REDUCE_ONLY", "BELOW_MINIMUM", "NO_CAPITAL", "OFF_TICK", "CROSSES", "THROUGH",
    "BAD_BRACKET", "POSTURE",
)  # fmt: skip
(
    UNDECLARED, BUSY, NO_POSITION, POSITION_OPEN, NO_ORDER, BAD_ASSET, WRONG_POSITION, BAD_SIDE, BAD_QTY, OFF_LOT,
    TOO_MUCH, REDUCE_ONLY, BELOW_MINIMUM, NO_CAPITAL, OFF_TICK, CROSSES, THROUGH, BAD_BRACKET, POSTURE,
) = range(1, 20)  # fmt: skip


@inline
def undeclared(state, intent):  # type: ignore[no-untyped-def]
    """Whether the strategy asks for what it does not declare, or for what does not exist."""
    action, kind = intent.action, intent.kind
    if action < OPEN or action > CANCEL or kind < MARKET or kind > BRACKET:
        return True
    if action in (INCREASE, REDUCE, REVERSE) and not resizes(state):
        return True
    return ((kind & LIMIT) != 0 and not sends_limits(state)) or ((kind & STOP) != 0 and not sends_stops(state))


@only_where(sends_orders, otherwise=0)
def bad_price(state, intent, direction, market, i):  # type: ignore[no-untyped-def]
    """The code of a limit or trigger that cannot be, or 0."""
    price, instrument = market.price[i, intent.asset], market.instruments[intent.asset]
    kind, limit, trigger = intent.kind, intent.limit, intent.trigger
    if (kind & LIMIT) != 0 and not (limit > 0.0 and limit < np.inf and on_tick(limit, instrument)):
        return OFF_TICK
    if (kind & STOP) != 0 and not (trigger > 0.0 and trigger < np.inf and on_tick(trigger, instrument)):
        return OFF_TICK
    if (kind & LIMIT) != 0 and intent.post_only != 0 and direction * (price - limit) <= 0.0:
        return CROSSES
    if (kind & STOP) != 0 and direction * (price - trigger) >= 0.0:
        return THROUGH
    if kind == BRACKET and direction * (limit - trigger) >= 0.0:
        return BAD_BRACKET
    return 0


@inline
def is_busy(state, s, friction):  # type: ignore[no-untyped-def]
    """Whether slot ``s``'s market order of the bar before filled in this bar."""
    filled = state.fills[s]
    return friction.fill_next != 0 and filled.action != NONE and filled.kind == MARKET


@cold
def refusal(state, s, friction, market, i):  # type: ignore[no-untyped-def]
    """Why the intent of slot ``s`` cannot be, or 0; the first rule that holds."""
    intent, slot, account = state.intents[s], state.slots[s], state.account[0]
    action = intent.action
    if undeclared(state, intent):
        return UNDECLARED
    if is_busy(state, s, friction):
        return BUSY
    if action == CANCEL:
        return 0 if state.working[s].action != NONE else NO_ORDER
    grows = action in (OPEN, INCREASE, REVERSE)
    if action == OPEN:
        if slot.side != 0:
            return POSITION_OPEN
        if not 0 <= intent.asset < market.price.shape[1]:
            return BAD_ASSET
        if not market.price[i, intent.asset] > 0.0:
            return BAD_ASSET
        if intent.side != 1 and intent.side != -1:
            return BAD_SIDE
    else:
        if slot.side == 0:
            return NO_POSITION
        if intent.asset != slot.asset or intent.side != (-slot.side if action == REVERSE else slot.side):
            return WRONG_POSITION
    instrument, price = market.instruments[intent.asset], market.price[i, intent.asset]
    if not (intent.qty > 0.0 and intent.qty < np.inf):
        return BAD_QTY
    # What is held can always be sold: after a fill from outside it need not lie on our grid.
    if not (action == CLOSE and intent.qty == slot.qty) and not on_lot(intent.qty, instrument):
        return OFF_LOT
    if (action == CLOSE and intent.qty != slot.qty) or (action == REDUCE and intent.qty >= slot.qty):
        return TOO_MUCH
    if grows:
        if intent.reduce_only != 0:
            return REDUCE_ONLY
        if intent.qty * price < instrument.min_notional:
            return BELOW_MINIMUM
        if account.capital <= 0.0:
            return NO_CAPITAL
    if intent.kind == MARKET:
        return 0
    return bad_price(state, intent, intent.side if grows else -intent.side, market, i)


@inline
def refuse(state, friction, market, i):  # type: ignore[no-untyped-def]
    """Strike out the intents that cannot be; ``state.refused`` says why."""
    for s in range(slot_count(state)):
        state.refused[s] = 0
        if state.intents[s].action != NONE:
            code = refusal(state, s, friction, market, i)
            if code != 0:
                state.refused[s] = code
                state.intents[s].action = NONE
