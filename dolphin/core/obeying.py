"""What a posture does to orders, where the engine is to obey it (ENGINE section 8, RISK section 3)."""

from __future__ import annotations

from dolphin.core.book import clear_terms, copy_order, direction_of
from dolphin.core.grid import round_against
from dolphin.core.hooks import halt_reason, leaves_in_order, obeys_postures, only_where, risk_at, slot_count
from dolphin.core.jit import inline
from dolphin.core.records import (
    CLOSE,
    HIBERNATE,
    INCREASE,
    LIMIT,
    MARKET,
    NONE,
    OPEN,
    REVERSE,
    STALKER,
    TURTLE,
)
from dolphin.core.refusals import POSTURE, is_busy
from dolphin.core.trading import has_expired

#: Bars in which the limit order that a posture makes of a market order may fill.
PATIENCE = 3

#: An exit is orderly where the book's quality is above this.
GOOD_BOOK = 0.5


@inline
def grows(order):  # type: ignore[no-untyped-def]
    """Whether the order opens a position or adds to one."""
    return order.action == OPEN or order.action == INCREASE or order.action == REVERSE


@inline
def wait_at_scan_price(order, market, i):  # type: ignore[no-untyped-def]
    """Make a market order a limit at the scan price, on the tick against us."""
    instrument = market.instruments[order.asset]
    order.kind = LIMIT
    order.limit = round_against(market.price[i, order.asset], direction_of(order), instrument)
    order.expires = PATIENCE


@inline
def halt(state, s, friction):  # type: ignore[no-untyped-def]
    """Nothing is to be held: close the position at the market, take the working order out."""
    slot, intent = state.slots[s], state.intents[s]
    if slot.side == 0:
        state.working[s].action = NONE
        return
    if (intent.action == CLOSE and intent.kind == MARKET) or is_busy(state, s, friction):
        return
    clear_terms(intent)
    intent.action = CLOSE
    intent.asset = slot.asset
    intent.side = slot.side
    intent.reason = halt_reason(state)
    intent.qty = slot.qty
    intent.leverage = slot.leverage


@inline
def leave_in_order(state, s, good_book, market, i):  # type: ignore[no-untyped-def]
    """An orderly exit is a limit first; one that waited long enough, or whose book is bad, takes the market."""
    intent, working = state.intents[s], state.working[s]
    if intent.action == NONE:
        if leaves_in_order(state, working) and working.kind != MARKET and (has_expired(working, i) or not good_book):
            copy_order(working, intent)
            intent.kind = MARKET
            intent.limit = 0.0
            intent.trigger = 0.0
            intent.expires = 0
    elif good_book and intent.kind == MARKET and leaves_in_order(state, intent):
        if not (leaves_in_order(state, working) and working.kind != MARKET):
            wait_at_scan_price(intent, market, i)
        elif not has_expired(working, i):
            intent.action = NONE  # it is on its way; to ask again does not prolong the wait


@only_where(obeys_postures)
def obey(state, friction, market, i):  # type: ignore[no-untyped-def]
    """Bring the intents that were not refused, and the working orders, into line with the posture of the bar."""
    risk = risk_at(state, market, i)
    for s in range(slot_count(state)):
        intent = state.intents[s]
        if risk.posture >= TURTLE:
            if grows(intent):
                intent.action = NONE
                state.refused[s] = POSTURE
            if grows(state.working[s]):
                state.working[s].action = NONE
        if risk.posture == HIBERNATE:
            halt(state, s, friction)
            continue
        if risk.posture == STALKER and intent.kind == MARKET and grows(intent):
            wait_at_scan_price(intent, market, i)
        leave_in_order(state, s, risk.quality > GOOD_BOOK, market, i)
