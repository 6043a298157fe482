"""Binance's klines as a feed: rows by the exchange's time, history from its REST interface."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np

from dolphin.catalog import Instrument
from dolphin.catalog.store.filling import Filler
from dolphin.core.records import Floats, Ints
from dolphin.errors import BadInput
from dolphin.live.binance.asking import Client
from dolphin.live.binance.assembler import DEADLINE_MS, Assembler, Closed, Fetched, Late
from dolphin.live.binance.refetching import Refetcher
from dolphin.live.feed import History, Row

#: Kline intervals of the exchange by spacing, ns.
INTERVALS = {
    minutes * 60_000_000_000: name
    for minutes, name in (
        (1, "1m"), (3, "3m"), (5, "5m"), (15, "15m"), (30, "30m"), (60, "1h"), (120, "2h"), (240, "4h"), (360, "6h"),
        (480, "8h"), (720, "12h"), (1440, "1d"),
    )
}  # fmt: skip

#: Klines that one request gives at most.
_PAGE = 1500
_MS = 1_000_000

#: Seconds behind its plan at which a timer says that the process was stalled.
_STALLED = 0.1


class BinanceFeed:
    """Rows of closed klines.

    Whoever hears the exchange's bars hands them to :meth:`bar`, in the event loop's thread.

    Parameters
    ----------
    client : Client
        For history.
    instruments : sequence of Instrument
        By column.
    reference : str
    spacing_ns : int
        A kline interval of the exchange.
    anchor_ns : int
        Close of the row that has number 0.
    deadline_ms : int
    on_late : callable, optional
        Is told of each bar that changed nothing.
    name : str
    """

    def __init__(
        self,
        client: Client,
        instruments: Sequence[Instrument],
        reference: str,
        spacing_ns: int,
        anchor_ns: int,
        *,
        deadline_ms: int = DEADLINE_MS,
        on_late: Callable[[Late], None] | None = None,
        name: str = "binance",
    ) -> None:
        if spacing_ns not in INTERVALS:
            raise BadInput(
                f"the exchange has no klines of {spacing_ns / 1e9:g} s", mend=f"one of {', '.join(INTERVALS.values())}"
            )
        self.name, self.instruments = name, tuple(instruments)
        self.symbols = tuple(instrument.symbol for instrument in instruments)
        self.reference, self.spacing_ns, self.interval = reference, spacing_ns, INTERVALS[spacing_ns]
        self.last_message = 0
        self._client, self._anchor, self._deadline, self._on_late = client, anchor_ns, deadline_ms, on_late
        self._history: History | None = None
        self._queue: asyncio.Queue[Row | None] = asyncio.Queue()
        self._assembler: Assembler | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refetcher = Refetcher(client, self.symbols, self.interval, self._give)
        self._planned = self._closed = False
        self._caught_up = 0
        self._waiting: list[tuple[int, int, float]] | None = None
        self._journaled: dict[int, Floats] = {}

    # Bars in ------------------------------------------------------------------------------------------------------

    def bar(self, column: int, close_ms: int, price: float) -> None:
        """A closed kline, as it comes."""
        if self._assembler is None:  # nobody takes rows yet
            return
        if self._waiting is not None:
            self._waiting.append((column, close_ms, price))
            return
        self.last_message = time.perf_counter_ns()
        self._give(self._assembler.bar(column, close_ms, price, time.monotonic() * 1000.0))

    def _due(self, planned: float) -> None:
        """The deadline; where this process was stalled beyond it, what waits to be read is read first."""
        assert self._assembler is not None
        self._timer = None
        loop = asyncio.get_running_loop()
        if loop.time() - planned > _STALLED:
            self._timer = loop.call_later(_STALLED, self._due, loop.time() + _STALLED)
            return
        self._give(self._assembler.due(time.monotonic() * 1000.0))

    def _give(self, closed: list[Closed]) -> None:
        assembler = self._assembler
        assert assembler is not None
        for row in closed:
            self._queue.put_nowait(self._row(row))
        if assembler.late and self._on_late is not None:
            for late in assembler.late:
                self._on_late(late)
        assembler.late.clear()
        if not self._planned:  # behind the row that may have closed: its decision waits for no timers
            self._planned = True
            asyncio.get_running_loop().call_soon(self._plan)

    def _plan(self) -> None:
        """Timers, once for all bars that came in one turn of the loop."""
        self._planned, assembler = False, self._assembler
        if assembler is None or self._closed:
            return
        wait = assembler.wait_ms(time.monotonic() * 1000.0)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wait is not None:
            loop, seconds = asyncio.get_running_loop(), wait / 1000.0 + 0.001
            self._timer = loop.call_later(seconds, self._due, loop.time() + seconds)
        if self._waiting is None:
            self._refetcher.look(assembler)

    @property
    def on_fetched(self) -> Callable[[Fetched], None] | None:
        """Is told of bars that were asked for because the stream did not bring them."""
        return self._refetcher.tell

    @on_fetched.setter
    def on_fetched(self, tell: Callable[[Fetched], None] | None) -> None:
        self._refetcher.tell = tell

    def _row(self, closed: Closed) -> Row:
        ts = closed.close_ms * _MS
        return Row(
            bar=self.number(ts), ts=ts, price=closed.price, age=closed.age,
            trade=closed.trade and closed.close_ms > self._caught_up, local=time.time_ns(),
        )  # fmt: skip

    def number(self, ts: int) -> int:
        """The number of the row that closes then."""
        return (ts - self._anchor) // self.spacing_ns

    # Rows out -----------------------------------------------------------------------------------------------------

    async def history(self, rows: int, after: int | None) -> History:
        """See :class:`~dolphin.live.feed.Feed`."""
        closes = await self._all_closes(rows, after)
        known = [close for one in closes for close in one]
        if not known:
            return History(0, np.zeros(0, np.int64), np.empty((0, len(closes))), np.empty((0, len(closes)), np.int32))
        last = max(known) if after is None else after // _MS
        spacing = self.spacing_ns // _MS
        # Research knows nothing before row 0.
        first = max(min(known), last - (rows - 1) * spacing, self._anchor // _MS)
        grid = np.arange(first, last + 1, spacing, dtype=np.int64)
        price = np.full((len(grid), len(closes)), np.nan)
        for j, one in enumerate(closes):
            for close_ms, value in one.items():
                if first <= close_ms <= last:
                    price[(close_ms - first) // spacing, j] = value
        for close_ms, known_row in self._journaled.items():
            if first <= close_ms <= last:
                price[(close_ms - first) // spacing] = known_row
        age = np.empty(price.shape, np.int32)
        Filler(len(closes))(price, age)
        number = self.number(int(grid[0]) * _MS)
        self._history = History(number, grid * _MS, price, age, whole=number == 0)
        return self._history

    async def _all_closes(self, rows: int, after: int | None) -> list[dict[int, float]]:
        """Closes of every symbol; a kline that is still open is none."""
        now, spacing = await self._client.server_time(), self.spacing_ns // _MS
        found = []
        for symbol in self.symbols:
            closes = await self._closes(symbol, rows, after)
            if closes and now < (newest := max(closes)) <= now + spacing:
                del closes[newest]
            found.append(closes)
        return found

    async def _closes(self, symbol: str, rows: int, after: int | None) -> dict[int, float]:
        """Closes of the last rows by time, ms, in pages."""
        spacing = self.spacing_ns // _MS
        end = None if after is None else after // _MS - spacing
        found: dict[int, float] = {}
        while len(found) < rows:
            limit = min(rows - len(found), _PAGE)
            page = await self._client.klines(symbol, self.interval, limit, end)
            new = {int(one[6]) + 1: float(one[4]) for one in page}
            if not new.keys() - found.keys():
                break
            found |= new
            end = min(new) - 2 * spacing
        return found

    async def rows(self, after: int | None) -> AsyncIterator[Row]:
        """See :class:`~dolphin.live.feed.Feed`; what was missed since ``after`` comes without trading."""
        known = self._history
        price = age = None
        if known is not None and len(known.ts) and (after is None or int(known.ts[-1]) == after):
            after, price, age = int(known.ts[-1]), known.price[-1], known.age[-1]
        last_ms = None if after is None else after // _MS
        self._assembler = Assembler(
            len(self.symbols), self.spacing_ns // _MS, self._deadline, last_ms=last_ms, price=price, age=age, asks=True
        )
        while (row := await self._queue.get()) is not None:
            yield row

    def hold(self) -> None:
        """Let bars wait until :meth:`catch_up`."""
        self._waiting = []

    async def catch_up(self) -> None:
        """Take what closed since the last row from REST: rows of it are real, and come without trading."""
        try:
            await self._catch_up()
        finally:
            waiting, self._waiting = self._waiting or [], None
        for column, close_ms, price in waiting:
            if close_ms > self._caught_up:
                self.bar(column, close_ms, price)

    async def _catch_up(self) -> None:
        assembler, spacing = self._assembler, self.spacing_ns // _MS
        if assembler is None or assembler.last_ms is None:
            return
        newest = await self._client.klines(self.reference, self.interval, 1)
        last = int(newest[-1][6]) + 1 if newest else 0
        missed = (last - assembler.last_ms) // spacing
        if missed <= 0:
            return
        closes = await self._all_closes(missed, last * _MS)
        # What came by the stream meanwhile is no less fresh for being there already.
        fresh = min((at for _, at, _ in self._waiting or ()), default=1 << 62)
        times = sorted({at for one in closes for at in one if assembler.last_ms < at < fresh})
        self._caught_up = max(times, default=0)
        for at in times:
            for column, one in enumerate(closes):
                if at in one:
                    self._give(assembler.bar(column, at, one[at], time.monotonic() * 1000.0))

    def remember(self, ts: Ints, price: Floats) -> None:
        """Rows that were journaled (T,), (T, N): as they were decided on, whatever the exchange says of them now."""
        self._journaled = {int(at) // _MS: price[k] for k, at in enumerate(ts.tolist())}

    def know(self, history: History) -> None:
        """History from elsewhere, such as the catalog: rows go on behind it."""
        self._history = history

    async def close(self) -> None:
        """See :class:`~dolphin.live.feed.Feed`."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._refetcher.close()
        self._queue.put_nowait(None)
