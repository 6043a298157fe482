"""One bar's orders: working ones matched, margin watched, new ones filled or laid out (ENGINE section 8)."""

from __future__ import annotations

from dolphin.core.book import apply_fill, clear, clear_terms, copy_order, direction_of, open_pnl
from dolphin.core.grid import lots_of, of_lots
from dolphin.core.hooks import (
    is_plain,
    is_rich,
    leaves_in_order,
    liquidation_reason,
    match,
    only_where,
    pays_funding,
    slot_count,
    watches_margin,
)
from dolphin.core.jit import cold, inline
from dolphin.core.records import CANCEL, CLOSE, INCREASE, MARKET, NONE, OPEN, REVERSE
from dolphin.core.taking import taken_at


@inline
def bank_count(state):  # type: ignore[no-untyped-def]
    """Fills that a slot can have in a bar."""
    return 1 if is_plain(state) else 3


@only_where(is_rich)
def forget_terms(state, slots):  # type: ignore[no-untyped-def]
    """Clear what the intents of the bar before said: what a strategy does not write is 0."""
    for s in range(slots):
        clear_terms(state.intents[s])


@inline
def begin(state):  # type: ignore[no-untyped-def]
    """Clear what was in flight in the bar before."""
    slots = slot_count(state)
    clear(state.intents, slots)
    forget_terms(state, slots)
    clear(state.fills, bank_count(state) * slots)


@only_where(pays_funding)
def pay_funding(state, market, i):  # type: ignore[no-untyped-def]
    """Funding on what was held when the bar began, where its row has a rate."""
    account = state.account[0]
    if account.open_positions == 0:
        return
    for s in range(slot_count(state)):
        slot = state.slots[s]
        if slot.side != 0:
            rate = market.funding[i, slot.asset]
            if rate == rate and rate != 0.0:
                payment = -(slot.side * slot.qty * market.price[i, slot.asset] * rate)
                account.capital += payment
                account.funding += payment
                slot.funding += payment
                slot.realised += payment


@cold
def fill_order(state, order, f, s, friction, market, i, trades):  # type: ignore[no-untyped-def]
    """Ask the fill model for ``order`` of slot ``s`` and book what it gives as fill ``f``; what was filled."""
    direction = direction_of(order)
    qty, price, passive = match(order, direction, friction, market, i)
    if qty > 0.0:
        fill = state.fills[f]
        copy_order(order, fill)
        fill.qty = qty
        fill.price = price
        fill.passive = 1 if passive else 0
        fill.fee = (friction.maker_fee if passive else friction.fee) * (qty * price)
        apply_fill(state, f, s, market, i, trades)
    return qty


@only_where(is_rich)
def work_on(state, s, order, filled, market):  # type: ignore[no-untyped-def]
    """After a part of ``order`` was filled: its rest is the slot's working order."""
    instrument = market.instruments[order.asset]
    rest = of_lots(lots_of(order.qty, instrument) - lots_of(filled, instrument), instrument)
    working = state.working[s]
    copy_order(order, working)
    working.qty = rest
    if order.action == OPEN:
        working.action = INCREASE


@inline
def has_expired(order, i):  # type: ignore[no-untyped-def]
    """Whether bar ``i`` was the last in which the order could fill."""
    return order.kind != MARKET and order.expires > 0 and i >= order.bar + order.expires


@inline
def match_working(state, friction, market, i, trades):  # type: ignore[no-untyped-def]
    """Match the orders of earlier bars against row ``i``, slot by slot; then those that expired go."""
    if is_plain(state) and friction.fill_next == 0:
        return
    for s in range(slot_count(state)):
        order = state.working[s]
        if order.action == NONE:
            continue
        if order.kind == MARKET or market.age[i, order.asset] == 0:
            filled = fill_order(state, order, s, s, friction, market, i, trades)
            if filled >= order.qty:
                order.action = NONE
                continue
            if filled > 0.0:
                work_on(state, s, order, filled, market)
    expire(state, i)


@only_where(is_rich)
def expire(state, i):  # type: ignore[no-untyped-def]
    """Take out the working orders whose last bar was ``i``.

    An orderly exit that did not fill is not given up: the posture's rules make it a market order in this bar.
    """
    for s in range(slot_count(state)):
        order = state.working[s]
        if order.action != NONE and has_expired(order, i) and not leaves_in_order(state, order):
            order.action = NONE


@only_where(watches_margin, otherwise=False)
def is_called(state, friction, market, i):  # type: ignore[no-untyped-def]
    """Whether equity no longer covers the maintenance margin of all positions."""
    if state.account[0].open_positions == 0 or friction.maintenance <= 0.0:
        return False
    slots = slot_count(state)
    need = 0.0
    for s in range(slots):
        slot = state.slots[s]
        if slot.side != 0:
            need += friction.maintenance * (slot.qty * market.price[i, slot.asset])
    return open_pnl(state, slots, market, i) <= need


@only_where(watches_margin)
def write_liquidation(state):  # type: ignore[no-untyped-def]
    """No order works on, and the second bank of fills says what is to be closed at the market."""
    slots = slot_count(state)
    for s in range(slots):
        slot = state.slots[s]
        state.working[s].action = NONE
        if slot.side != 0:
            fill = state.fills[slots + s]
            clear_terms(fill)
            fill.action = CLOSE
            fill.asset = slot.asset
            fill.side = slot.side
            fill.reason = liquidation_reason(state)
            fill.qty = slot.qty
            fill.leverage = slot.leverage


@only_where(watches_margin)
def liquidate(state, friction, market, i, trades):  # type: ignore[no-untyped-def]
    """Close everything when equity no longer covers the maintenance margin of all positions."""
    if not is_called(state, friction, market, i):
        return
    write_liquidation(state)
    slots = slot_count(state)
    for s in range(slots):
        slot = state.slots[s]
        if slot.side != 0:
            fill = state.fills[slots + s]
            fill.price = taken_at(market.price[i, slot.asset], -slot.side, slot.asset, friction, market, i)
            fill.fee = friction.fee * (fill.qty * fill.price)
            fill.passive = 0
            apply_fill(state, slots + s, s, market, i, trades)


@inline
def trade_now(state, friction, market, i, trades):  # type: ignore[no-untyped-def]
    """Fill new market orders at this bar's price, lay the others into the market, take cancelled ones out."""
    slots = slot_count(state)
    bank = (bank_count(state) - 1) * slots
    for s in range(slots):
        intent = state.intents[s]
        if intent.action != NONE:
            lay(state, s, market, i)
            if intent.action != CANCEL and intent.kind == MARKET and friction.fill_next == 0:
                order = state.working[s]
                filled = fill_order(state, order, bank + s, s, friction, market, i, trades)
                if filled >= order.qty:
                    order.action = NONE
                elif filled > 0.0:
                    work_on(state, s, order, filled, market)


@cold
def lay(state, s, market, i):  # type: ignore[no-untyped-def]
    """Make the intent of slot ``s`` its working order, in place of the one before; or cancel that."""
    intent, working, slot = state.intents[s], state.working[s], state.slots[s]
    if intent.action == NONE:
        return
    if intent.action == CANCEL:
        working.action = NONE
        return
    copy_order(intent, working)
    working.bar = i
    if intent.action == REVERSE:  # it trades what is held, too
        instrument = market.instruments[slot.asset]
        working.qty = of_lots(lots_of(slot.qty, instrument) + lots_of(intent.qty, instrument), instrument)
