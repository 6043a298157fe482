"""Orders as Nautilus' own, as the exchange takes them: market, limit, and a stop that the last price triggers."""

from __future__ import annotations

from typing import Any

from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.model.enums import OrderSide, TriggerType
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Price
from nautilus_trader.model.orders import Order

from dolphin.core.records import CLOSE, REDUCE, Records
from dolphin.live.answers import order_direction


def market_order(factory: OrderFactory, instrument: Instrument, order: Records, client_id: str) -> Order:
    """One that fills now."""
    return factory.market(**_common(instrument, order, client_id))


def limit_order(factory: OrderFactory, instrument: Instrument, order: Records, client_id: str) -> Order:
    """One that waits at its price until it is cancelled."""
    return factory.limit(
        price=Price(float(order["limit"]), instrument.price_precision), post_only=bool(order["post_only"]),
        **_common(instrument, order, client_id),
    )  # fmt: skip


def stop_order(factory: OrderFactory, instrument: Instrument, order: Records, client_id: str) -> Order:
    """One that is a market order as soon as the last price, of which bars are made, reaches its trigger."""
    return factory.stop_market(
        trigger_price=Price(float(order["trigger"]), instrument.price_precision), trigger_type=TriggerType.LAST_PRICE,
        **_common(instrument, order, client_id),
    )  # fmt: skip


def _common(instrument: Instrument, order: Records, client_id: str) -> dict[str, Any]:
    return {
        "instrument_id": instrument.id,
        "order_side": OrderSide.BUY if order_direction(order) > 0 else OrderSide.SELL,
        "quantity": instrument.make_qty(float(order["qty"])),
        "reduce_only": int(order["action"]) in (CLOSE, REDUCE) or bool(order["reduce_only"]),
        "client_order_id": ClientOrderId(client_id),
    }
