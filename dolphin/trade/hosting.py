"""The strategy of a session in a node: limits before orders, the operator's wishes, positions after a restart."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import Callable, Sequence

import numpy as np
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.instruments import CryptoPerpetual

from dolphin.core.records import MARKET, NONE, OPEN, Records
from dolphin.live.exchange import Exchange, SlippedFills
from dolphin.live.node_strategy import NodeStrategy
from dolphin.live.session import Session
from dolphin.live.strategy import KernelStrategy
from dolphin.trade.limits import Guard
from dolphin.trade.marks import Marks


class GuardedStrategy(NodeStrategy):
    """A :class:`~dolphin.live.node_strategy.NodeStrategy` whose orders pass a :class:`~dolphin.trade.limits.Guard`.

    The sandbox exchange forgets everything with its process: what the session holds is bought there again before the
    first scan, at the price at which it was, and what rests is laid again.
    """

    def __init__(
        self, session: Session, instruments: Sequence[CryptoPerpetual], exchange: Exchange, fills: SlippedFills,
        guard: Guard, marks: Marks, *, hedging: bool, prefix: str, on_closed: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(session, instruments, exchange, hedging=hedging, prefix=prefix, on_closed=on_closed)
        self._guard, self._marks, self._fills = guard, marks, fills
        self._restored: dict[ClientOrderId, int] = {}
        self.stopping = False

    async def ready(self) -> None:
        """Started, and the exchange holds what the session holds."""
        await super().ready()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            loop.add_signal_handler(number, self.interrupt)
        session = self.session
        if session.bar >= 0 and ((session.state.slots["side"] != 0).any() or session.resting):
            self._ts = int(session.market.ts[session.bar])
            columns = {name: getattr(session.market, name)[session.bar].copy() for name in self._asked_for}
            self._exchange.begin(session.market.price[session.bar].copy(), columns, self._ts)
            for slot in np.flatnonzero(session.state.slots["side"]).tolist():
                self._actions.append(functools.partial(self._bring_back, slot))
            for slot in session.resting:
                order = session.order(slot).copy()
                self._actions.append(functools.partial(KernelStrategy.rest, self, slot, order))
            while self._actions:
                self._actions.popleft()()
                await self._quiet()
                self._check()
            KernelStrategy._bar_over(self)

    def interrupt(self) -> None:
        """End after the bar at hand; positions stay."""
        self.stopping = True
        if self.session.closed:
            self.stop_node()

    async def done(self, bar: int) -> None:
        """See there; an interrupt ends here."""
        await super().done(bar)
        if self.stopping:
            self.stop_node()
            await asyncio.Event().wait()  # the node cancels who waits here

    def _bring_back(self, slot: int) -> None:
        position = self.session.state.slots[slot]
        order = np.zeros(1, self.session.state.working.dtype)[0]
        order["action"], order["kind"] = OPEN, MARKET
        for name in ("asset", "side", "qty"):
            order[name] = position[name]
        client_id = ClientOrderId(f"{self._prefix}-back-{self.session.bar}-{slot}")
        self._restored[client_id] = slot
        entered = float(position["entry_price"])
        self._fills.exact[client_id.value] = entered
        self._exchange.quote(int(order["asset"]), entered, self._ts, entered)
        self._exchange.fill_whole(client_id.value)
        self.submit_order(self._writer.market(order, client_id))
        self._exchange.flush()

    def on_order_filled(self, event: OrderFilled) -> None:
        """What was brought back is no news."""
        slot = self._restored.get(event.client_order_id)
        if slot is None:
            self._marks.filled(self._slot_of[event.client_order_id])
            super().on_order_filled(event)
        else:
            self._position_of[slot] = event.position_id

    # Before orders go out -----------------------------------------------------------------------------------------

    def send(self, slot: int, order: Records) -> None:
        """A market order, unless a limit stops it."""
        if not self._stopped(slot, order):
            self._marks.sent(slot)
            super().send(slot, order)

    def rest(self, slot: int, order: Records) -> None:
        """An order that waits, unless a limit stops it."""
        if not self._stopped(slot, order):
            super().rest(slot, order)

    def _stopped(self, slot: int, order: Records) -> bool:
        reason = self._guard.stops(self.session, order)
        self._marks.decided(self.session, order, reason)
        if reason is not None:
            self.session.refused(slot, reason)
        return reason is not None

    def _match(self) -> None:
        """Match what rests; where nothing is to be held, close what is."""
        super()._match()
        session, guard = self.session, self._guard
        if guard.wanted.flatten or guard.sees_loss(session):
            working = session.state.working["action"]
            for slot in np.flatnonzero((session.state.slots["side"] != 0) | (working != NONE)).tolist():
                if slot in self._parts:  # filled in this bar: in the next
                    continue
                if not session.close_out(slot):
                    session.take_out(slot)
