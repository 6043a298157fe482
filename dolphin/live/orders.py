"""The engine's orders as Nautilus' own: market, limit and stop, and a bracket as two of which one cancels the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import ContingencyType, OrderSide, TimeInForce, TriggerType
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Price
from nautilus_trader.model.orders import LimitOrder, Order, StopMarketOrder

from dolphin.core.records import CLOSE, LIMIT, REDUCE, STOP, Records
from dolphin.live.answers import order_direction


class OrderWriter:
    """Writes orders; ``instruments`` are by column, ``in_parts`` says that what takes may get less than it wants."""

    def __init__(
        self, factory: OrderFactory, instruments: Sequence[CryptoPerpetual], *, in_parts: bool = False
    ) -> None:  # fmt: skip
        self._factory = factory
        self._instruments = instruments
        #: What takes gets what is there and lets go of the rest, where there may be less than is wanted.
        self._taking = TimeInForce.IOC if in_parts else TimeInForce.GTC
        self._in_parts = in_parts

    def market(self, order: Records, client_id: ClientOrderId | None = None) -> Order:
        """One that fills now."""
        instrument = self._instruments[int(order["asset"])]
        return self._factory.market(
            instrument_id=instrument.id,
            order_side=_side(order),
            quantity=instrument.make_qty(float(order["qty"])),
            time_in_force=self._taking,
            reduce_only=_reduces(order),
            client_order_id=client_id,
        )

    def resting(
        self, order: Records, ts: int, expires_ns: int, ids: list[ClientOrderId] | None = None
    ) -> list[Order]:  # fmt: skip
        """What waits in the market: a limit, a stop, or both, of which one cancels the other.

        ``ts`` is now; ``expires_ns`` the time at which they are gone, 0 for never; ``ids`` one per order.
        """
        kind = int(order["kind"])
        if ids is None:
            ids = [self._factory.generate_client_order_id() for _ in range(2 if kind == LIMIT | STOP else 1)]
        written: list[Order] = []
        if kind & LIMIT:
            written.append(self._limit(order, ids, ts, expires_ns))
        if kind & STOP:
            written.append(self._stop(order, ids, ts, expires_ns))
        return written

    def _limit(self, order: Records, ids: list[Any], ts: int, expires_ns: int) -> Order:
        instrument = self._instruments[int(order["asset"])]
        return LimitOrder(
            price=Price(float(order["limit"]), instrument.price_precision),
            post_only=bool(order["post_only"]),
            **self._common(order, ids, 0, ts, expires_ns),
        )

    def _stop(self, order: Records, ids: list[Any], ts: int, expires_ns: int) -> Order:
        instrument = self._instruments[int(order["asset"])]
        return StopMarketOrder(
            trigger_price=Price(float(order["trigger"]), instrument.price_precision),
            trigger_type=TriggerType.BID_ASK,
            **self._common(order, ids, len(ids) - 1, ts, expires_ns) | self._only_what_is_there(),
        )

    def _only_what_is_there(self) -> dict[str, Any]:
        return {"time_in_force": TimeInForce.IOC, "expire_time_ns": 0} if self._in_parts else {}

    def _common(self, order: Records, ids: list[Any], k: int, ts: int, expires_ns: int) -> dict[str, Any]:
        instrument = self._instruments[int(order["asset"])]
        others = [other for n, other in enumerate(ids) if n != k]
        return {
            "trader_id": self._factory.trader_id,
            "strategy_id": self._factory.strategy_id,
            "instrument_id": instrument.id,
            "client_order_id": ids[k],
            "order_side": _side(order),
            "quantity": instrument.make_qty(float(order["qty"])),
            "init_id": UUID4(),
            "ts_init": ts,
            "time_in_force": TimeInForce.GTD if expires_ns else TimeInForce.GTC,
            "expire_time_ns": expires_ns,
            "reduce_only": _reduces(order),
            "contingency_type": ContingencyType.OCO if others else ContingencyType.NO_CONTINGENCY,
            "linked_order_ids": others or None,
        }


def _side(order: Records) -> OrderSide:
    return OrderSide.BUY if order_direction(order) > 0 else OrderSide.SELL


def _reduces(order: Records) -> bool:
    return int(order["action"]) in (CLOSE, REDUCE)
