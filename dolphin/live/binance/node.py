"""A Nautilus TradingNode with the real Binance clients."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

from nautilus_trader.config import (
    CacheConfig,
    LiveDataEngineConfig,
    LiveExecEngineConfig,
    LiveRiskEngineConfig,
    LoggingConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import TraderId

from dolphin.errors import DolphinError
from dolphin.live.binance.hooks import BINANCE, Clients, client_configs
from dolphin.live.binance.keys import Keys
from dolphin.live.binance.trader import LiveTrader

#: Seconds after which a node that did not start is given up: it neither runs nor ends by itself.
STARTING = 30.0


def run_node(
    trader: LiveTrader, clients: Clients, keys: Keys, environment: str, url: str | None = None,
    *, loop: asyncio.AbstractEventLoop | None = None,
) -> None:  # fmt: skip
    """Run until the trader ends the node; the loop is closed behind it.

    Raises
    ------
    DolphinError
        If the node does not start (a wrong key, an exchange that is down).
    BaseException
        Whatever stopped the trader.
    """
    loop = asyncio.new_event_loop() if loop is None else loop
    asyncio.set_event_loop(loop)
    data, execution = client_configs(trader.feed.symbols, keys, environment, url)
    with warnings.catch_warnings():
        # Nautilus 1.231 calls what pandas 3 deprecates.
        warnings.filterwarnings("ignore", "Timestamp.utcnow is deprecated")
        node = TradingNode(_config(data, execution), loop)
        try:
            node.trader.add_strategy(trader)
            node.add_data_client_factory(BINANCE, clients.data_factory)
            node.add_exec_client_factory(BINANCE, clients.exec_factory)
            node.build()
            trader.attach(node.stop)
            watch = loop.call_later(STARTING, _give_up, trader, node)
            node.run()
            watch.cancel()
        finally:
            _wind_up(loop, trader)
            node.dispose()
            asyncio.set_event_loop(None)
    if trader.failure is not None:
        raise trader.failure


def _wind_up(loop: asyncio.AbstractEventLoop, trader: LiveTrader) -> None:
    """Close connections and end the tasks that Nautilus leaves behind, while there is a loop to do it in."""
    if loop.is_closed() or loop.is_running():
        return
    loop.run_until_complete(trader.close())
    tasks = list(asyncio.all_tasks(loop))
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


def _give_up(trader: LiveTrader, node: TradingNode) -> None:
    if not trader.started:
        trader.failure = DolphinError(
            f"the exchange's clients did not start within {STARTING:g} s",
            mend="check the keys, the account's position mode and whether the exchange answers",
        )
        node.stop()


def _config(data: Any, execution: Any) -> TradingNodeConfig:
    # Without this an exception in a callback would end the process on the spot.
    calm: dict[str, Any] = {"graceful_shutdown_on_exception": True}
    return TradingNodeConfig(
        trader_id=TraderId("DOLPHIN-001"),
        logging=LoggingConfig(log_level="OFF"),
        cache=CacheConfig(bar_capacity=2, tick_capacity=1, drop_instruments_on_reset=False),
        data_engine=LiveDataEngineConfig(**calm),
        risk_engine=LiveRiskEngineConfig(**calm, max_order_submit_rate="1000/00:00:01"),
        exec_engine=LiveExecEngineConfig(
            **calm,
            reconciliation_lookback_mins=1440,
            reconciliation_startup_delay_secs=0.1,
            inflight_check_interval_ms=0,
        ),
        data_clients={BINANCE: data},
        exec_clients={BINANCE: execution},
        timeout_connection=20.0,
        timeout_reconciliation=10.0,
        timeout_portfolio=10.0,
        timeout_disconnection=3.0,
        timeout_post_stop=0.1,
    )
