"""Which intents the engine refuses, and why: the rules in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dolphin.parity.slow.book import CANCEL, CLOSE, INCREASE, NONE, OPEN, REDUCE, REVERSE, Order, Slot
from dolphin.parity.slow.fills import BRACKET, LIMIT, MARKET, STOP
from dolphin.parity.slow.grid import Instrument

(
    UNDECLARED,
    BUSY,
    NO_POSITION,
    POSITION_OPEN,
    NO_ORDER,
    BAD_ASSET,
    WRONG_POSITION,
    BAD_SIDE,
    BAD_QTY,
    OFF_LOT,
    TOO_MUCH,
    REDUCE_ONLY,
    BELOW_MINIMUM,
    NO_CAPITAL,
    OFF_TICK,
    CROSSES,
    THROUGH,
    BAD_BRACKET,
    POSTURE,
) = range(1, 20)

_ADDS = (OPEN, INCREASE, REVERSE)


def refusal(
    order: Order,
    slot: Slot,
    *,
    works: bool,
    busy: bool,
    capital: float,
    prices: Sequence[float],
    instruments: Sequence[Instrument],
    orders: Sequence[str],
    resize: bool,
) -> int:
    """The code of the first rule that refuses ``order``, 0 if none does.

    ``works``: the slot has a working order. ``busy``: its MARKET order filled in this bar under timing
    ``next``. ``prices`` (N,): the scan prices of the bar. ``orders`` and ``resize``: what is declared.
    """
    if order.action == NONE:
        return 0
    if not _declared(order, orders, resize):
        return UNDECLARED
    if busy:
        return BUSY
    if order.action in (CLOSE, INCREASE, REDUCE, REVERSE) and slot.side == 0:
        return NO_POSITION
    if order.action == OPEN and slot.side != 0:
        return POSITION_OPEN
    if order.action == CANCEL:
        return 0 if works else NO_ORDER
    if order.action == OPEN:
        if not 0 <= order.asset < len(prices) or math.isnan(prices[order.asset]):
            return BAD_ASSET
    elif order.asset != slot.asset or order.side != (-slot.side if order.action == REVERSE else slot.side):
        return WRONG_POSITION
    if order.side not in (-1, 1):
        return BAD_SIDE
    price, instrument = prices[order.asset], instruments[order.asset]
    return _quantity(order, slot, price, instrument, capital) or _prices(order, price, instrument)


def _declared(order: Order, orders: Sequence[str], resize: bool) -> bool:
    needed = {MARKET: (), LIMIT: ("limit",), STOP: ("stop",), BRACKET: ("limit", "stop")}
    if order.action not in (OPEN, CLOSE, INCREASE, REDUCE, REVERSE, CANCEL) or order.kind not in needed:
        return False
    if order.action in (INCREASE, REDUCE, REVERSE) and not resize:
        return False
    return all(kind in orders for kind in needed[order.kind])


def _quantity(order: Order, slot: Slot, price: float, instrument: Instrument, capital: float) -> int:
    if not (math.isfinite(order.qty) and order.qty > 0.0):
        return BAD_QTY
    # From 2^52 lots on halves between whole numbers are no float64 any more: any quantity is on the grid.
    if order.qty / instrument.lot.size < 2.0**52 and not instrument.lot.holds(order.qty):
        return OFF_LOT
    if order.action == CLOSE and order.qty != slot.qty:
        return TOO_MUCH
    if order.action == REDUCE and order.qty >= slot.qty:
        return TOO_MUCH
    if order.action in _ADDS:
        if order.reduce_only:
            return REDUCE_ONLY
        if order.qty * price < instrument.min_notional:
            return BELOW_MINIMUM
        if capital <= 0.0:
            return NO_CAPITAL
    return 0


def _prices(order: Order, price: float, instrument: Instrument) -> int:
    buys = order.direction > 0
    used = []
    if order.kind in (LIMIT, BRACKET):
        used.append(order.limit)
    if order.kind in (STOP, BRACKET):
        used.append(order.trigger)
    if not all(x > 0.0 and instrument.tick.holds(x) for x in used):
        return OFF_TICK
    if order.post_only and order.kind in (LIMIT, BRACKET):
        crosses = price <= order.limit if buys else price >= order.limit
        if crosses:
            return CROSSES
    if order.kind in (STOP, BRACKET):
        through = price >= order.trigger if buys else price <= order.trigger
        if through:
            return THROUGH
    if order.kind == BRACKET:
        apart = order.limit < order.trigger if buys else order.limit > order.trigger
        if not apart:
            return BAD_BRACKET
    return 0
