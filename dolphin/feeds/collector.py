"""Streams of the exchange as they come: checked for what is missing, twice or out of order, repaired, measured, kept.

Per symbol: best bid and offer, twenty levels every 500 ms, aggregate trades; and all liquidations. A connection that
ends, or says nothing for too long, is made again and subscribed anew; the trades of the time between are asked for by
their numbers. A hole in a book is closed by a snapshot.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp
import msgspec

from dolphin.feeds.bars import Rings
from dolphin.feeds.health import Health
from dolphin.feeds.liquidations import Liquidations
from dolphin.feeds.messages import Depth, Forced, Quote, Trade, decode, units
from dolphin.feeds.meter import Books, Record
from dolphin.feeds.sequence import Counted
from dolphin.feeds.sources import FeedSettings
from dolphin.freshness import LIMITS
from dolphin.times import SECOND_NS

MS = 10**6
#: A quote older than this is not taken (the limit of a book's freshness); ahead of us by more, a clock is wrong.
STALE_NS, AHEAD_NS = LIMITS["order_book"].dead_after, SECOND_NS // 2
#: Streams a subscription, subscriptions a second: the exchange cuts who sends more than ten messages a second.
PER_MESSAGE, MESSAGE_PAUSE = 40, 0.25
#: Seconds without an answer to a subscription.
UNANSWERED = 10.0
#: Seconds between two attempts to connect: the first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
#: Seconds after which a message that was wrong is no alert any more.
FADES = 60.0
#: One tick message in so many is timed.
SAMPLED = 64

Row = tuple[Any, ...]


class Collector:
    """What every message means; :meth:`run` brings the messages.

    Parameters
    ----------
    streams : iterable of str
        Names as the exchange has them (:func:`streams_of`).
    books : Books, optional
        Meters of the books.
    keep_tick : callable, optional
        Gets a row per trade: symbol, ts, price, quantity, buyer is maker, trade id, bid, ask, received.
    keep_book : callable, optional
        Gets a record per symbol and interval.
    bars : Rings, optional
        The newest bars of each symbol, made of its trades.
    trades : dict of str to Counted
        Where each symbol's trades stand in the recording.
    clock : callable
        ns UTC.
    """

    def __init__(
        self,
        settings: FeedSettings,
        health: Health,
        streams: Iterable[str],
        *,
        books: Books | None = None,
        liquidations: Liquidations | None = None,
        keep_tick: Callable[[Row], None] | None = None,
        keep_book: Callable[[Record], None] | None = None,
        bars: Rings | None = None,
        trades: dict[str, Counted] | None = None,
        clock: Callable[[], int] = time.time_ns,
        name: str = "stream",
    ) -> None:
        self.settings, self._health, self.streams, self._clock, self.name = (
            settings,
            health,
            tuple(streams),
            clock,
            name,
        )
        self.books, self._bars, self._liquidations = books, bars, liquidations
        self.keep_tick, self._keep_book = keep_tick, keep_book
        self._silence = settings.seconds("silence")
        self._part = health.component(name, limit_s=max(30.0, 3.0 * self._silence))
        self.counts: Counter[str] = self._part.counts
        self.trades = trades if trades is not None else {}
        self._book_seq: dict[str, int] = {}
        self._quotes: dict[str, tuple[int, int]] = {}
        self.broken_books: set[str] = set()
        self._asked: dict[int, float] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._received = 0.0
        self._heard = False

    # ---- a message

    def take(self, text: str | bytes) -> None:
        """One message of the combined stream, received now."""
        now = self._clock()
        try:
            message = decode(text)
        except msgspec.MsgspecError as error:
            self.counts["unreadable"] += 1
            why = " ".join(str(error).split())[:80]
            self._health.alert(f"{self.name}:unreadable", "warning", self.name, f"a message is none of ours ({why})")
            self._part.judge("messages", False)
            return
        if self.books is not None and now >= self.books.end_ns:
            self.close_interval(now)
        data = message.data
        self.counts["messages"] += 1
        self._part.judge("messages", True)
        try:
            if type(data) is Quote:
                self._quote(data, now)
            elif type(data) is Trade:
                self._trade(data, now)
            elif type(data) is Depth:
                self._depth(data)
            elif type(data) is Forced:
                self._forced(data, now)
            elif message.id is not None:
                self._answered(message.id, message.error)
        except (ValueError, ArithmeticError) as error:
            self.counts["unreadable"] += 1
            why = " ".join(str(error).split())[:80]
            self._health.alert(f"{self.name}:unreadable", "warning", self.name, f"a message holds no number ({why})")
            self._part.judge("messages", False)

    def _quote(self, quote: Quote, now: int) -> None:
        symbol, seq, late = quote.s, quote.u, now - quote.E * MS
        if not -AHEAD_NS <= late <= STALE_NS:
            self._wrong_time(symbol, late)
            if late > 0:
                self._part.judge("quotes", False)
                return
        bid, ask = float(quote.b), float(quote.a)
        if self.books is not None:
            meter = self.books.of(symbol)
            if seq <= meter.seq:
                self.counts["quotes twice or late"] += 1
                return
            if not 0.0 < bid <= ask:
                self.counts["quotes crossed"] += 1
                self._part.judge("quotes", False)
                return
            meter.quote(seq, bid, float(quote.B), ask, float(quote.A))
        self._part.judge("quotes", True)
        if self.keep_tick is not None:
            self._quotes[symbol] = (round(bid * 1e8), round(ask * 1e8))

    def _wrong_time(self, symbol: str, late: int) -> None:
        """A quote that is too old is not taken; one of the future is, and one of the clocks is wrong."""
        if late > 0:
            self.counts["quotes stale"] += 1
            text = f"the exchange sends quotes of {symbol} that are {late / SECOND_NS:.1f} s old; they are not taken"
            self._health.alert(f"{self.name}:stale", "warning", self.name, text)
        else:
            self.counts["quotes of the future"] += 1
            text = f"quotes of {symbol} are {-late / SECOND_NS:.1f} s ahead of this machine's clock"
            self._health.alert(f"{self.name}:clock", "warning", self.name, text)

    def _trade(self, trade: Trade, now: int) -> None:
        symbol = trade.s
        counted = self.trades.get(symbol)
        if counted is None:
            counted = self.trades[symbol] = Counted()
        verdict = counted.take(trade.a, now)
        if verdict == "twice":
            self.counts["trades twice"] += 1
            return
        if verdict != "next":
            self.counts[f"trades {verdict}"] += 1
        self.counts["trades"] += 1
        if self.counts["trades"] % SAMPLED == 0:
            self._part.took("exchange to here", (now - trade.T * MS) / 1e6)
        if self.books is not None:
            self.books.of(symbol).traded += float(trade.q)
        if self._bars is not None:
            self._bars.trade(symbol, trade.a, trade.T * MS, float(trade.p), float(trade.q))
        if self.keep_tick is not None:
            bid, ask = self._quotes.get(symbol, (-1, -1)) if verdict != "late" else (-1, -1)
            self.keep_tick(
                (symbol.encode(), trade.T * MS, units(trade.p), units(trade.q), trade.m, trade.a, bid, ask, now)
            )

    def _depth(self, depth: Depth) -> None:
        symbol, last = depth.s, self._book_seq.get(depth.s)
        if last is not None and depth.u <= last:
            self.counts["books twice or late"] += 1
            return
        self._book_seq[symbol] = depth.u
        if last is not None and depth.pu != last:
            self.counts["books gap"] += 1
            self.broken_books.add(symbol)  # until a snapshot, or the next message, which is one
        elif symbol in self.broken_books:
            self.broken_books.discard(symbol)
        self._levels(depth)

    def _levels(self, depth: Depth) -> None:
        if self.books is not None:
            bids = sum([float(level[1]) for level in depth.b])
            self.books.of(depth.s).levels = (bids, sum([float(level[1]) for level in depth.a]))

    def repaired_book(self, depth: Depth) -> None:
        """A snapshot of the levels, where a message was lost; a later message goes before it."""
        self.broken_books.discard(depth.s)
        if depth.u > self._book_seq.get(depth.s, 0):
            self._levels(depth)  # its number is not one of the stream, whose next message names the one before
            self.counts["books repaired"] += 1

    def _forced(self, forced: Forced, now: int) -> None:
        if self._liquidations is not None:
            order = forced.o
            self._liquidations.add(now, float(order.ap) * float(order.z), order.S == "SELL")
            self.counts["liquidations"] += 1

    def _answered(self, number: int, error: Any) -> None:
        self._asked.pop(number, None)
        key = f"{self.name}:subscription"
        if error is not None:
            self._health.alert(key, "critical", self.name, f"a subscription is refused: {error.code} {error.msg}")
        elif not self._asked:
            self._health.clear(key)

    def close_interval(self, now: int) -> None:
        """Make the records of the interval that is over."""
        if self.books is not None:
            for record in self.books.due(now):
                self.counts["book records"] += 1
                if self._keep_book is not None:
                    self._keep_book(record)

    # ---- the connection

    async def run(self, stop: asyncio.Event) -> None:
        """Connect, subscribe, take; again after every end, with growing pauses, until told to stop."""
        if not self.streams:
            return
        pause, key = FIRST_PAUSE, f"{self.name}:connection"
        ticking = asyncio.create_task(self._tick(stop))
        try:
            while not stop.is_set():
                self._heard, why = False, "the exchange ended it"
                try:
                    await self._session(stop)
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    why = " ".join(str(error).split())[:80] or type(error).__name__
                if stop.is_set():
                    break
                self.counts["connections lost" if self._heard else "connections refused"] += 1
                self._health.alert(key, "warning", self.name, f"no connection ({why}); tried again")
                pause = FIRST_PAUSE if self._heard else min(LONGEST_PAUSE, 2.0 * pause)
                try:
                    async with asyncio.timeout(pause * random.uniform(0.5, 1.0)):
                        await stop.wait()
                except TimeoutError:
                    continue
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)

    async def _session(self, stop: asyncio.Event) -> None:
        url = f"{self.settings.base('binance_ws')}/stream"
        timeout = aiohttp.ClientTimeout(total=None, connect=10.0, sock_connect=10.0)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.ws_connect(url, max_msg_size=8 << 20, compress=0) as socket,
        ):
            self._socket, self._received = socket, time.monotonic()
            self._asked.clear()
            self._book_seq.clear()
            closing = asyncio.create_task(self._close_at(stop, socket))
            subscribing = asyncio.create_task(self._subscribe(socket))
            try:
                async for message in socket:
                    if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                        self._received = time.monotonic()
                        self.take(message.data)
                        if not self._heard:
                            self._heard = True
                            self.counts["connections"] += 1
                            self._health.clear(f"{self.name}:connection")
            finally:
                self._socket = None
                for task in (closing, subscribing):
                    task.cancel()
                await asyncio.gather(closing, subscribing, return_exceptions=True)

    async def _subscribe(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        for number, first in enumerate(range(0, len(self.streams), PER_MESSAGE), 1):
            names = list(self.streams[first : first + PER_MESSAGE])
            self._asked[number] = time.monotonic()
            await socket.send_json({"method": "SUBSCRIBE", "params": names, "id": number})
            await asyncio.sleep(MESSAGE_PAUSE)

    async def _close_at(self, stop: asyncio.Event, socket: aiohttp.ClientWebSocketResponse) -> None:
        await stop.wait()
        await socket.close()

    async def _tick(self, stop: asyncio.Event) -> None:
        """Watch for silence and unanswered subscriptions; close intervals where no message does."""
        while not stop.is_set():
            await asyncio.sleep(min(0.25, self._silence / 4.0))
            now, monotonic = self._clock(), time.monotonic()
            self.close_interval(now)
            for what in ("unreadable", "stale", "clock"):
                self._health.fade(f"{self.name}:{what}", FADES)
            if self._socket is None:
                continue
            quiet = monotonic - self._received
            if quiet < self._silence:
                self._part.last_ns = now
                if self._liquidations is not None:
                    self._liquidations.heard(now)
            unanswered = any(monotonic - since > UNANSWERED for since in self._asked.values())
            # a stream of liquidations alone may be quiet for minutes; the exchange's pings do not come through
            if unanswered or (quiet > self._silence and self._fast):
                self.counts["silences"] += 1
                why = "a subscription is not answered" if unanswered else f"nothing for {quiet:.1f} s"
                self._health.alert(f"{self.name}:silence", "warning", self.name, f"{why}; connected anew")
                self._received = monotonic
                await self._socket.close()
            else:
                self._health.clear(f"{self.name}:silence")

    @property
    def _fast(self) -> bool:
        return any(not stream.startswith("!") for stream in self.streams)


def streams_of(symbols: Iterable[str], *, books: bool, ticks: bool, liquidations: bool) -> list[str]:
    """The names of the streams that these parts need."""
    kinds = ["bookTicker", "aggTrade"] if books or ticks else []
    if books:
        kinds.append("depth20@500ms")
    found = [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in kinds]
    return [*found, "!forceOrder@arr"] if liquidations else found
