"""Books brought to what an operator says, and what one account in one-way mode cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from dolphin.catalog import Instrument
from dolphin.core.records import CLOSE, REDUCE, Records
from dolphin.live.answers import Given, order_direction
from dolphin.live.feed import Row
from dolphin.live.session import Session

ZERO = Decimal(0)


def differences(
    session: Session, instruments: Sequence[Instrument], wanted: Mapping[str, Decimal],
    prices: Mapping[str, Sequence[str]], row: Row, say: Callable[[str], None],
) -> tuple[Given, ...]:  # fmt: skip
    """What is to be booked so that each symbol's position is the one that is ``wanted``.

    A symbol takes the first slot that holds it, another the first slot that is free. Several slots of one symbol are
    brought together in the first. Without a price the row's counts.
    """
    slots, found, taken = session.state.slots, [], set()
    for asset, one in enumerate(instruments):
        mine = [s for s in range(len(slots)) if slots[s]["side"] and int(slots[s]["asset"]) == asset]
        ours = sum((_amount(slots[s], one) for s in mine), ZERO)
        change = wanted.get(one.symbol, ZERO) - ours
        if not change:
            continue
        free = [s for s in range(len(slots)) if not slots[s]["side"] and s not in taken]
        if not mine and not free:
            say(f"not adopted: {one.symbol}, every slot of the strategy is taken")
            return ()
        slot = mine[0] if mine else free[0]
        taken.add(slot)
        price, fee = prices.get(one.symbol, ("0", "0"))
        at = float(price) or float(row.price[asset])
        direction = 1 if change > 0 else -1
        say(f"adopted: {one.symbol} {ours.normalize():f} becomes {(ours + change).normalize():f} at {at:g}")
        found.append(Given(slot, asset, direction, float(abs(change)), at, float(fee), f"adopted-{row.bar}-{slot}"))
    return tuple(found)


def opposed(session: Session, order: Records, symbols: Sequence[str]) -> str | None:
    """Why an account in one-way mode cannot carry the order: another slot holds its symbol the other way."""
    slots = session.state.slots
    if len(slots) == 1 or int(order["action"]) in (CLOSE, REDUCE):
        return None
    against: Any = (slots["asset"] == order["asset"]) & (slots["side"] == -order_direction(order))
    if not np.any(against):
        return None
    return f"{symbols[int(order['asset'])]} is held the other way, and the account is in one-way mode"


def _amount(slot: Records, instrument: Instrument) -> Decimal:
    return round(Decimal(float(slot["qty"])), instrument.lot_exp) * int(slot["side"])
