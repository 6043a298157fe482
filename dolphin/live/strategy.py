"""The step inside a Nautilus strategy: a scan comes in, orders go out, fills come back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderDenied, OrderFilled, OrderRejected, PositionClosed
from nautilus_trader.model.identifiers import ClientOrderId, PositionId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.trading.strategy import Strategy

from dolphin.core.records import OPEN, Records
from dolphin.live.exchange import QuotesOnDemand
from dolphin.live.scan import SCAN_CLIENT, SCAN_TYPE, Scan, asked_for, layout
from dolphin.live.session import Session, order_direction


class KernelStrategy(Strategy):
    """Decides with a :class:`~dolphin.live.session.Session` and lets the exchange fill.

    Parameters
    ----------
    session : Session
    instruments : sequence of CryptoPerpetual
        By column.
    bar_types : sequence of BarType
        By column where prices come from bars, empty where scans carry them.
    quotes : QuotesOnDemand, optional
        Gives the exchange its market where there are no bars.
    hedging : bool
        Each slot closes the position that it opened; otherwise positions of an instrument net.
    """

    def __init__(
        self,
        session: Session,
        instruments: Sequence[CryptoPerpetual],
        *,
        bar_types: Sequence[BarType] = (),
        quotes: QuotesOnDemand | None = None,
        hedging: bool = False,
    ) -> None:
        super().__init__(StrategyConfig(strategy_id="KERNEL-000"))
        self.session = session
        self.realized: list[float] = []
        self.refusals: list[str] = []
        self._instruments = list(instruments)
        self._decimals = [i.price_precision for i in self._instruments]
        self._bar_types = list(bar_types)
        self._column = {bar_type: j for j, bar_type in enumerate(self._bar_types)}
        self._quotes = quotes
        self._hedging = hedging
        self._slot_of: dict[ClientOrderId, int] = {}
        self._partial: dict[int, tuple[float, float, float]] = {}
        self._position_of: dict[int, PositionId] = {}
        market = session.market
        self._record = layout(market, not self._bar_types)
        self._asked_for = asked_for(market)
        known = session.start - 1
        self._price = market.price[known].copy() if known >= 0 else np.full(len(self._instruments), np.nan)
        self._age = market.age[known].copy() if known >= 0 else np.full(len(self._instruments), -1, np.int32)
        self._came = np.zeros(len(self._instruments), bool)

    def on_start(self) -> None:
        """Subscribe, and quote what is known from before the first bar."""
        for bar_type in self._bar_types:
            self.subscribe_bars(bar_type)
        self.subscribe_data(SCAN_TYPE, client_id=SCAN_CLIENT)
        if self._bar_types and self._quotes is not None:
            for j in np.flatnonzero(~np.isnan(self._price)).tolist():
                self._quotes.quote(self._instruments[j], float(self._price[j]), 0)

    def on_bar(self, bar: Bar) -> None:
        """Remember a close, as the float64 that the catalog holds."""
        j = self._column[bar.bar_type]
        self._price[j] = round(bar.close.as_double(), self._decimals[j])
        self._came[j] = True

    def on_data(self, data: Scan) -> None:
        """One bar: decide, and send what is wanted."""
        row = np.frombuffer(data.row, self._record)[0]
        if self._bar_types:
            # Same as the catalog: 0 where a bar came, one more where none did, -1 before the first.
            self._age += self._age >= 0
            self._age[self._came] = 0
            self._came[:] = False
        else:
            self._price, self._age = row["price"], row["age"]
        session = self.session
        columns = {name: row[name] for name in self._asked_for}
        known = self._price, self._age, row["features"], row["risk"], columns
        for slot in session.open(data.bar, data.ts_event, *known):
            self._send(slot, session.order(slot), data.ts_init)

    def _send(self, slot: int, order: Records, ts: int) -> None:
        asset = int(order["asset"])
        instrument = self._instruments[asset]
        if self._quotes is not None and not self._bar_types:
            self._quotes.quote(instrument, float(self._price[asset]), ts)
        opens = order["action"] == OPEN
        market_order = self.order_factory.market(
            instrument_id=instrument.id,
            order_side=OrderSide.BUY if order_direction(order) > 0 else OrderSide.SELL,
            quantity=instrument.make_qty(float(order["qty"])),
            reduce_only=not opens,
        )
        self._slot_of[market_order.client_order_id] = slot
        position = self._position_of.get(slot) if self._hedging and not opens else None
        self.submit_order(market_order, position_id=position)

    def on_order_filled(self, event: OrderFilled) -> None:
        """Book the fill; an order that comes in parts is booked as one at its average price."""
        slot = self._slot_of[event.client_order_id]
        qty = round(event.last_qty.as_double(), event.last_qty.precision)
        price = round(event.last_px.as_double(), event.last_px.precision)
        commission = event.commission.as_double()
        self._position_of[slot] = event.position_id
        order = self.cache.order(event.client_order_id)
        before = self._partial.pop(slot, None)
        if before is not None:
            total = before[0] + qty
            price = (before[0] * before[1] + qty * price) / total
            qty, commission = total, before[2] + commission
        if order.is_closed:
            del self._slot_of[event.client_order_id]
            self.session.filled(slot, qty, price, commission, event.ts_event)
        else:
            self._partial[slot] = (qty, price, commission)

    def on_order_rejected(self, event: OrderRejected) -> None:
        """The exchange would not have it."""
        self._refuse(event)

    def on_order_denied(self, event: OrderDenied) -> None:
        """Nautilus would not send it."""
        self._refuse(event)

    def _refuse(self, event: OrderDenied | OrderRejected) -> None:
        slot = self._slot_of.pop(event.client_order_id)
        self.refusals.append(f"bar {self.session.bar}, slot {slot}: {event.reason}")
        self.session.refused(slot)

    def on_position_closed(self, event: PositionClosed) -> None:
        """Keep what the position brought, net of commissions."""
        self.realized.append(event.realized_pnl.as_double())
