"""Nautilus' sandbox exchange with our fill and fee models, and a data client that brings scans one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any, Protocol

from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.execution import SandboxExecutionClient
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.config import LiveDataClientConfig
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.factories import LiveDataClientFactory, LiveExecClientFactory
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import CustomData
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.objects import Money

from dolphin.live.exchange import VENUE, Exchange, SlippedFills
from dolphin.live.scan import SCAN_CLIENT

#: More than any strategy asks for: sizes and limits are the core's and the session's business.
LEVERAGE = Decimal(1000)


class Acknowledged(Protocol):
    """Who takes scans in and says when one is done with."""

    async def ready(self) -> None:
        """Wait until the first scan may come."""

    async def done(self, bar: int) -> None:
        """Wait until the bar of a scan is closed and everything that it sent is answered."""


class ScanClient(LiveMarketDataClient):
    """Brings the scans of a source, the next when the one before is done with (lockstep).

    Orders travel on other queues than data: without the wait a scan could pass the fills of the one before it.
    """

    def __init__(
        self, source: AsyncIterator[CustomData], taker: Acknowledged, ended: Callable[[BaseException | None], None],
        **common: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            client_id=ClientId(SCAN_CLIENT.value), venue=None, instrument_provider=InstrumentProvider(),
            config=LiveDataClientConfig(), **common,
        )  # fmt: skip
        self._source, self._taker, self._ended = source, taker, ended
        self._bringing: asyncio.Task[None] | None = None

    async def _connect(self) -> None:
        self._bringing = asyncio.get_running_loop().create_task(self._bring())

    async def _disconnect(self) -> None:
        if self._bringing is not None:
            self._bringing.cancel()

    async def _subscribe(self, command: Any) -> None:
        """There is one kind of data, and it comes anyway."""

    async def _unsubscribe(self, command: Any) -> None:
        """See above."""

    async def _bring(self) -> None:
        failure: BaseException | None = None
        try:
            await self._taker.ready()
            async for scan in self._source:
                self._handle_data(scan)
                await self._taker.done(scan.data.bar)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failure = error
        self._ended(failure)


def data_factory(
    source: AsyncIterator[CustomData], taker: Acknowledged, ended: Callable[[BaseException | None], None]
) -> type[LiveDataClientFactory]:
    """A factory of the client of this source; Nautilus makes clients itself."""

    class Factory(LiveDataClientFactory):
        @staticmethod
        def create(loop, name, config, msgbus, cache, clock):  # type: ignore[no-untyped-def]
            return ScanClient(source, taker, ended, loop=loop, msgbus=msgbus, cache=cache, clock=clock)

    return Factory


def exec_factory(fills: SlippedFills, exchange: Exchange) -> type[LiveExecClientFactory]:
    """A factory of the sandbox whose exchange fills with our model and listens to ``exchange``."""

    class Factory(LiveExecClientFactory):
        @staticmethod
        def create(loop, name, config, portfolio, msgbus, cache, clock):  # type: ignore[no-untyped-def, override]
            client = SandboxExecutionClient(
                loop=loop, clock=clock, portfolio=portfolio, msgbus=msgbus, cache=cache, config=config
            )
            client.exchange.set_fill_model(fills)
            exchange.register_venue(client.exchange)
            exchange.client = client
            return client

    # Nautilus hands the portfolio to a factory of this name alone.
    Factory.__name__ = "SandboxLiveExecClientFactory"
    return Factory


def exec_config(capital: float, hedging: bool, in_parts: bool = False) -> SandboxExecutionClientConfig:
    """The sandbox's account: margin in USDT, sized and limited by nobody but us; books of one level, or several."""
    return SandboxExecutionClientConfig(
        venue=VENUE.value,
        starting_balances=[str(Money(capital, USDT))],
        base_currency="USDT",
        oms_type="HEDGING" if hedging else "NETTING",
        account_type="MARGIN",
        default_leverage=LEVERAGE,
        book_type="L2_MBP" if in_parts else "L1_MBP",
        bar_execution=False,
        trade_execution=False,
    )
