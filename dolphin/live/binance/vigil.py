"""Looks at the exchange while a session trades: what our books do not explain sets HIBERNATE and is not touched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

from dolphin.live.binance.asking import Client
from dolphin.live.binance.reconcile import Difference, OpenIntent, reconcile
from dolphin.live.binance.requests import ExchangeError
from dolphin.live.binance.safety import MOST_SKEW_MS, clock_off

#: Seconds between two looks (RISK section 3), and until a difference is looked at again before it counts.
EVERY, AGAIN = 10.0, 0.5

#: Seconds that a look may take before the exchange counts as one that cannot be asked.
PATIENCE = 20.0

#: Good looks in a row that end a trip.
GOOD_LOOKS = 2


class Vigil:
    """What is wrong between our books and the exchange's.

    Parameters
    ----------
    client : Client
    symbols : sequence of str
    leverage : int, optional
        What every symbol must be set to; None for any.
    prefix : str
        What the session's client order ids begin with.
    books : callable
        Our signed positions by symbol; None while orders are on their way.
    resting : callable
        Our open orders that rest, as :class:`~dolphin.live.binance.reconcile.OpenIntent`.
    refresh : callable
        Asks about them: a fill or an end that nobody told of is known behind it.
    say : callable
        Receives a line when something begins or ends.

    Attributes
    ----------
    tripped : bool
        Whether the posture is HIBERNATE; ``why`` the reasons.
    blocked : str
        Why nothing may be opened, though nothing is to be closed; empty if it may.
    untouched : frozenset of str
        Symbols that no order of ours may go to.
    positions : mapping of Decimal, optional
        The exchange's at the last look.
    """

    def __init__(
        self, client: Client, symbols: Sequence[str], leverage: int | None, prefix: str,
        books: Callable[[], Mapping[str, Decimal] | None], say: Callable[[str], None],
        resting: Callable[[], Sequence[OpenIntent]] = tuple, refresh: Callable[[], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        self._client, self._symbols, self._leverage = client, tuple(symbols), leverage
        self._prefix, self._books, self._say = prefix, books, say
        self._resting, self._refresh = resting, refresh
        self.tripped, self.why = False, ()
        self.blocked = ""
        self.untouched: frozenset[str] = frozenset()
        self.positions: Mapping[str, Decimal] | None = None
        self.looks = self._good = 0

    why: tuple[str, ...]

    async def watch(self, every: float = EVERY) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(every)
            await self.look()

    async def look(self) -> None:
        """Once; where orders are on their way nothing can be said."""
        try:
            async with asyncio.timeout(PATIENCE):
                found, skew = await self._seen()
        except ExchangeError as error:
            self._block(f"the exchange cannot be asked: {error}")
            return
        except TimeoutError:
            self._block(f"the exchange cannot be asked: no answer within {PATIENCE:g} s")
            return
        self._block(clock_off(skew) if abs(skew) > MOST_SKEW_MS else "")
        if found is not None:
            self.looks += 1
            self._judge(found)

    async def _seen(self) -> tuple[tuple[Difference, ...] | None, float]:
        """What differs, if it still does half a second later, and the clocks."""
        found = await self._differences()
        if found:
            if self._refresh is not None:
                await self._refresh()
            await asyncio.sleep(AGAIN)  # what was just filled may not have come to all of the exchange
            found = await self._differences()
        return found, await self._skew()

    async def _differences(self) -> tuple[Difference, ...] | None:
        before, client = self._books(), self._client
        if before is None:
            return None
        before = dict(before)
        resting = tuple(self._resting())
        positions, orders = await client.positions(), await client.open_orders()
        there = {str(order["clientOrderId"]) for order in orders}
        if self._refresh is not None and any(one.client_id not in there for one in resting):
            await self._refresh()
            if self._books() is None:
                return None
            before = dict(self._books() or {})
        leverage = {}
        if self._leverage is not None:
            config, wanted = await client.symbol_config(), self._leverage
            known = [symbol for symbol in self._symbols if "leverage" in config.get(symbol, {})]
            leverage = {symbol: (wanted, int(config[symbol]["leverage"])) for symbol in known}
        found = reconcile(
            before, resting, {}, positions, orders, prefix=self._prefix, hedged=await client.hedged(), leverage=leverage
        )
        if self._books() != before or {one.client_id for one in self._resting()} != {one.client_id for one in resting}:
            return None
        self.positions = positions
        for order in orders:
            if order["clientOrderId"] in found.stale:  # nobody waits for it: it is cancelled, and looked at again
                self._say(f"cancelled {order['clientOrderId']}: nobody waits for it")
                await client.resolve(
                    order["symbol"], order["clientOrderId"], wait=False, conditional=bool(order.get("conditional"))
                )  # fmt: skip
        return found.differences

    async def _skew(self) -> float:
        before = time.time()
        server = await self._client.server_time()
        return server - (before + time.time()) * 500.0

    def _block(self, why: str) -> None:
        if why != self.blocked and bool(why) != bool(self.blocked):
            self._say(f"no entries: {why}" if why else "entries again: the exchange answers, and its clock is ours")
        self.blocked = why

    def _judge(self, found: tuple[Difference, ...]) -> None:
        if found:
            why = tuple(map(str, found))
            if why != self.why:
                self._say(
                    f"HIBERNATE: {'; '.join(why)}; not touched. See: dolphin trade adopt --reason, "
                    "dolphin trade flatten --reason"
                )
            self.tripped, self.why, self._good = True, why, 0
            self.untouched = frozenset(one.symbol.partition(":")[0] for one in found)
            return
        self._good += 1
        if self.tripped and self._good >= GOOD_LOOKS:
            self.release("books are equal")

    def release(self, why: str) -> None:
        """End the trip: after good looks, or because an operator explained what was not."""
        self._say(f"APEX again: {why}")
        self.tripped, self.why, self.untouched = False, (), frozenset()
