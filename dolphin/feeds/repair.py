"""Holes in the streams closed from the exchange's REST: trades by their numbers, books by a snapshot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from dolphin.feeds.client import Client, Failed
from dolphin.feeds.collector import MS, Collector
from dolphin.feeds.health import Health
from dolphin.feeds.messages import Depth, units
from dolphin.times import SECOND_NS, format_time

#: A hole must be this old: what is only out of order comes by itself.
GRACE_NS = SECOND_NS
PAGE = 1000
#: Seconds for which trades that are lost for good are an alert.
LOST_FADES = 3600.0


class _Past(msgspec.Struct):
    """An aggregate trade as REST gives it."""

    a: int
    p: str
    q: str
    T: int
    m: bool


class _Snapshot(msgspec.Struct):
    """A book as REST gives it."""

    lastUpdateId: int
    E: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class Repairer:
    """Looks for holes every half second and closes them.

    Parameters
    ----------
    note : callable, optional
        Gets what is missing for good.
    """

    def __init__(
        self,
        collector: Collector,
        client: Client,
        health: Health,
        *,
        note: Callable[[dict[str, Any]], None] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._of, self._client, self._health, self._note, self._clock = collector, client, health, note, clock

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(0.5):
                    await stop.wait()
            except TimeoutError:
                await self.once()

    async def once(self) -> None:
        """Close every hole that is old enough."""
        now = self._clock()
        for symbol, counted in list(self._of.trades.items()):
            for first, end, since in list(counted.missing):
                if now - since >= GRACE_NS and not await self._trades(symbol, first, end, since):
                    return
            self._health.fade(f"lost:{symbol}", LOST_FADES)
        for symbol in list(self._of.broken_books):
            await self._book(symbol)

    async def _trades(self, symbol: str, first: int, end: int, since: int) -> bool:
        """Ask for a range of trades; False where the exchange does not answer (it is asked again later)."""
        key, most = f"gap:{symbol}", self._of.settings.repair_trades
        if end - first + 1 > most:
            lost = f"{end - first + 1:,} trades of {symbol} are missing, more than are asked for ({most:,})"
            self._lose(symbol, first, end - most, since, lost)
            first = end - most + 1
            if most == 0:
                return True
        while first <= end:
            query = {"symbol": symbol, "fromId": str(first), "limit": str(min(PAGE, end - first + 1))}
            try:
                body = await self._client.get("binance", "/fapi/v1/aggTrades", query, weight=20)
                rows = msgspec.json.decode(body, type=list[_Past])
                self._enter(symbol, [row for row in rows if first <= row.a <= end])
            except (Failed, msgspec.MsgspecError, ValueError) as error:
                why = " ".join(str(error).split())[:80]
                text = f"trades {first} to {end} of {symbol} are missing, and not answered for ({why})"
                self._health.alert(key, "warning", self._of.name, text)
                return False
            reached = max((row.a for row in rows if row.a <= end), default=first - 1)
            if reached < first:
                text = f"trades {first} to {end} of {symbol} are gone: the exchange has them no more"
                self._lose(symbol, first, end, since, text)
                return True
            first = reached + 1
        self._health.clear(key)
        return True

    def _enter(self, symbol: str, rows: list[_Past]) -> None:
        counted, now = self._of.trades[symbol], self._clock()
        for row in rows:
            if counted.fill(row.a):
                self._of.counts["trades repaired"] += 1
                keep = self._of.keep_tick
                if keep is not None:
                    keep((symbol.encode(), row.T * MS, units(row.p), units(row.q), row.m, row.a, -1, -1, now))

    def _lose(self, symbol: str, first: int, end: int, since: int, text: str) -> None:
        self._of.trades[symbol].lose(first, end)
        self._of.counts["trades lost"] += end - first + 1
        self._health.alert(f"lost:{symbol}", "critical", self._of.name, text)
        if self._note:
            self._note({"symbol": symbol, "first": first, "last": end, "since": format_time(since), "what": "trades"})

    async def _book(self, symbol: str) -> None:
        try:
            body = await self._client.get("binance", "/fapi/v1/depth", {"symbol": symbol, "limit": "20"}, weight=2)
            found = msgspec.json.decode(body, type=_Snapshot)
        except (Failed, msgspec.MsgspecError) as error:
            why = " ".join(str(error).split())[:80]
            text = f"the book of {symbol} has a hole, and no snapshot is answered ({why})"
            self._health.alert(f"book:{symbol}", "warning", self._of.name, text)
            return
        self._of.repaired_book(Depth(symbol, found.lastUpdateId, 0, found.E, found.bids, found.asks))
        self._health.clear(f"book:{symbol}")
