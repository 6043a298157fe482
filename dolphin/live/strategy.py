"""The step inside a Nautilus strategy: a scan comes in, orders go out, fills come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.events import (
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    PositionClosed,
)
from nautilus_trader.model.identifiers import ClientOrderId, PositionId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.trading.strategy import Strategy
from numpy.typing import NDArray

from dolphin.core.records import BRACKET, LIMIT, MARKET, Records
from dolphin.live.exchange import Exchange
from dolphin.live.orders import OrderWriter
from dolphin.live.scan import SCAN_CLIENT, SCAN_TYPE, Scan, asked_for, layout
from dolphin.live.session import Session


class Part(NamedTuple):
    """What an order was filled with so far in a bar."""

    qty: float
    price: float
    commission: float
    ts: int
    passive: bool


class KernelStrategy(Strategy):
    """Decides with a :class:`~dolphin.live.session.Session` and lets the exchange fill.

    Parameters
    ----------
    session : Session
        Its orders go out through this strategy.
    instruments : sequence of CryptoPerpetual
        By column.
    exchange : Exchange
        What is to be known of the simulated exchange: quotes, funding.
    bar_types : sequence of BarType
        By column where prices come from bars.
    quoted : bool
        Whether prices come from quotes, one per instrument before a scan; they are in the scans otherwise.
    hedging : bool
        Each slot closes the position that it opened; otherwise positions of an instrument net.
    spacing_ns : int
        Between bars where the grid has no gaps, so that the exchange lets orders expire; 0 where it has, and they are
        cancelled when their bars are over.
    """

    def __init__(
        self,
        session: Session,
        instruments: Sequence[CryptoPerpetual],
        exchange: Exchange,
        *,
        bar_types: Sequence[BarType] = (),
        quoted: bool = False,
        hedging: bool = False,
        spacing_ns: int = 0,
    ) -> None:
        super().__init__(StrategyConfig(strategy_id="KERNEL-000"))
        self.session = session
        session.transport = self
        self.realized: list[float] = []
        self.refusals: list[str] = []
        self._instruments = list(instruments)
        self._decimals = [i.price_precision for i in self._instruments]
        self._bar_types = list(bar_types)
        self._column = {bar_type: j for j, bar_type in enumerate(self._bar_types)}
        self._column_of = {i.id: j for j, i in enumerate(self._instruments)}
        self._own_prices = not (self._bar_types or quoted)
        self._quoted = quoted
        self._exchange = exchange
        self._hedging = hedging
        self._spacing = spacing_ns
        self._ts = 0
        self._slot_of: dict[ClientOrderId, int] = {}
        self._orders_of: dict[int, list[ClientOrderId]] = {}
        self._parts: dict[int, Part] = {}
        self._in_part: list[int] = []
        self._position_of: dict[int, PositionId] = {}
        market = session.market
        self._record = layout(market, self._own_prices)
        self._asked_for = asked_for(market)
        known = session.start - 1
        self._price = market.price[known].copy() if known >= 0 else np.full(len(self._instruments), np.nan)
        self._age: NDArray[np.int32] = (
            market.age[known].copy() if known >= 0 else np.full(len(self._instruments), -1, np.int32)
        )
        self._came = np.zeros(len(self._instruments), bool)

    def on_start(self) -> None:
        """Subscribe, and quote what is known from before the first bar."""
        self._writer = OrderWriter(self.order_factory, self._instruments, in_parts=self._exchange.in_parts)
        for bar_type in self._bar_types:
            self.subscribe_bars(bar_type)
        if self._quoted:
            for instrument in self._instruments:
                self.subscribe_quote_ticks(instrument.id)
        self.subscribe_data(SCAN_TYPE, client_id=SCAN_CLIENT)
        if not self._own_prices:
            for j in np.flatnonzero(~np.isnan(self._price)).tolist():
                self._exchange.quote(j, float(self._price[j]), 0)

    def on_bar(self, bar: Bar) -> None:
        """Remember a close, as the float64 that the catalog holds."""
        self._remember(self._column[bar.bar_type], bar.close.as_double())

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """The same where prices come as quotes."""
        self._remember(self._column_of[tick.instrument_id], tick.bid_price.as_double())

    def _remember(self, j: int, price: float) -> None:
        self._price[j] = round(price, self._decimals[j])
        self._came[j] = True

    def on_data(self, data: Scan) -> None:
        """One bar: match what rests, decide, and send what is wanted."""
        row = np.frombuffer(data.row, self._record)[0]
        if self._own_prices:
            self._price, self._age = row["price"], row["age"]
        else:
            # Same as the catalog: 0 where a bar came, one more where none did, -1 before the first.
            self._age += self._age >= 0
            self._age[self._came] = 0
            self._came[:] = False
        session, exchange = self.session, self._exchange
        self._ts = data.ts_init
        columns = {name: row[name] for name in self._asked_for}
        exchange.begin(self._price, columns, data.ts_init)
        if "funding" in columns:
            exchange.pay_funding(columns["funding"])
        session.open(data.bar, data.ts_event, self._price, self._age, row["features"], row["risk"], columns)
        self._later(self._match)
        self._later(self._matched)
        self._bar_over()

    def _bar_over(self) -> None:
        """Every order of the bar is answered."""
        for slot in self._in_part:
            self._work_on(slot)
        self._in_part.clear()
        if "funding" in self._asked_for:
            self._exchange.remember_positions()

    def _later(self, action: Callable[[], None]) -> None:
        """Do it when what was sent before is answered: here it is."""
        action()

    def _match(self) -> None:
        """Show the bar to the orders that rest."""
        session, resting = self.session, self.session.resting
        if self._own_prices and resting:
            self._exchange.match([session.order(s) for s in resting], self._age)

    def _matched(self) -> None:
        """Report what they were given, and go on."""
        session = self.session
        for slot in session.resting:
            part = self._parts.pop(slot, None)
            if part is not None:
                if self._exchange.in_parts:
                    self._in_part.append(slot)
                session.filled(slot, *part)
        session.matched()

    def _work_on(self, slot: int) -> None:
        """What is left of an order that was filled in part waits for the next bar, beside the market.

        Nautilus keeps what is left of a limit. A stop took what there was and is gone, and so is the other half of a
        bracket: these are laid anew.
        """
        if slot not in self.session.resting:
            return
        order = self.session.order(slot)
        if int(order["bar"]) == self.session.bar:  # a new one has taken its place, and is laid
            return
        if int(order["kind"]) == LIMIT:
            self._exchange.hide(order)
            return
        self.withdraw(slot)
        self._lay_anew(slot, order)

    def _lay_anew(self, slot: int, order: Records) -> None:
        """What is left of an order, which is no new wish."""
        self.rest(slot, order)

    def send(self, slot: int, order: Records) -> None:
        """A market order at this bar's price."""
        called = self.session.is_called(slot)
        self._exchange.show(int(order["asset"]), whole=called)
        ids = self._names(slot, order, 1)
        written = self._writer.market(order, ids[0] if ids else None)
        if called:
            self._exchange.fill_whole(written.client_order_id.value)
        self._submit(slot, written, order)

    def rest(self, slot: int, order: Records) -> None:
        """An order that waits: it is laid beside the market, so that it fills in the next bar at the earliest."""
        self._exchange.hide(order)
        bars = int(order["bar"]) + int(order["expires"]) - self.session.bar
        expires = self._ts + bars * self._spacing + 1 if order["expires"] and self._spacing else 0
        ids = self._names(slot, order, 2 if int(order["kind"]) == BRACKET else 1)
        for written in self._writer.resting(order, self._ts, expires, ids):
            self._submit(slot, written, order)

    def _names(self, slot: int, order: Records, count: int) -> list[ClientOrderId] | None:
        """The ids of a slot's next orders; None for Nautilus' own."""
        return None

    def withdraw(self, slot: int) -> None:
        """Cancel what the slot has in the market."""
        ids = self._orders_of.pop(slot, [])
        for client_id in ids:  # all at once: with one of a bracket's two the exchange cancels the other
            self._slot_of.pop(client_id, None)
        for client_id in ids:
            order = self.cache.order(client_id)
            if order is not None and not order.is_closed:
                self.cancel_order(order)
                self._exchange.flush()

    def _submit(self, slot: int, written, order: Records) -> None:  # type: ignore[no-untyped-def]
        self._slot_of[written.client_order_id] = slot
        if order["kind"] != MARKET:
            self._orders_of.setdefault(slot, []).append(written.client_order_id)
        held = self.session.state.slots["side"][slot] != 0
        position = self._position_of.get(slot) if self._hedging and held else None
        self.submit_order(written, position_id=position)
        self._exchange.flush()

    def on_order_filled(self, event: OrderFilled) -> None:
        """Gather what an order is filled with in a bar; one that was sent is answered when it is done."""
        slot = self._slot_of[event.client_order_id]
        qty = round(event.last_qty.as_double(), event.last_qty.precision)
        price = round(event.last_px.as_double(), event.last_px.precision)
        commission = event.commission.as_double()
        self._position_of[slot] = event.position_id
        before = self._parts.pop(slot, None)
        if before is not None:
            total = round(before.qty + qty, event.last_qty.precision)
            if price != before.price:  # the average of one price is that price, which its float64 would not be
                price = (before.qty * before.price + qty * price) / total
            qty, commission = total, before.commission + commission
        passive = event.liquidity_side == LiquiditySide.MAKER
        self._parts[slot] = Part(qty, price, commission, event.ts_event, passive)
        self._finish(event.client_order_id, slot)

    def _finish(self, client_id: ClientOrderId, slot: int) -> None:
        """Answer for an order that nothing more will come of."""
        order = self.cache.order(client_id)
        if order is None or not order.is_closed:
            return
        del self._slot_of[client_id]
        rests = client_id in self._orders_of.get(slot, ())
        if not rests and slot in self._parts:
            self.session.filled(slot, *self._parts.pop(slot))
        elif not rests:
            self.session.refused(slot)

    def on_order_canceled(self, event: OrderCanceled) -> None:
        """What is left of an order that was to fill at once is not wanted; other cancels are our own."""
        if event.client_order_id in self._slot_of:
            self._finish(event.client_order_id, self._slot_of[event.client_order_id])

    def on_order_expired(self, event: OrderExpired) -> None:
        """Its bars are over: the session knows it by itself."""
        self._slot_of.pop(event.client_order_id, None)

    def on_order_rejected(self, event: OrderRejected) -> None:
        """The exchange would not have it."""
        self._refuse(event)

    def on_order_denied(self, event: OrderDenied) -> None:
        """Nautilus would not send it."""
        self._refuse(event)

    def _refuse(self, event: OrderDenied | OrderRejected) -> None:
        slot = self._slot_of.pop(event.client_order_id)
        if self._exchange.has_nothing(int(self.session.order(slot)["asset"])):
            self.session.unfilled(slot)
            return
        self.refusals.append(f"bar {self.session.bar}, slot {slot}: {event.reason}")
        self.session.refused(slot)

    def on_position_closed(self, event: PositionClosed) -> None:
        """Keep what the position brought, net of commissions."""
        self.realized.append(event.realized_pnl.as_double())
