"""A position whose stop the exchange did not take: what it was to protect is closed at the market, within the bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dolphin.core.records import MARKET
from dolphin.live.answers import Answer, Late
from dolphin.live.binance.market_desk import order_id
from dolphin.live.binance.outcomes import code_of, words_of
from dolphin.live.binance.resting import Resting, protects

if TYPE_CHECKING:
    from dolphin.live.binance.trader import LiveTrader

#: The bar of an order that no wish is behind.
NO_BAR = -1


def closing_id(prefix: str, bar: int, slot: int) -> str:
    """The client order id of the market order that takes the place of a stop."""
    return order_id(prefix, bar, slot) + "p"


async def end_unprotected(trader: LiveTrader, one: Resting, why: str) -> None:
    """Close what a refused stop was to protect, and book it behind the decision; nothing for any other order.

    In a row that is decided again after a kill an order that never came is one that was not sent: the strategy lays
    it again in the next row, and only a closing that went out before the kill is asked about.
    """
    session, slot = trader.session, one.slot
    client_id = closing_id(trader.prefix, session.bar, slot)
    again = trader.sent_before is not None and client_id not in trader.sent_before
    if again or not protects(one.order) or one.left <= 0:
        return
    why = why if code_of(why) is None else words_of(why)
    order = one.order.copy()
    for name, value in (("kind", MARKET), ("bar", NO_BAR), ("expires", 0), ("qty", float(one.left))):
        order[name] = value
    stopped = trader.house.stops(session, order)
    if stopped is not None:
        trader.house.unprotected(one.symbol, why, stopped)
        return
    outcome = await trader.market.close(slot, order, client_id)
    filled = outcome.filled
    if filled.qty:
        ids = {"client_id": client_id, "trade_id": ",".join(sorted(outcome.parts))}
        answer = Answer(filled.qty, filled.price, filled.commission, filled.ts, filled.passive, ids)
        session.late(Late(slot, order, answer))
    whole = sum(part.qty for part in outcome.parts.values()) >= one.left
    trader.house.unprotected(one.symbol, why, "" if whole else outcome.why)
