"""Bars that a stream did not bring, asked of the exchange's REST interface.

A hole before the newest bar is asked for as soon as it shows: rows wait behind it until the answer or their deadline. A
row that is not whole a second after its close is asked for in time for its own deadline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from dolphin.live.binance.asking import Client
from dolphin.live.binance.assembler import MOST, Assembler, Bar, Closed, Fetched

#: How long after its close a row that lacks bars is asked for, ms of the exchange's time: its REST interface has the
#: klines by then, and half a second is left until the row's deadline.
ASK_MS = 1000.0

#: Requests that are on their way at once.
SIDE_BY_SIDE = 16


async def ask_bars(
    client: Client,
    symbols: Mapping[int, str],
    interval: str,
    closes: Sequence[int],
    spacing_ms: int,
    places: Sequence[int] = (4,),
) -> dict[int, dict[int, Bar]]:
    """Bars by close (ms) and column, for those of ``closes`` (ascending) that the exchange has.

    Parameters
    ----------
    symbols : mapping of int to str
        Who is asked about, by column.
    places : sequence of int
        Where in a kline its close stands, and then what rows hold beside closes.

    Raises
    ------
    ExchangeError
        If it answers for none of them.
    """
    limit, last_open = (closes[-1] - closes[0]) // spacing_ms + 1, closes[-1] - spacing_ms
    wanted, found = set(closes), {close: dict[int, Bar]() for close in closes}
    free = asyncio.Semaphore(SIDE_BY_SIDE)

    async def ask(column: int, symbol: str) -> None:
        async with free:
            page = await client.klines(symbol, interval, limit, last_open)
        for one in page:
            if (close := int(one[6]) + 1) in wanted:
                price, *more = (float(one[place]) for place in places)
                found[close][column] = price, more

    told = await asyncio.gather(*(ask(*one) for one in symbols.items()), return_exceptions=True)
    failures = [one for one in told if isinstance(one, BaseException)]
    if failures and len(failures) == len(symbols):
        raise failures[0]
    return {close: bars for close, bars in found.items() if bars}


class Refetcher:
    """Asks for what a feed's rows lack.

    Parameters
    ----------
    client : Client
    symbols : sequence of str
        By column.
    interval : str
        As the exchange names it.
    places : sequence of int
        See :func:`ask_bars`.
    give : callable
        Takes the rows that close with an answer.

    Attributes
    ----------
    tell : callable, optional
        Takes what was asked for, once it is handed in.
    """

    def __init__(
        self,
        client: Client,
        symbols: Sequence[str],
        interval: str,
        places: Sequence[int],
        give: Callable[[list[Closed]], None],
    ) -> None:
        self.tell: Callable[[Fetched], None] | None = None
        self._client, self._symbols, self._interval, self._give = client, tuple(symbols), interval, give
        self._places = tuple(places)
        self._asking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._asked = self._known = 0

    def look(self, rows: Assembler) -> None:
        """Bars have come: ask for a hole before them, or plan to look at the next row in time."""
        if rows.held and self._asking is None:
            self._ask(rows, rows.holes())
        elif rows.newest != self._known:
            self._known = rows.newest
            self._plan(rows)

    async def close(self) -> None:
        """Ask nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    def _plan(self, rows: Assembler) -> None:
        """Look at the row that is due next so long before its deadline that an answer can be there in time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        close = rows.next_close(self._asked)
        if close is not None:
            wait = close + ASK_MS - rows.exchange_ms(time.monotonic() * 1000.0)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(wait / 1000.0, 0.0) + 0.001, self._lacks, rows, close)

    def _lacks(self, rows: Assembler, close: int) -> None:
        """A row is not whole so long after its close."""
        if self._asking is None and rows.last_ms is not None and close > rows.last_ms:
            self._asked = close
            self._ask(rows, [*range(rows.last_ms + rows.spacing_ms, close + 1, rows.spacing_ms)][-MOST:])

    def _ask(self, rows: Assembler, closes: list[int]) -> None:
        if closes:
            self._asking = asyncio.get_running_loop().create_task(self._fetch(rows, closes))

    async def _fetch(self, rows: Assembler, closes: list[int]) -> None:
        """Ask for the bars of some rows, and hand in what comes; without an answer rows close as they are."""
        begun, failed, told_ms = time.monotonic(), "", 0
        found: dict[int, dict[int, Bar]] = {}
        try:
            if closes[-1] > rows.newest:  # no bar of it came: is it over, by the exchange's clock, and how long since?
                told_ms = await self._client.server_time()
            if closes[-1] <= max(rows.newest, told_ms):
                symbols = {column: self._symbols[column] for column in rows.lacking(closes)}
                found = await ask_bars(self._client, symbols, self._interval, closes, rows.spacing_ms, self._places)
        except Exception as error:
            failed = " ".join(str(error).split()) or type(error).__name__
        self._asking = None
        late = sum(len(bars) for close, bars in found.items() if close <= (rows.last_ms or 0))
        took = round((time.monotonic() - begun) * 1000.0)
        told = Fetched(closes[0], closes[-1], sum(map(len, found.values())), late, took, failed)
        self._give(rows.fill(found, time.monotonic() * 1000.0, told_ms))
        self._plan(rows)
        if self.tell is not None and (told.bars or told.failed):
            self.tell(told)
