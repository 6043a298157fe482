"""The feed ``binance`` of a paper session: closed klines of the exchange through Nautilus' own data client, no keys.

Rows are assembled as live trading assembles them (:class:`~dolphin.live.binance.feed.BinanceFeed`). What came before
the streams were open is asked for: history from the catalog and, for what it lacks, from the exchange; rows that a
session missed while it was away come with the exchange's prices and without trading.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import msgspec
import numpy as np
from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar

from dolphin.catalog import Dataset
from dolphin.catalog.store.filling import Filler
from dolphin.errors import DolphinError, Refused
from dolphin.live.binance.asking import Client
from dolphin.live.binance.assembler import Fetched, Late
from dolphin.live.binance.feed import BinanceFeed
from dolphin.live.binance.hooks import (
    BINANCE,
    REST,
    Clients,
    bar_type,
    client_configs,
    close_ms,
    close_price,
    instrument_id,
)
from dolphin.live.binance.keys import Keys
from dolphin.live.binance.safety import grid_differences
from dolphin.live.feed import History, Row

#: Seconds after a kline's close from which on the exchange's REST interface is taken to have it.
SETTLED = 1.0

_MS = 1_000_000
#: Public data is asked for without any.
_NO_KEYS = Keys("", "")


class Listener(Actor):
    """Hears the exchange's klines in the node and hands them on."""

    def __init__(self, heard: Callable[[Bar], None]) -> None:
        super().__init__(ActorConfig(component_id="KLINES"))
        self._heard = heard

    def on_bar(self, bar: Bar) -> None:
        """A closed kline."""
        self._heard(bar)


class KlineFeed:
    """Rows of an exchange's closed klines.

    Parameters
    ----------
    dataset : Dataset
        Symbols, ticks, spacing, reference and row 0 as research has them; its rows are the history that it holds.
    environment : str
        ``live``, ``testnet`` or ``demo``.
    url : str, optional
        Another exchange's REST address, such as a drill's.
    """

    def __init__(self, dataset: Dataset, environment: str = "live", url: str | None = None) -> None:
        self.name, self._dataset, self._environment, self._url = "binance", dataset, environment, url
        self.instruments, self.symbols = dataset.instruments, dataset.symbols
        self.reference, self.spacing_ns = dataset.reference, dataset.spacing_ns
        self.client = Client(url or REST[environment])
        self.on_late: Callable[[Late], None] | None = None
        self.on_fetched: Callable[[Fetched], None] | None = None
        self._inner = BinanceFeed(
            self.client, dataset.instruments, dataset.reference, dataset.spacing_ns, int(dataset.grid()[0]),
            on_late=self._late,
        )  # fmt: skip
        self._inner.on_fetched = self._fetched
        self._clients, self._listener = Clients(), Listener(self._heard)
        self._columns = {instrument_id(symbol): j for j, symbol in enumerate(self.symbols)}
        self._waiting: list[tuple[int, int, float]] | None = []
        self._begin: int | None = None
        self._closed = False

    # Before it begins ---------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Refuse a market that is not research's.

        Raises
        ------
        Refused
            With a line per symbol that the exchange does not trade, or whose tick, lot or least notional is another.
        """
        reasons = grid_differences(self.instruments, await self.client.exchange_info())
        if reasons:
            raise Refused(
                f"{len(reasons)} symbols are not what research knew: {'; '.join(reasons)}", where="the exchange",
                details=reasons,
            )  # fmt: skip

    async def skew_ms(self) -> float:
        """How far this machine's clock is ahead of the exchange's."""
        before = time.time()
        server = await self.client.server_time()
        return (before + time.time()) * 500.0 - server

    # In the node --------------------------------------------------------------------------------------------------

    def data_clients(self) -> dict[str, Any]:
        """See :class:`~dolphin.live.node.Beside`."""
        config = client_configs(self.symbols, _NO_KEYS, self._environment, self._url)[0]
        # With a key the adapter would ask for the account's fees, too.
        return {BINANCE: msgspec.structs.replace(config, api_key=None, api_secret=None)}

    def install(self, node: TradingNode) -> None:
        """See :class:`~dolphin.live.node.Beside`."""
        node.add_data_client_factory(BINANCE, self._clients.data_factory)
        node.trader.add_actor(self._listener)

    def _heard(self, bar: Bar) -> None:
        told = self._columns[bar.bar_type.instrument_id], close_ms(bar), close_price(bar)
        if self._waiting is not None:
            self._waiting.append(told)
        else:
            self._inner.bar(*told)

    def _late(self, late: Late) -> None:
        if self.on_late is not None:
            self.on_late(late)

    def _fetched(self, fetched: Fetched) -> None:
        if self.on_fetched is not None:
            self.on_fetched(fetched)

    # Rows ---------------------------------------------------------------------------------------------------------

    async def history(self, rows: int, after: int | None) -> History:
        """See :class:`~dolphin.live.feed.Feed`: the catalog's rows, and the exchange's behind them."""
        last = await self._newest() if after is None else after
        first = max(int(self._dataset.grid()[0]), last - (rows - 1) * self.spacing_ns)
        grid = np.arange(first, last + 1, self.spacing_ns, dtype=np.int64)
        price = np.full((len(grid), len(self.symbols)), np.nan)
        known = self._of_catalog(grid, price)
        if known < len(grid):
            asked = await self._inner.history(len(grid) - known, last)
            for k, ts in enumerate(asked.ts.tolist()):
                if ts >= grid[known]:
                    real = asked.age[k] == 0
                    price[(ts - first) // self.spacing_ns, real] = asked.price[k, real]
        age = np.empty(price.shape, np.int32)
        Filler(len(self.symbols))(price, age)
        number = self._inner.number(int(grid[0])) if len(grid) else 0
        found = History(number, grid, price, age, whole=number == 0)
        if after is None:
            self._begin = last
        self._inner.know(found)
        return found

    def _of_catalog(self, grid: np.ndarray, price: np.ndarray) -> int:
        """Fill in what the dataset holds of the grid; how many rows that is, from the first on."""
        prices = self._dataset.prices()
        low = int(np.searchsorted(prices.ts, grid[0])) if len(grid) else 0
        count = min(len(grid), len(prices.ts) - low)
        if count > 0:
            part = slice(low, low + count)
            price[:count] = np.where(prices.age[part] == 0, prices.close[part], np.nan)
        return max(count, 0)

    async def _newest(self) -> int:
        """The close of the newest kline that is closed, ns."""
        found = await self._inner.newest()
        if found is None:
            raise DolphinError("the exchange has no klines yet", where=self.reference, mend="wait until it has")
        return found * _MS

    async def rows(self, after: int | None) -> AsyncIterator[Row]:
        """See :class:`~dolphin.live.feed.Feed`; what closed before the streams were open is asked for."""
        last = self._begin if after is None else after
        await self._listen()
        await asyncio.sleep(SETTLED)
        newest = await self._newest()
        if last is None:
            last = newest
        # A few rows more, so that what has not traded since keeps its price and age.
        margin = 10
        missed = await self.history((newest - last) // self.spacing_ns + margin, newest) if newest > last else None
        if missed is not None:
            for row in _rows_of(missed, last):
                yield row
        else:
            await self.history(margin, last)
        async with aclosing(self._inner.rows(max(newest, last))) as inner:  # type: ignore[type-var]
            first = asyncio.ensure_future(anext(inner, None))
            await asyncio.sleep(0)  # from here on bars are taken
            waiting, self._waiting = self._waiting or [], None
            for told in waiting:
                if told[1] * _MS > max(newest, last):
                    self._inner.bar(*told)
            fresh: Row | None = await first
            while fresh is not None:
                yield fresh
                fresh = await anext(inner, None)

    async def _listen(self) -> None:
        self._clients.name_streams(self.symbols, self._inner.interval)
        for symbol in self.symbols:
            self._listener.subscribe_bars(bar_type(symbol, self.spacing_ns))
        await self._clients.connect_streams()

    async def close(self) -> None:
        """See :class:`~dolphin.live.feed.Feed`."""
        if not self._closed:
            self._closed = True
            await self._inner.close()
            await self.client.close()


def _rows_of(history: History, after: int) -> list[Row]:
    """The rows of a history behind a time, on which nothing is traded."""
    return [
        Row(
            history.first + k, int(ts), history.price[k], history.age[k], trade=False, local=time.time_ns()
        )
        for k, ts in enumerate(history.ts.tolist())
        if ts > after
    ]  # fmt: skip
