"""The Nautilus strategy that carries a session's orders to Binance: rows in, orders out, outcomes back.

One row at a time: it is scanned, decided, its orders are sent, and the next row waits until each of them is settled, or
rests. An order of which nothing is heard within a few seconds is asked about; nothing is ever sent a second time.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Set
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
)
from nautilus_trader.trading.strategy import Strategy

from dolphin.core.records import Records
from dolphin.errors import DolphinError
from dolphin.live.binance.asking import Client
from dolphin.live.binance.feed import BinanceFeed
from dolphin.live.binance.hooks import Clients, instrument_id
from dolphin.live.binance.house import House
from dolphin.live.binance.journaling import LiveJournal
from dolphin.live.binance.kline_messages import KlineReader
from dolphin.live.binance.market_desk import MarketDesk, part_of_fill
from dolphin.live.binance.resting_desk import RestingDesk
from dolphin.live.dressing import NEUTRAL
from dolphin.live.feed import Row
from dolphin.live.session import Session

#: Seconds after which an order that is not settled is asked about.
ASK_AFTER = 4.0

#: Orders in a row of which nothing was told, and all had to be asked, that say that the user stream is dead.
SILENT = 2

#: What a row becomes before it is decided: the features that the strategy reads.
Scan = Callable[[Row], Any]


@dataclass(frozen=True)
class Unfinished:
    """The row that a killed session did not close.

    Attributes
    ----------
    row : Row
    sent : set of str
        Client order ids of what may have been sent: those are asked about, and nothing else is sent for it.
    booked : mapping of set of str
        Trades of resting orders that were booked in it, by slot.
    """

    row: Row
    sent: Set[str]
    booked: Mapping[int, Set[str]] = field(default_factory=dict)


class LiveTrader(Strategy):
    """A :class:`~dolphin.live.session.Session` on Binance.

    Parameters
    ----------
    session : Session
        Its orders go out through this strategy.
    feed : BinanceFeed
    client : Client
        Whom to ask.
    clients : Clients
        The adapters' clients, once they are made.
    scan : callable
        ``scan(row)`` is the row of features (F,).
    name : str
        The session's: client order ids begin with it.
    after : int, optional
        Close of the last row that was decided, ns; rows go on behind it.
    stop_at : int, optional
        The row number after which to stop.
    house : House, optional
        Keeps the session: limits, operator, days.
    unfinished : Unfinished, optional
    booked : mapping of set of str
        Trades that are booked of orders that rest, by slot and bar of the order.
    ask_after : float
    """

    def __init__(
        self,
        session: Session,
        feed: BinanceFeed,
        client: Client,
        clients: Clients,
        scan: Scan,
        name: str,
        *,
        after: int | None = None,
        stop_at: int | None = None,
        house: House | None = None,
        unfinished: Unfinished | None = None,
        booked: Mapping[tuple[int, int], Set[str]] | None = None,
        ask_after: float = ASK_AFTER,
    ) -> None:
        ids = [instrument_id(symbol) for symbol in feed.symbols]
        super().__init__(
            StrategyConfig(strategy_id="DOLPHIN", order_id_tag="000", oms_type="NETTING", external_order_claims=ids)
        )
        self.session, self.feed, self.failure, self.started = session, feed, None, False
        session.transport = self
        self.foreign: list[str] = []
        self.done = session.start - 1
        self.client, self.prefix, self.ask_after, self.house = client, name, ask_after, house or House()
        self.sent_before: Set[str] | None = None
        self.closing = self.stopping = False
        self.market, self.rests = MarketDesk(self), RestingDesk(self)
        self._ids, self._reader = ids, KlineReader(feed.symbols, feed.columns)
        self._clients, self._scan = clients, scan
        self._after, self._stop_at = after, stop_at
        self._unfinished, self._booked = unfinished, booked or {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._beside: list[asyncio.Task[Any]] = []
        self._settled = asyncio.Event()
        self._end: Callable[[], Any] = lambda: None

    failure: BaseException | None

    def attach(self, end: Callable[[], Any]) -> None:
        """Know what ends the node; it is called once, or the second call tears down what the first still ends."""

        def once() -> None:
            self._end = lambda: None
            end()

        self._end = once

    async def close(self) -> None:
        """Let go of connections; no rows any more."""
        await self.feed.close()
        await self.client.close()

    # Rows ---------------------------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Listen, and begin with the rows."""
        self.started = True
        self._loop = asyncio.get_running_loop()
        self._clients.on_finished = self._finished
        self._main = self.spawn(self._whole(), last=True)

    def _finished(self, client_id: str) -> None:
        """From whatever thread the user stream is read in."""
        self._loop.call_soon_threadsafe(self.rests.finished, client_id)

    def _heard(self, raw: bytes) -> None:
        """A kline's message."""
        try:
            if (bar := self._reader.read(raw)) is not None:
                self.feed.bar(*bar)
        except BaseException as error:  # the socket's thread would only log it
            self._fail(error)

    @property
    def journal(self) -> LiveJournal | None:
        """The session's."""
        return self.session.journal  # type: ignore[return-value]

    @property
    def latencies(self) -> list[int]:
        """From a row's last message to an order's submission, ns."""
        return self.market.latencies

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Orders that were in doubt, and why."""
        return self.market.asked

    @property
    def duplicates(self) -> int:
        """Fills that came twice."""
        return self.market.duplicates + self.rests.counts["repeated"]

    @property
    def idle(self) -> bool:
        """Whether no order is on its way and no row is at hand."""
        return self.session.closed and not self.market.waiting and self.rests.idle

    def interrupt(self) -> None:
        """End after the row at hand; asked for a second time, at once. Positions stay.

        An exchange that is gone answers no question, and a row that waits for it would never end.
        """
        orders = sorted(self.market.waiting)
        if self.idle:
            self._main.cancel()
        elif self.stopping:
            self._fail(
                DolphinError(
                    f"ended before it was known what became of {', '.join(orders) or 'its orders'}",
                    where=f"row {self.session.bar}", mend="the same command asks the exchange, and goes on",
                )
            )  # fmt: skip
        else:
            self.house.interrupted(orders)
        self.stopping = True

    async def _whole(self) -> None:
        """All rows; what runs beside them ends with them, before connections are closed under it."""
        try:
            await self._run()
        finally:
            for task in self._beside:
                task.cancel()
            await asyncio.gather(*self._beside, return_exceptions=True)

    async def _run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)
            self._loop.add_signal_handler(number, self.interrupt)
        await self.rests.find_again(self._booked)
        if (left := self._unfinished) is not None:
            self.sent_before = left.sent
            await self._decide(left.row, left.booked)
            self.done, self.sent_before = left.row.bar, None
        if self._is_over(self.session.bar):
            return
        await self.house.ready()
        rows = self.feed.rows(self._after)
        first = self._loop.create_task(_next(rows))
        await asyncio.sleep(0)  # from here on bars are taken
        self._clients.name_streams(self.feed.symbols, self.feed.interval)
        self._clients.hear_klines(self._heard)
        self.feed.hold()
        await self._clients.connect_streams()  # only now, so that no bar comes before its handler
        await self.feed.catch_up()
        row = await first
        if row is None or await self._take(row):
            return
        async for later in rows:  # until the feed is closed
            if await self._take(later):
                return

    async def _take(self, row: Row) -> bool:
        """Decide a row; whether it was to be the last."""
        await self._decide(row)
        self.done = row.bar
        return self._is_over(row.bar)

    def _is_over(self, bar: int) -> bool:
        """Whether it was to be the last row; one that is done again after a kill may be."""
        return self.stopping or (self._stop_at is not None and bar >= self._stop_at)

    async def _decide(self, row: Row, again: Mapping[int, Set[str]] | None = None) -> None:
        session, house = self.session, self.house
        row = house.begins(row)
        self._settled.clear()
        self.market.begins()
        session.open(row.bar, row.ts, row.price, row.age, self._scan(row), _risk(session, row), row.columns)
        for given in house.given():
            session.take_in(given)
        closings = house.closings()
        came = await self.rests.before(closings, again) if session.resting else set()
        self.closing = True
        for slot in closings:
            if slot not in came and not session.close_out(slot):
                session.take_out(slot)
        self.closing = False
        session.matched()
        while not session.closed:
            self._settled.clear()
            await self._settled.wait()
        if self.market.waiting:
            raise RuntimeError(f"row {row.bar} is closed and orders wait: {sorted(self.market.waiting)}")
        self.rests.after()
        house.closed()
        if self.market.silent >= SILENT:  # the adapters do not open a stream again whose key they could not get
            raise DolphinError(
                f"nothing was told of {self.market.silent} orders: the user stream is dead", where=f"row {row.bar}",
                mend="the same command goes on, with a new one; dolphin service watch runs it",
            )  # fmt: skip

    def wake(self) -> None:
        """Something that the row waits for was settled."""
        self._settled.set()

    # Orders out ---------------------------------------------------------------------------------------------------

    def send(self, slot: int, order: Records) -> None:
        """A market order; it goes out when what the slot had in the market is gone, unless that was filled."""
        if self.rests.leaves(slot):
            self.spawn(self._send_behind(slot, order.copy()))
        else:
            self.market.send(slot, order)

    async def _send_behind(self, slot: int, order: Records) -> None:
        if await self.rests.left(slot):
            self.session.refused(slot, "what the slot had in the market was filled on its way out")
            self.wake()
        else:
            self.market.send(slot, order)
            self.wake()

    def rest(self, slot: int, order: Records) -> None:
        """An order that waits from the next bar on."""
        self.rests.rest(slot, order)

    def withdraw(self, slot: int) -> None:
        """The slot's waiting order is not wanted any more."""
        self.rests.withdraw(slot)

    def instrument(self, order: Records) -> Any:
        """Nautilus' instrument of an order."""
        return self.cache.instrument(self._ids[int(order["asset"])])

    def symbol(self, order: Records) -> str:
        """The exchange's symbol of an order."""
        return self.feed.symbols[int(order["asset"])]

    def quantity(self, order: Records) -> Decimal:
        """What an order wants, on the lot."""
        return Decimal(str(self.instrument(order).make_qty(float(order["qty"]))))

    # Outcomes in --------------------------------------------------------------------------------------------------

    def on_order_accepted(self, event: OrderAccepted) -> None:
        """It is at the exchange."""
        if not self.rests.accepted(event.client_order_id.value, event.venue_order_id.value):
            self.market.accepted(event.client_order_id.value, event.venue_order_id.value)

    def on_order_filled(self, event: OrderFilled) -> None:
        """A part, or all of it."""
        client_id, part, made_up = event.client_order_id.value, part_of_fill(event), bool(event.reconciliation)
        if self.rests.filled(client_id, part, made_up) or self.market.filled(client_id, part, made_up):
            return
        if not client_id.startswith(f"{self.prefix}-"):  # ours are those of an earlier life
            self.foreign.append(client_id)

    def on_order_rejected(self, event: OrderRejected) -> None:
        """The exchange did not take it, or nobody knows."""
        if not self.rests.rejected(event.client_order_id.value, event.reason):
            self.market.rejected(event.client_order_id.value, event.reason)

    def on_order_denied(self, event: OrderDenied) -> None:
        """Nautilus would not send it."""
        if not self.rests.denied(event.client_order_id.value, event.reason):
            self.market.denied(event.client_order_id.value, event.reason)

    def on_order_canceled(self, event: OrderCanceled) -> None:
        """The exchange knows how far it came."""
        if not self.rests.ended(event.client_order_id.value):
            self.market.ended_early(event.client_order_id.value, "cancelled")

    def on_order_expired(self, event: OrderExpired) -> None:
        """The same."""
        if not self.rests.ended(event.client_order_id.value):
            self.market.ended_early(event.client_order_id.value, "expired")

    def on_order_cancel_rejected(self, event: OrderCancelRejected) -> None:
        """It was gone already."""
        self.rests.ended(event.client_order_id.value)

    # Beside the rows ----------------------------------------------------------------------------------------------

    def later(self, what: Callable[..., None], *given: Any) -> None:
        """Do something when an order should have been settled."""
        self._loop.call_later(self.ask_after, what, *given)

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the rows; what it raises ends the session."""
        self._beside.append(self.spawn(work))

    # Failing loudly -----------------------------------------------------------------------------------------------

    def spawn(self, work: Any, *, last: bool = False) -> asyncio.Task[Any]:
        """A task whose failure ends the session."""
        task: asyncio.Task[Any] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, last))
        return task

    def _done(self, task: asyncio.Task[Any], last: bool) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        elif last:
            self._end()

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self._end()


async def _next(rows: AsyncIterator[Row]) -> Row | None:
    """The first row, or None where the feed is closed before it."""
    async for row in rows:
        return row
    return None


def _risk(session: Session, row: Row) -> Any:
    """The row's risk inputs, or neutral ones."""
    return NEUTRAL[0] if row.risk is None else np.asarray(row.risk).reshape(-1)[0]
