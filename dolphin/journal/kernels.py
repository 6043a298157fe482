"""The step with a journal beside it: what a bar did, and the same bar again from what was written down.

Both are made of the step's own blocks (:mod:`dolphin.core.kernels`): recording is the step with looks in between,
replaying takes the fills from the journal where the step asks the fill model.
"""

from __future__ import annotations

import numpy as np

from dolphin.core.book import apply_fill, copy_order, mark
from dolphin.core.capital import weigh
from dolphin.core.hooks import decide, slot_count
from dolphin.core.jit import inline, kernel
from dolphin.core.kernels import fold
from dolphin.core.obeying import obey
from dolphin.core.records import NONE, ORDER
from dolphin.core.refusals import refuse
from dolphin.core.trading import bank_count, begin, lay, liquidate, match_working, pay_funding, trade_now, work_on
from dolphin.journal.schema import CANCELLED, EXPIRED, FILLED, PARTLY_FILLED, REJECTED

#: What became of an order, as it is booked in bar ``at``: the order, and with qty, price and fee a fill of it.
BOOKING = np.dtype(
    [
        ("at", "i8"), ("phase", "i8"), ("slot", "i8"), ("bank", "i8"), ("status", "i8"),
        *((name, ORDER[name]) for name in ORDER.names or ()),
    ],
    align=True,
)  # fmt: skip

#: A wish, with the bar and slot that it is of.
INTENT = -1


@inline
def note(events, n, order, at, phase, slot, bank, status):  # type: ignore[no-untyped-def]
    """Write an event down; the number of events."""
    event = events[n]
    event.at = at
    event.phase = phase
    event.slot = slot
    event.bank = bank
    event.status = status
    copy_order(order, event)
    event.price = order.price
    event.fee = order.fee
    event.passive = order.passive
    return n + 1


@inline
def note_fills(state, before, events, n, i, phase, bank):  # type: ignore[no-untyped-def]
    """The fills of one bank; an order of which something works on, or expired, was filled in part."""
    slots = slot_count(state)
    for s in range(slots):
        fill, working = state.fills[bank * slots + s], state.working[s]
        if fill.action != NONE:
            rest = working.action != NONE and working.bar == fill.bar
            rest = rest or (phase == 0 and bank == 0 and fill.qty < before[s].qty)
            n = note(events, n, fill, i, phase, s, bank, PARTLY_FILLED if rest else FILLED)
    return n


@kernel(_nrt=False)
def record(state, params, friction, market, origin, start, stop, trades, before, events, stages, account):  # type: ignore[no-untyped-def]
    """The step over bars ``start`` to ``stop``, with what it did written down.

    Parameters
    ----------
    before : array of ORDER [S]
        Scratch: the working orders that a bar began with.
    events : array of BOOKING [E]
        Receives intents (status :data:`INTENT`) and what became of orders, in the order in which they happened.
    stages : uint64 [bars, 7]
        Six stage words and the digest, from ``origin`` on; ``account`` float64 [bars, 4] alike.

    Returns
    -------
    bar, n : int
        The bar it stopped before (when ``events`` might run full) and the number of events.
    """
    n, slots = 0, slot_count(state)
    banks = bank_count(state)
    for i in range(start, stop):
        if events.shape[0] - n < 5 * slots:
            return i, n
        begin(state)
        pay_funding(state, market, i)
        for s in range(slots):
            copy_order(state.working[s], before[s])
        match_working(state, friction[0], market, i, trades)
        n = note_fills(state, before, events, n, i, 0, 0)
        for s in range(slots):
            fill = state.fills[s]
            gone = before[s].action != NONE and state.working[s].action == NONE
            if gone and (fill.action == NONE or fill.qty < before[s].qty):
                n = note(events, n, before[s], i, 0, s, 0, EXPIRED)
            copy_order(state.working[s], before[s])
        liquidate(state, friction[0], market, i, trades)
        if banks == 3:
            n = note_fills(state, before, events, n, i, 0, 1)
        for s in range(slots):
            if before[s].action != NONE and state.working[s].action == NONE:
                n = note(events, n, before[s], i, 0, s, 0, CANCELLED)
        weigh(state, market, i)
        decide(state, params[0], market, i)
        refuse(state, friction[0], market, i)
        obey(state, friction[0], market, i)
        for s in range(slots):
            if state.intents[s].action != NONE:
                n = note(events, n, state.intents[s], i, 1, s, 0, INTENT)
        trade_now(state, friction[0], market, i, trades)
        if banks == 3 or friction[0].fill_next == 0:
            n = note_fills(state, before, events, n, i, 1, banks - 1)
        mark(state, slots, market, i)
        k = i - origin
        row = stages[k]
        row[0], row[1], row[2], row[3], row[4], row[5] = fold(state, market, i)
        row[6] = state.account[0].digest
        account[k, 0] = state.account[0].capital
        account[k, 1] = state.account[0].equity
        account[k, 2] = state.account[0].open_positions
        account[k, 3] = state.account[0].bars
    return stop, n


@inline
def book(state, booking, market, i, trades):  # type: ignore[no-untyped-def]
    """Book one event: a fill on its slot, and what is left of the order that works there."""
    s = booking.slot
    working = state.working[s]
    if booking.status == PARTLY_FILLED or booking.status == FILLED:
        f = booking.bank * slot_count(state) + s
        fill = state.fills[f]
        copy_order(booking, fill)
        fill.price = booking.price
        fill.fee = booking.fee
        fill.passive = booking.passive
        apply_fill(state, f, s, market, i, trades)
    if working.action != NONE and working.bar == booking.bar:
        if booking.status == PARTLY_FILLED:
            work_on(state, s, working, booking.qty, market)
        elif (
            booking.status == FILLED
            or booking.status == REJECTED
            or booking.status == CANCELLED
            or booking.status == EXPIRED
        ):
            working.action = NONE


@kernel(_nrt=False)
def replay(  # type: ignore[no-untyped-def]
    state, params, friction, market, origin, start, stop, trades, bookings, booked, funded, stages, digests
):
    """Bars ``start`` to ``stop`` decided again, with the bookings of a journal in place of a fill model.

    Parameters
    ----------
    bookings : array of BOOKING
        In the order of (at, phase), from number ``booked`` on.
    funded : bool
        Whether funding was paid by the rates of the rows.
    stages : uint64 [bars, 6]
        Stage words from ``origin`` on; ``digests`` uint64 [bars] alike.

    Returns
    -------
    booked : int
        The number of the next booking.
    """
    slots = slot_count(state)
    for i in range(start, stop):
        begin(state)
        if funded:
            pay_funding(state, market, i)
        while booked < bookings.shape[0] and bookings[booked].at == i and bookings[booked].phase == 0:
            book(state, bookings[booked], market, i, trades)
            booked += 1
        weigh(state, market, i)
        decide(state, params[0], market, i)
        refuse(state, friction[0], market, i)
        obey(state, friction[0], market, i)
        for s in range(slots):
            lay(state, s, market, i)
        while booked < bookings.shape[0] and bookings[booked].at == i:
            book(state, bookings[booked], market, i, trades)
            booked += 1
        mark(state, slots, market, i)
        row = stages[i - origin]
        row[0], row[1], row[2], row[3], row[4], row[5] = fold(state, market, i)
        digests[i - origin] = state.account[0].digest
    return booked
