"""The kernel strategy inside a TradingNode, where orders and their events travel on queues.

In a backtest an order is answered before the call that sent it returns. In a node it is not, so what a bar does is cut
into actions, and each waits until the queues have carried everything of the one before. The order of events is then the
backtest's.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from nautilus_trader.model.enums import OrderStatus, OrderType
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.instruments import CryptoPerpetual

from dolphin.core.records import Records
from dolphin.live.exchange import Exchange
from dolphin.live.session import Session
from dolphin.live.strategy import KernelStrategy

#: Turns of the event loop that must find all queues empty.
TURNS = 3

#: Of an order that nothing more will come of, when all queues are empty.
UNANSWERED = (OrderStatus.SUBMITTED, OrderStatus.PARTIALLY_FILLED)


class NodeStrategy(KernelStrategy):
    """A :class:`~dolphin.live.strategy.KernelStrategy` for a node.

    Parameters
    ----------
    session, instruments, exchange, hedging
        See there.
    prefix : str
        What the session's client order ids begin with.
    on_closed : callable, optional
        Is called after each bar that was closed and answered in full.
    """

    def __init__(
        self,
        session: Session,
        instruments: Sequence[CryptoPerpetual],
        exchange: Exchange,
        *,
        hedging: bool = False,
        prefix: str = "P",
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(session, instruments, exchange, hedging=hedging)
        self.failure: BaseException | None = None
        self.ended = False
        self._actions: deque[Callable[[], None]] = deque()
        self._prefix, self._on_closed = prefix, on_closed
        self._started = asyncio.Event()

    def attach(self, node: Any, ended: Callable[[BaseException | None], None]) -> None:
        """Know the node whose queues are waited for, and whom to tell of an end."""
        self._queues = node.kernel.risk_engine, node.kernel.exec_engine
        self._ended = ended

    def stop_node(self) -> None:
        """End the run after the bar at hand; positions stay."""
        self._ended(None)

    def on_start(self) -> None:
        """Subscribe; scans may come."""
        super().on_start()
        self._started.set()

    # Lockstep -----------------------------------------------------------------------------------------------------

    @property
    def started(self) -> bool:
        """Whether scans may come."""
        return self._started.is_set()

    async def ready(self) -> None:
        """Wait until the strategy was started."""
        await self._started.wait()

    async def done(self, bar: int) -> None:
        """Wait until the scan of a bar has arrived, then act until it is closed and every queue is empty."""
        session = self.session
        while session.bar != bar:
            self._check()
            await asyncio.sleep(0)
        while True:
            await self._quiet()
            self._check()
            if self._actions:
                self._actions.popleft()()
            elif session.closed:
                KernelStrategy._bar_over(self)
                if not self._actions:  # else what is left of an order is laid anew
                    break
            else:
                self._let_go_of_rests()
                await asyncio.sleep(0)
        if self._on_closed is not None:
            self._on_closed()

    def _let_go_of_rests(self) -> None:
        """Have what is left of market orders let go of: cancelled, or rejected where nothing was filled.

        Nautilus' exchange does so itself for an order that it knows to be open, or submitted. In a node it does not
        know that of a market order yet: the events that say so are still on a queue when it looks.
        """
        if not self._exchange.in_parts:
            return
        for client_id in list(self._slot_of):
            order = self.cache.order(client_id)
            if order.order_type == OrderType.MARKET and order.status in UNANSWERED:
                self._exchange.let_go(order)

    async def _quiet(self) -> None:
        """Until Nautilus has carried all that was sent.

        What is put on a queue lies there from the loop's next turn on, so that one look at empty queues says nothing.
        """
        empty = 0
        while empty < TURNS:
            await asyncio.sleep(0)
            busy = any(engine.cmd_qsize() or engine.evt_qsize() for engine in self._queues)
            empty = 0 if busy else empty + 1

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    # What a bar does ----------------------------------------------------------------------------------------------

    def _later(self, action: Callable[[], None]) -> None:
        self._actions.append(action)

    def _bar_over(self) -> None:
        """Not yet: :meth:`done` knows when."""

    def send(self, slot: int, order: Records) -> None:
        """A market order at this bar's price, in its turn."""
        kept = order.copy()
        self._later(lambda: KernelStrategy.send(self, slot, kept))

    def rest(self, slot: int, order: Records) -> None:
        """An order that waits, in its turn."""
        kept = order.copy()
        self._later(lambda: KernelStrategy.rest(self, slot, kept))

    def _lay_anew(self, slot: int, order: Records) -> None:
        """In its turn, and past whatever stands before new orders."""
        kept = order.copy()
        self._later(lambda: KernelStrategy.rest(self, slot, kept))

    def withdraw(self, slot: int) -> None:
        """Cancel what the slot has in the market, in its turn."""
        self._later(lambda: KernelStrategy.withdraw(self, slot))

    def _names(self, slot: int, order: Records, count: int) -> list[ClientOrderId]:
        """A function of session, bar and slot: what was sent before a kill is known by it after.

        What is left of an order that was filled in part is sent again, and is known by the bar of that, too.
        """
        called = self.session.is_called(slot)
        bar = self.session.bar if called else int(order["bar"])
        first = f"{self._prefix}-{bar}-{slot}{'m' if called else ''}"
        if self._exchange.in_parts and not called and bar != self.session.bar:
            first = f"{first}-{self.session.bar}"
        return [ClientOrderId(first), ClientOrderId(f"{first}b")][:count]


def _keeping_failures(name: str) -> Callable[..., None]:
    """A handler of Nautilus' that keeps what it raises: Nautilus would log it, and end or go on."""
    handler = getattr(KernelStrategy, name)

    @functools.wraps(handler)
    def kept(self: NodeStrategy, event: Any) -> None:
        try:
            handler(self, event)
        except BaseException as error:
            self.failure = self.failure or error

    return kept


for _name in (
    "on_data", "on_order_filled", "on_order_canceled", "on_order_expired", "on_order_rejected", "on_order_denied",
    "on_position_closed",
):  # fmt: skip
    setattr(NodeStrategy, _name, _keeping_failures(_name))
