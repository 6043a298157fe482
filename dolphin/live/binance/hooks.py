"""All that is private to Nautilus' Binance adapters (1.231), and the traps of theirs that are closed here.

* In a position, a reconnect of the user stream asks for "X-PERP" and "X", doubles the fills and invents a closing one:
  the symbols of the cache are given in the exchange's spelling.
* Every stream is a SUBSCRIBE of its own, and the exchange cuts a line at ten a second: all names go out at once.
* Times pass through a float on their way from ms to ns: they are put back on the millisecond.
* The reason of an account update is read and forgotten: those of funding are told.
* A bar waits on a queue behind every other of its row: klines are read where they are heard, if somebody wants them.
* "FINISHED" of a triggered stop becomes a fill of Nautilus' own making beside the real one, which may still be on its
  queue: it is kept from it, and the order is asked about where no fill came.
* ``max_retries`` above 0 sends an order again that was executed: it is None, and nothing is ever sent twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from nautilus_trader.adapters.binance import (
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceInstrumentProviderConfig,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.adapters.binance.common.enums import BinanceAccountType, BinanceEnvironment
from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol
from nautilus_trader.adapters.binance.futures.enums import BinanceFuturesEventType
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.identifiers import InstrumentId

from dolphin.live.binance.keys import Keys
from dolphin.live.binance.kline_messages import KLINE
from dolphin.live.binance.requests import RECV_WINDOW_MS

#: The name of the clients, and of the venue.
BINANCE = "BINANCE"

#: REST and streams of the exchange by environment.
REST = {
    "live": "https://fapi.binance.com",
    "testnet": "https://testnet.binancefuture.com",
    "demo": "https://demo-fapi.binance.com",
}


def instrument_id(symbol: str) -> InstrumentId:
    """The perpetual of a symbol as the adapters name it."""
    return InstrumentId.from_str(f"{symbol}-PERP.{BINANCE}")


def bar_type(symbol: str, spacing_ns: int) -> BarType:
    """The exchange's own klines of this spacing."""
    minutes = spacing_ns // 60_000_000_000
    step, unit = (minutes, "MINUTE") if minutes < 60 else (minutes // 60, "HOUR")
    if unit == "HOUR" and step >= 24:
        step, unit = step // 24, "DAY"
    return BarType.from_str(f"{instrument_id(symbol)}-{step}-{unit}-LAST-EXTERNAL")


class Clients:
    """The factories that a node is given, and the clients that they made."""

    def __init__(self) -> None:
        made: dict[str, Any] = {}
        self._made = made
        #: Is called, in whatever thread, when the user stream tells of funding.
        self.on_funding: Callable[[], None] = lambda: None
        #: The same when it says that the order of a triggered stop has ended: its client order id.
        self.on_finished: Callable[[str], None] = lambda client_id: None
        clients = self

        class DataFactory(BinanceLiveDataClientFactory):
            @staticmethod
            def create(*given: Any, **named: Any) -> Any:
                made["data"] = BinanceLiveDataClientFactory.create(*given, **named)
                return made["data"]

        class ExecFactory(BinanceLiveExecClientFactory):
            @staticmethod
            def create(*given: Any, **named: Any) -> Any:
                client: Any = BinanceLiveExecClientFactory.create(*given, **named)
                made["exec"] = client
                cached = client._get_cache_active_symbols
                client._get_cache_active_symbols = lambda: {str(BinanceSymbol(symbol)) for symbol in cached()}
                handlers, kind = client._futures_user_ws_handlers, BinanceFuturesEventType.ACCOUNT_UPDATE
                handled = handlers[kind]

                def account_update(raw: bytes) -> None:
                    handled(raw)
                    if b"FUNDING_FEE" in raw:
                        clients.on_funding()

                algo_kind = BinanceFuturesEventType.ALGO_UPDATE
                algo_handled = handlers[algo_kind]

                def algo_update(raw: bytes) -> None:
                    if b'"FINISHED"' in raw:
                        clients.on_finished(str(json.loads(raw)["o"]["caid"]))
                    else:
                        algo_handled(raw)

                handlers |= {kind: account_update, algo_kind: algo_update}
                return client

        self.data_factory, self.exec_factory = DataFactory, ExecFactory

    def name_streams(self, symbols: Sequence[str], interval: str) -> None:
        """Name the klines of all symbols, so that subscribing to them sends nothing."""
        self._made["data"]._ws_client._streams += [f"{symbol.lower()}@kline_{interval}" for symbol in symbols]

    def hear_klines(self, tell: Callable[[bytes], None]) -> None:
        """Hand klines on as they are heard, in the loop's thread; to be called before the streams are connected."""
        socket = self._made["data"]._ws_client
        others = socket._handler

        def heard(raw: bytes) -> None:
            if KLINE in raw:
                tell(raw)
            else:
                others(raw)

        socket._handler = heard

    async def connect_streams(self) -> None:
        """Connect to all that was named, with one message."""
        await self._made["data"]._ws_client.connect()


def client_configs(symbols: Sequence[str], keys: Keys, environment: str, url: str | None) -> tuple[Any, Any]:
    """The data and the execution client's configuration; ``url`` is another exchange's than the environment's."""
    common: dict[str, Any] = {
        "account_type": BinanceAccountType.USDT_FUTURES,
        "environment": BinanceEnvironment[environment.upper()],
        "api_key": keys.key,
        "api_secret": keys.secret,
        "instrument_provider": BinanceInstrumentProviderConfig(load_ids=frozenset(map(instrument_id, symbols))),
    }
    streams: dict[str, Any] = {}
    if url is not None:
        socket = url.replace("http", "ws", 1)
        common |= {"base_url_http": url, "base_url_ws": socket}
        streams = {"base_url_ws_stream": socket}
    execution = BinanceExecClientConfig(
        **common, **streams, use_position_ids=False, max_retries=None, recv_window_ms=RECV_WINDOW_MS
    )
    return BinanceDataClientConfig(**common), execution


def close_ms(bar: Bar) -> int:
    """When a kline closed, on the grid: the adapters stamp ...59.999 with the error of a float."""
    return (int(bar.ts_event) + 500_000) // 1_000_000 + 1


def close_price(bar: Bar) -> float:
    """Its close as the float64 that the catalog holds."""
    return round(bar.close.as_double(), bar.close.precision)
