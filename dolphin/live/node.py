"""A Nautilus TradingNode that hosts a session: scans come in lockstep, orders go to the sandbox exchange."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, Protocol

from nautilus_trader.common import Environment
from nautilus_trader.config import (
    CacheConfig,
    LiveDataClientConfig,
    LiveDataEngineConfig,
    LiveExecEngineConfig,
    LiveRiskEngineConfig,
    LoggingConfig,
    RoutingConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import CustomData
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.instruments import CryptoPerpetual

from dolphin.errors import DolphinError
from dolphin.live.exchange import VENUE, Exchange, SlippedFills
from dolphin.live.node_strategy import NodeStrategy
from dolphin.live.sandbox import data_factory, exec_config, exec_factory
from dolphin.live.scan import SCAN_CLIENT

#: Seconds that starting and stopping may take.
PATIENCE = 60.0


class Beside(Protocol):
    """What a node hosts beside the session, for its feed: clients of an exchange's data."""

    def data_clients(self) -> dict[str, Any]:
        """Their configurations by name."""
        ...

    def install(self, node: TradingNode) -> None:
        """Give the node their factories, and who listens to them."""
        ...


def run_node(
    strategy: NodeStrategy,
    source: AsyncIterator[CustomData],
    perpetuals: Sequence[CryptoPerpetual],
    fills: SlippedFills,
    exchange: Exchange,
    capital: float,
    *,
    hedging: bool = False,
    trader: str = "PAPER-001",
    loop: asyncio.AbstractEventLoop | None = None,
    beside: Beside | None = None,
) -> float:
    """Run until the source ends, or the node is stopped (an interrupt, :meth:`NodeStrategy.stop_node`).

    Returns
    -------
    account_total : float
        Nautilus' balance of the account.

    Raises
    ------
    BaseException
        Whatever stopped the source or the session.
    """
    loop = asyncio.new_event_loop() if loop is None else loop
    asyncio.set_event_loop(loop)
    node = TradingNode(_config(capital, hedging, exchange.in_parts, trader, beside), loop)

    def ended(failure: BaseException | None) -> None:
        strategy.ended = True
        if failure is not None:
            strategy.failure = strategy.failure or failure
        node.stop()

    strategy.attach(node, ended)
    try:
        node.trader.add_strategy(strategy)
        node.add_data_client_factory(SCAN_CLIENT.value, data_factory(source, strategy, ended))
        node.add_exec_client_factory(VENUE.value, exec_factory(fills, exchange))
        if beside is not None:
            beside.install(node)
        for instrument in perpetuals:
            node.kernel.cache.add_instrument(instrument)
        node.build()
        with warnings.catch_warnings():
            # Nautilus 1.231 calls what pandas 3 deprecates.
            warnings.filterwarnings("ignore", "Timestamp.utcnow is deprecated")
            loop.call_later(PATIENCE + 5.0, _give_up, strategy, ended)
            node.run()
        account = node.portfolio.account(VENUE)
        total = float(account.balance_total(USDT).as_double()) if account is not None else float("nan")
    finally:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Timestamp.utcnow is deprecated")
            _cancel_what_is_left(loop, source)
            node.dispose()
        asyncio.set_event_loop(None)
    if strategy.failure is not None:
        raise strategy.failure
    if not strategy.ended:
        raise DolphinError("the node stopped by itself", mend="its log says why")
    return total


def _give_up(strategy: NodeStrategy, ended: Callable[[BaseException | None], None]) -> None:
    """A node whose clients do not connect neither runs nor ends by itself."""
    if not strategy.started:
        ended(DolphinError(f"the feed's clients did not start within {PATIENCE:g} s", mend="does the exchange answer?"))


def _cancel_what_is_left(loop: asyncio.AbstractEventLoop, source: AsyncIterator[CustomData]) -> None:
    """End the source, and a worker per strategy that Nautilus leaves behind and that would complain without a loop."""
    if loop.is_closed() or loop.is_running():
        return
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    if isinstance(source, AsyncGenerator):
        loop.run_until_complete(source.aclose())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(asyncio.sleep(0.0))  # ends of generators that were let go meanwhile


def _config(
    capital: float, hedging: bool, in_parts: bool, trader: str, beside: Beside | None
) -> TradingNodeConfig:  # fmt: skip
    # Without this an exception in one of Nautilus' queues would end the process on the spot.
    calm: dict[str, Any] = {"graceful_shutdown_on_exception": True}
    own = LiveDataClientConfig(routing=RoutingConfig(default=True))
    return TradingNodeConfig(
        environment=Environment.SANDBOX,
        trader_id=TraderId(trader),
        logging=LoggingConfig(bypass_logging=True),
        cache=CacheConfig(bar_capacity=1, tick_capacity=1, drop_instruments_on_reset=False),
        data_engine=LiveDataEngineConfig(**calm),
        risk_engine=LiveRiskEngineConfig(**calm, max_order_submit_rate="1000000/00:00:01"),
        exec_engine=LiveExecEngineConfig(
            **calm,
            reconciliation=False,
            inflight_check_interval_ms=0,
            purge_closed_orders_interval_mins=1,
            purge_closed_orders_buffer_mins=0,
            purge_closed_positions_interval_mins=1,
            purge_closed_positions_buffer_mins=0,
        ),
        data_clients={SCAN_CLIENT.value: own} | ({} if beside is None else beside.data_clients()),
        exec_clients={VENUE.value: exec_config(capital, hedging, in_parts)},
        timeout_connection=PATIENCE,
        timeout_reconciliation=PATIENCE,
        timeout_portfolio=PATIENCE,
        timeout_disconnection=10.0,
        timeout_post_stop=0.0,
    )
