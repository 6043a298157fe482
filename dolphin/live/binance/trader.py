"""The Nautilus strategy that carries a session's orders to Binance: rows in, orders out, outcomes back.

One row at a time: it is scanned, decided, its orders are sent, and the next row waits until each of them is settled. An
order that is not settled within a few seconds is asked about; nothing is ever sent a second time.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Set
from decimal import Decimal
from typing import Any

import numpy as np
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import LiquiditySide, OrderSide
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
)
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.trading.strategy import Strategy

from dolphin.core.records import CLOSE, REDUCE, Records
from dolphin.errors import DolphinError
from dolphin.live.binance.asking import Client
from dolphin.live.binance.feed import BinanceFeed
from dolphin.live.binance.hooks import Clients, bar_type, close_ms, close_price, instrument_id
from dolphin.live.binance.house import House
from dolphin.live.binance.journaling import LiveJournal
from dolphin.live.binance.outcomes import Outcome, Part
from dolphin.live.dressing import NEUTRAL
from dolphin.live.feed import Row
from dolphin.live.session import Session, order_direction

#: Seconds after which an order that is not settled is asked about.
ASK_AFTER = 4.0

#: Orders in a row of which nothing was told, and all had to be asked, that say that the user stream is dead.
SILENT = 2

#: What a row becomes before it is decided: the features that the strategy reads.
Scan = Callable[[Row], Any]


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
    unfinished : (Row, set of str), optional
        The row that a killed session did not close, and the client order ids of what it may have sent: those are asked
        about, and nothing else is sent for it.
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
        unfinished: tuple[Row, Set[str]] | None = None,
        ask_after: float = ASK_AFTER,
    ) -> None:
        ids = [instrument_id(symbol) for symbol in feed.symbols]
        super().__init__(
            StrategyConfig(strategy_id="DOLPHIN", order_id_tag="000", oms_type="NETTING", external_order_claims=ids)
        )
        self.session, self.feed, self.failure, self.started = session, feed, None, False
        session.transport = self
        self.latencies: list[int] = []
        self.asked: list[tuple[str, str]] = []
        self.foreign: list[str] = []
        self.duplicates, self.done = 0, session.start - 1
        self._ids, self._column = ids, {one: j for j, one in enumerate(ids)}
        self._client, self._clients, self._scan, self._name = client, clients, scan, name
        self._after, self._stop_at = after, stop_at
        self._house, self._unfinished, self._ask_after = house or House(), unfinished, ask_after
        self._sent_before: Set[str] | None = None
        self._closing = False
        self.stopping, self._silent = False, 0
        self._waiting: dict[str, Outcome] = {}
        self._mine: set[str] = set()
        self._turns: Counter[tuple[int, bool]] = Counter()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._beside: list[asyncio.Task[Any]] = []
        self._settled = asyncio.Event()
        self._end: Callable[[], Any] = lambda: None

    failure: BaseException | None

    def attach(self, end: Callable[[], Any]) -> None:
        """Know what ends the node."""
        self._end = end

    async def close(self) -> None:
        """Let go of connections; no rows any more."""
        await self.feed.close()
        await self._client.close()

    # Rows ---------------------------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Listen, and begin with the rows."""
        self.started = True
        self._loop = asyncio.get_running_loop()
        self._main = self._spawn(self._whole(), last=True)

    def on_bar(self, bar: Bar) -> None:
        """A closed kline."""
        try:
            self.feed.bar(self._column[bar.bar_type.instrument_id], close_ms(bar), close_price(bar))
        except BaseException as error:  # Nautilus would only log it
            self._fail(error)

    @property
    def _journal(self) -> LiveJournal | None:
        return self.session.journal  # type: ignore[return-value]

    @property
    def idle(self) -> bool:
        """Whether no order is on its way and no row is at hand."""
        return self.session.closed and not self._waiting

    def interrupt(self) -> None:
        """End after the row at hand; positions stay."""
        self.stopping = True
        if self.idle:
            self._main.cancel()

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
        if self._unfinished is not None:
            left, self._sent_before = self._unfinished
            await self._decide(left)
            self.done, self._sent_before = left.bar, None
        await self._house.ready()
        rows = self.feed.rows(self._after)
        first = self._loop.create_task(_next(rows))
        await asyncio.sleep(0)  # from here on bars are taken
        self._clients.name_streams(self.feed.symbols, self.feed.interval)
        for symbol in self.feed.symbols:
            self.subscribe_bars(bar_type(symbol, self.feed.spacing_ns))
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
        return self.stopping or (self._stop_at is not None and row.bar >= self._stop_at)

    async def _decide(self, row: Row) -> None:
        session, house = self.session, self._house
        row = house.begins(row)
        self._settled.clear()
        self._turns.clear()
        session.open(row.bar, row.ts, row.price, row.age, self._scan(row), _risk(session, row), row.columns)
        for given in house.given():
            session.take_in(given)
        self._closing = True
        for slot in house.closings():
            if not session.close_out(slot):
                session.take_out(slot)
        self._closing = False
        session.matched()
        while not session.closed:
            self._settled.clear()
            await self._settled.wait()
        if self._waiting:
            raise RuntimeError(f"row {row.bar} is closed and orders wait: {sorted(self._waiting)}")
        house.closed()
        if self._silent >= SILENT:  # the adapters do not open a stream again whose key they could not get
            raise DolphinError(
                f"nothing was told of {self._silent} orders: the user stream is dead", where=f"row {row.bar}",
                mend="the same command goes on, with a new one; dolphin service watch runs it",
            )  # fmt: skip

    # Orders out ---------------------------------------------------------------------------------------------------

    def send(self, slot: int, order: Records) -> None:
        """A market order, once, unless something forbids it."""
        client_id = self._id(slot)
        if self._sent_before is not None and client_id in self._sent_before:
            self._ask_again(slot, order, client_id)
            return
        stopped = self._house.stops(self.session, order)
        if self._sent_before is not None:
            stopped = "the session was killed before it was sent"
        if stopped is not None:
            self.session.refused(slot, stopped)
            return
        asset, quantity = int(order["asset"]), self._quantity(order)
        outcome = self._expect(slot, asset, quantity, client_id)
        written = self.order_factory.market(
            instrument_id=self._ids[asset],
            order_side=OrderSide.BUY if order_direction(order) > 0 else OrderSide.SELL,
            quantity=quantity,
            reduce_only=int(order["action"]) in (CLOSE, REDUCE),
            client_order_id=ClientOrderId(client_id),
        )
        journal, wished = self._journal, not self._closing
        if journal is not None and not wished:  # one that was wished has its intent there
            journal.sent(slot, order, client_id, wished=False)
        if self.feed.last_message:
            self.latencies.append(time.perf_counter_ns() - self.feed.last_message)
            self.feed.last_message = 0
        self.submit_order(written)
        if journal is not None and wished:  # before the loop's next turn, in which the order leaves the process
            journal.sent(slot, order, client_id)
        self._loop.call_later(self._ask_after, self._doubt, outcome, "no answer in time")

    def _quantity(self, order: Records) -> Any:
        return self.cache.instrument(self._ids[int(order["asset"])]).make_qty(float(order["qty"]))

    def _expect(self, slot: int, asset: int, quantity: Any, client_id: str) -> Outcome:
        outcome = Outcome(client_id, self.feed.symbols[asset], slot, quantity.as_decimal())
        self._waiting[client_id] = outcome
        self._mine.add(client_id)
        self._turns[slot, self._closing] += 1
        return outcome

    def _ask_again(self, slot: int, order: Records, client_id: str) -> None:
        """What a killed session may have sent is asked about, and not sent."""
        outcome = self._expect(slot, int(order["asset"]), self._quantity(order), client_id)
        if self._journal is not None:
            self._journal.keep(slot, order)
        self._doubt(outcome, "the session was killed before it knew")

    def _id(self, slot: int) -> str:
        """``session-bar-slot``; a second order of a slot in one bar has a turn behind it."""
        plain = order_id(self._name, self.session.bar, slot) + ("x" if self._closing else "")
        turn = self._turns[slot, self._closing]
        return f"{plain}.{turn}" if turn else plain

    def rest(self, slot: int, order: Records) -> None:
        """Not carried: :func:`dolphin.live.binance.safety.check_strategy` refuses who needs it."""
        raise DolphinError("an order that rests in the market", mend="live carries market orders")

    def withdraw(self, slot: int) -> None:
        """Nothing rests."""

    # Outcomes in --------------------------------------------------------------------------------------------------

    def on_order_accepted(self, event: OrderAccepted) -> None:
        """It is at the exchange."""
        self._silent = 0
        outcome = self._waiting.get(event.client_order_id.value)
        if outcome is not None and self._journal is not None:
            self._journal.accepted(outcome.slot, event.venue_order_id.value)

    def on_order_filled(self, event: OrderFilled) -> None:
        """A part, or all of it; what Nautilus made up itself in a reconciliation is asked about."""
        client_id = event.client_order_id.value
        outcome = self._waiting.get(client_id)
        if outcome is None:
            if client_id in self._mine:
                self.duplicates += 1
            else:
                self.foreign.append(client_id)
            return
        if event.reconciliation:
            self._doubt(outcome, "a fill that was reconciled")
            return
        part = Part(
            event.trade_id.value, Decimal(str(event.last_qty)), Decimal(str(event.last_px)),
            Decimal(str(event.commission.as_decimal())), (int(event.ts_event) + 500_000) // 1_000_000 * 1_000_000,
            event.liquidity_side == LiquiditySide.MAKER,
        )  # fmt: skip
        if self._journal is not None and part.trade_id not in outcome.parts:
            self._journal.part(outcome.slot, part)
        outcome.fill(part)
        self._check(outcome)

    def on_order_rejected(self, event: OrderRejected) -> None:
        """Certain or not: :func:`dolphin.live.binance.outcomes.is_certain`."""
        outcome = self._waiting.get(event.client_order_id.value)
        if outcome is not None:
            outcome.reject(event.reason)
            self._check(outcome)

    def on_order_denied(self, event: OrderDenied) -> None:
        """Nautilus would not send it."""
        outcome = self._waiting.get(event.client_order_id.value)
        if outcome is not None:
            outcome.deny(event.reason)
            self._check(outcome)

    def on_order_canceled(self, event: OrderCanceled) -> None:
        """The exchange knows how far it came."""
        self._ended_early(event.client_order_id.value, "cancelled")

    def on_order_expired(self, event: OrderExpired) -> None:
        """The same."""
        self._ended_early(event.client_order_id.value, "expired")

    def _ended_early(self, client_id: str, why: str) -> None:
        outcome = self._waiting.get(client_id)
        if outcome is not None:
            self._doubt(outcome, why)

    # Doubt --------------------------------------------------------------------------------------------------------

    def _doubt(self, outcome: Outcome, why: str) -> None:
        if not outcome.settled and not outcome.doubtful:
            outcome.doubt(why)
            self._check(outcome)

    def _check(self, outcome: Outcome) -> None:
        """Tell the session of an end; ask about a doubt, once."""
        if outcome.settled:
            self._finish(outcome)
        elif outcome.doubtful and all(asked[0] != outcome.client_id for asked in self.asked):
            self.asked.append((outcome.client_id, outcome.why))
            self._spawn(self._ask(outcome))

    async def _ask(self, outcome: Outcome) -> None:
        why = outcome.why
        answer = await self._client.resolve(outcome.symbol, outcome.client_id)
        if self._journal is not None:
            for part in answer.parts:
                if part.trade_id not in outcome.parts and not outcome.settled:
                    self._journal.part(outcome.slot, part)
        self._silent += int(answer.came and why == "no answer in time")
        outcome.answer(answer.parts, f"{why}; asked: {answer.status}")
        self._finish(outcome)

    def _finish(self, outcome: Outcome) -> None:
        if self._waiting.pop(outcome.client_id, None) is None:
            return
        filled = outcome.filled
        if self._journal is not None:
            # A fill that is written twice, before a kill and after it, has one name and counts once.
            trades = ",".join(sorted(outcome.parts))
            ids = {"client_id": outcome.client_id, "why": outcome.why} | ({"trade_id": trades} if trades else {})
            self._journal.note(outcome.slot, ids)
        if filled.qty:
            self.session.filled(outcome.slot, filled.qty, filled.price, filled.commission, filled.ts, filled.passive)
        else:
            self.session.refused(outcome.slot)
        self._settled.set()

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the rows; what it raises ends the session."""
        self._beside.append(self._spawn(work))

    # Failing loudly -----------------------------------------------------------------------------------------------

    def _spawn(self, work: Any, *, last: bool = False) -> asyncio.Task[Any]:
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


def order_id(session: str, bar: int, slot: int) -> str:
    """The client order id: a function of session, bar and slot, at most 36 characters."""
    found = f"{session}-{bar:d}-{slot:d}"
    if len(found) > 33:  # three are left for a turn
        raise DolphinError(f"a session's name of {len(session)} characters", where=session, mend="take a shorter one")
    return found


def _risk(session: Session, row: Row) -> Any:
    """The row's risk inputs, or neutral ones."""
    return NEUTRAL[0] if row.risk is None else np.asarray(row.risk).reshape(-1)[0]
