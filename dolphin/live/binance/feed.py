"""Binance's klines as a feed: rows by the exchange's time, history from its REST interface."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dolphin.catalog import Instrument
from dolphin.catalog.store.filling import Filler
from dolphin.core.records import Floats, Ints
from dolphin.errors import BadInput
from dolphin.live.binance.asking import Client
from dolphin.live.binance.assembler import DEADLINE_MS, Assembler, Closed, Fetched, Late
from dolphin.live.binance.refetching import SIDE_BY_SIDE, Refetcher
from dolphin.live.binance.requests import ExchangeError
from dolphin.live.feed import History, Row

#: Kline intervals of the exchange by spacing, ns.
INTERVALS = {
    minutes * 60_000_000_000: name
    for minutes, name in (
        (1, "1m"), (3, "3m"), (5, "5m"), (15, "15m"), (30, "30m"), (60, "1h"), (120, "2h"), (240, "4h"), (360, "6h"),
        (480, "8h"), (720, "12h"), (1440, "1d"),
    )
}  # fmt: skip

#: What a kline holds beside its close, and where.
OF_KLINES = {"open": 1, "high": 2, "low": 3, "volume": 5}

#: Klines that one request gives at most.
_PAGE = 1500

#: How often a page of history is asked for until the exchange counts as gone.
TIMES = 3

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
    columns : sequence of str
        What rows are to hold beside closes; what klines do not say (:data:`OF_KLINES`) is 0 here, and for others to
        fill in.
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
        columns: Sequence[str] = (),
    ) -> None:
        if spacing_ns not in INTERVALS:
            raise BadInput(
                f"the exchange has no klines of {spacing_ns / 1e9:g} s", mend=f"one of {', '.join(INTERVALS.values())}"
            )
        self.name, self.instruments = name, tuple(instruments)
        self.symbols = tuple(instrument.symbol for instrument in instruments)
        self.reference, self.spacing_ns, self.interval = reference, spacing_ns, INTERVALS[spacing_ns]
        self.columns = tuple(one for one in columns if one in OF_KLINES)
        self._places = (4, *(OF_KLINES[name] for name in self.columns))
        self._others = tuple(one for one in columns if one not in OF_KLINES)
        self.last_message = 0
        self._client, self._anchor, self._deadline, self._on_late = client, anchor_ns, deadline_ms, on_late
        self._history: History | None = None
        self._queue: asyncio.Queue[Row | None] = asyncio.Queue()
        self._assembler: Assembler | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refetcher = Refetcher(client, self.symbols, self.interval, self._places, self._give)
        self._planned = self._closed = False
        self._planned_at = 0, 0
        self._caught_up = 0
        self._waiting: list[tuple[int, int, float, Sequence[float]]] | None = None
        self._journaled: dict[int, tuple[Floats, Floats]] = {}

    # Bars in ------------------------------------------------------------------------------------------------------

    def bar(self, column: int, close_ms: int, price: float, more: Sequence[float] = ()) -> None:
        """A closed kline, as it comes; ``more`` are its values of :attr:`columns`."""
        if self._assembler is None:  # nobody takes rows yet
            return
        if self._waiting is not None:
            self._waiting.append((column, close_ms, price, more))
            return
        self.last_message = time.perf_counter_ns()
        assembler = self._assembler
        closed = assembler.bar(column, close_ms, price, time.monotonic() * 1000.0, more)
        if closed or assembler.late or assembler.stand != self._planned_at:  # else the timers stand as they are
            self._give(closed)

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
        self._planned_at = assembler.stand
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
        columns = dict(zip(self.columns, closed.more, strict=True)) | {
            name: np.zeros(len(self.symbols)) for name in self._others
        }  # fmt: skip
        return Row(
            bar=self.number(ts), ts=ts, price=closed.price, age=closed.age, columns=columns,
            trade=closed.trade and closed.close_ms > self._caught_up, local=time.time_ns(),
        )  # fmt: skip

    def number(self, ts: int) -> int:
        """The number of the row that closes then."""
        return (ts - self._anchor) // self.spacing_ns

    # Rows out -----------------------------------------------------------------------------------------------------

    async def history(self, rows: int, after: int | None) -> History:
        """See :class:`~dolphin.live.feed.Feed`."""
        # One end for all: bars that close while symbols are asked one after the other are the next rows'.
        last = await self.newest() if after is None else after // _MS
        bars = [] if last is None else await self._all_bars(rows, last)
        known = [close for one in bars for close in one]
        if last is None or not known:
            nothing, none = np.zeros(0, np.int64), np.empty((0, len(self.symbols)))
            columns = dict.fromkeys((*self.columns, *self._others), none)
            return History(0, nothing, none, none.astype(np.int32), columns)
        spacing = self.spacing_ns // _MS
        # Research knows nothing before row 0.
        first = max(min(known), last - (rows - 1) * spacing, self._anchor // _MS)
        grid = np.arange(first, last + 1, spacing, dtype=np.int64)
        values = np.full((len(grid), 1 + len(self.columns), len(bars)), np.nan)
        for j, one in enumerate(bars):
            for close_ms, row in one.items():
                if first <= close_ms <= last:
                    values[(close_ms - first) // spacing, :, j] = row
        for close_ms, (price, more) in self._journaled.items():
            if first <= close_ms <= last:
                values[(close_ms - first) // spacing, 0] = price
                values[(close_ms - first) // spacing, 1:] = more
        self._history = self._filled(grid, values)
        return self._history

    def _filled(self, grid: Ints, values: Floats) -> History:
        """A history from the bars (T, 1 + C, N) that came, filled as the catalog fills."""
        price, age = np.ascontiguousarray(values[:, 0]), np.empty((len(grid), values.shape[2]), np.int32)
        missing = np.isnan(price)
        Filler(values.shape[2])(price, age)
        columns = {name: np.zeros(price.shape) for name in self._others}
        for k, name in enumerate(self.columns):
            stands = price if name != "volume" else np.where(np.isnan(price), np.nan, 0.0)
            columns[name] = np.where(missing, stands, values[:, 1 + k])
        number = self.number(int(grid[0]) * _MS)
        return History(number, grid * _MS, price, age, columns, whole=number == 0)

    async def newest(self) -> int | None:
        """The close of the newest kline that is closed, ms; None where there is none yet.

        The exchange also tells of the one that is not. More than one ahead of its own clock are closed all the same:
        a drill plays faster than the clock.
        """
        found = await self._client.klines(self.reference, self.interval, 3)
        closes = [int(one[6]) + 1 for one in found]
        now = await self._client.server_time()
        ahead = [close for close in closes if close > now]
        if len(ahead) == 1:
            closes.remove(ahead[0])
        return max(closes, default=None)

    async def _all_bars(self, rows: int, last: int) -> list[dict[int, Sequence[float]]]:
        """Bars of every symbol up to the close ``last`` (ms), close and columns by time."""
        free = asyncio.Semaphore(SIDE_BY_SIDE)

        async def ask(symbol: str) -> dict[int, Sequence[float]]:
            async with free:
                return await self._bars(symbol, rows, last)

        return list(await asyncio.gather(*map(ask, self.symbols)))

    async def _bars(self, symbol: str, rows: int, last: int) -> dict[int, Sequence[float]]:
        """Bars of the last rows by time, ms, in pages."""
        spacing = self.spacing_ns // _MS
        end = last - spacing
        found: dict[int, Sequence[float]] = {}
        while len(found) < rows:
            limit = min(rows - len(found), _PAGE)
            page = await self._page_of(symbol, limit, end)
            new: dict[int, Sequence[float]] = {int(one[6]) + 1: [float(one[k]) for k in self._places] for one in page}
            if not new.keys() - found.keys():
                break
            found |= new
            end = min(new) - 2 * spacing
        return found

    async def _page_of(self, symbol: str, limit: int, end: int) -> list[list[Any]]:
        """Klines of a symbol; asked for again where no answer came, for many are asked for at once."""
        for _ in range(TIMES - 1):
            try:
                return await self._client.klines(symbol, self.interval, limit, end)
            except ExchangeError as error:
                if error.code or error.status:
                    raise
        return await self._client.klines(symbol, self.interval, limit, end)

    async def rows(self, after: int | None) -> AsyncIterator[Row]:
        """See :class:`~dolphin.live.feed.Feed`; what was missed since ``after`` comes without trading."""
        known = self._history
        price = age = None
        if known is not None and len(known.ts) and (after is None or int(known.ts[-1]) == after):
            after, price, age = int(known.ts[-1]), known.price[-1], known.age[-1]
        last_ms = None if after is None else after // _MS
        self._assembler = Assembler(
            len(self.symbols), self.spacing_ns // _MS, self._deadline, last_ms=last_ms, price=price, age=age,
            asks=True, columns=self.columns,
        )  # fmt: skip
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
        for column, close_ms, price, more in waiting:
            if close_ms > self._caught_up:
                self.bar(column, close_ms, price, more)

    async def _catch_up(self) -> None:
        assembler, spacing = self._assembler, self.spacing_ns // _MS
        if assembler is None or assembler.last_ms is None:
            return
        last = await self.newest() or 0
        missed = (last - assembler.last_ms) // spacing
        if missed <= 0:
            return
        bars = await self._all_bars(missed, last)
        # What came by the stream meanwhile is no less fresh for being there already.
        fresh = min((at for _, at, *_ in self._waiting or ()), default=1 << 62)
        times = sorted({at for one in bars for at in one if assembler.last_ms < at < fresh})
        self._caught_up = max(times, default=0)
        for at in times:
            for column, one in enumerate(bars):
                if at in one:
                    price, *more = one[at]
                    self._give(assembler.bar(column, at, price, time.monotonic() * 1000.0, more))

    def remember(self, ts: Ints, price: Floats, columns: Mapping[str, Floats]) -> None:
        """Rows that were journaled (T,), (T, N): as they were decided on, whatever the exchange says of them now."""
        more = np.stack([columns[name] for name in self.columns], 1) if self.columns else np.empty((len(ts), 0, 1))
        self._journaled = {int(at) // _MS: (price[k], more[k]) for k, at in enumerate(ts.tolist())}

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
