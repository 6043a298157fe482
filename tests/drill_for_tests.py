"""The fake exchange in a thread of its own, and a live session against it in this one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from dolphin.catalog import Dataset
from dolphin.catalog.store.columns import row_column
from dolphin.config import Config, columns_needed
from dolphin.core.records import Market
from dolphin.exchange import FakeExchange, SymbolRules, Tape
from dolphin.journal import JournalWriter
from dolphin.journal.header import header_of, lookback, shape_for
from dolphin.live.binance.asking import Client
from dolphin.live.binance.feed import BinanceFeed
from dolphin.live.binance.hooks import Clients
from dolphin.live.binance.journaling import LiveJournal
from dolphin.live.binance.keys import Keys
from dolphin.live.binance.node import run_node
from dolphin.live.binance.trader import LiveTrader
from dolphin.live.dressing import Dresser
from dolphin.live.feed import History
from dolphin.live.rows import own_market
from dolphin.live.session import Session

#: Strategies whose orders rest: limits with an expiry, and brackets.
COSTS = {"slippage_bps": 0.0, "fee_bps": 5.0, "maker_fee_bps": 2.0}
PAIR = {
    "strategy": "pair_reversion",
    "params": {
        "first": "SYN01USDT", "second": "BTCUSDT", "window": 30, "entry_z": 1.0, "exit_z": 0.2, "stop_z": 8.0,
        "max_hold_bars": 12, "expires": 2, "offset_bps": 2.0,
    },
    "friction": COSTS,
}  # fmt: skip
BREAKOUT = {
    "strategy": "breakout",
    "params": {
        "channel": 12, "range_bars": 6, "trail_bars": 2, "stop_atr": 1.5, "target_atr": 2.5, "max_hold_bars": 15,
        "max_positions": 3,
    },
    "friction": COSTS | {"fill_model": "bar_range"},
}  # fmt: skip

#: Seconds that anything in a drill may take before it is given up.
PATIENCE = 120.0


class ExchangeThread:
    """A fake exchange that serves in a thread until the block ends."""

    def __init__(self, tape: Tape, **options: Any) -> None:
        self.exchange = FakeExchange(tape, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> ExchangeThread:
        self._thread.start()
        self.do(self.exchange.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self.exchange.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run it in the exchange's thread and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def control(self, **asked: Any) -> dict[str, Any]:
        """What the control interface does."""
        found: dict[str, Any] = self.do(self.exchange.control(asked))
        return found

    def spawn(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run it in the exchange's thread, side by side."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def until(true: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait for a condition."""
    end = time.monotonic() + patience
    while not (found := true()):
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.005)
    return found


def rules_of(dataset: Dataset) -> list[SymbolRules]:
    """The exchange's rules for the symbols of a dataset."""
    return [
        SymbolRules(
            one.symbol,
            Decimal(one.tick_num).scaleb(-one.tick_exp),
            Decimal(one.lot_num).scaleb(-one.lot_exp),
            Decimal(repr(one.min_notional)),
        )
        for one in dataset.instruments
    ]


def tape_of_rows(dataset: Dataset, start: int, stop: int, *, ranged: bool = False) -> Tape:
    """Rows of a dataset as the exchange's klines; ``ranged`` with what they opened at and reached."""
    prices = dataset.prices()
    close = np.where(prices.age[start:stop] == 0, prices.close[start:stop], np.nan)
    more = {} if not ranged else {name: row_column(dataset, name)[start:stop] for name in ("open", "high", "low")}
    return Tape(rules_of(dataset), dataset.spacing_ns // 1_000_000, prices.ts[start:stop] // 1_000_000, close, **more)


class Drill:
    """A session of ``config`` over rows ``start`` to ``stop`` of a dataset, filled by the fake exchange."""

    def __init__(
        self, dataset: Dataset, market: Market, config: Config, start: int, stop: int, folder: Path, **exchange: Any
    ) -> None:
        self.dataset, self.market, self.config, self.start, self.stop = dataset, market, config, start, stop
        self.path = folder / "journal.arrow"
        self.name = "drill"
        self.keys = Keys("key", "secret")
        self.thread = ExchangeThread(
            tape_of_rows(dataset, start, stop, ranged="high" in columns_needed(config)),
            balance=config.account.initial_capital, **exchange,
        )  # fmt: skip
        self.deaf = False  # whether fills of resting orders may get lost
        self.during: dict[int, dict[str, Any]] = {}
        self.lost: set[int] = set()  # bars that nobody hears of
        self.ask_after = 4.0

    def history(self) -> History:
        """What was before the first row."""
        low, high = 0, self.start
        columns = {name: getattr(self.market, name)[low:high] for name in columns_needed(self.config)}
        return History(low, self.market.ts[low:high], self.market.price[low:high], self.market.age[low:high], columns)

    def journal(self) -> LiveJournal:
        """A new one."""
        header = header_of(
            self.dataset, self.market, self.config, self.start, session="live binance", versions={}, write_ahead=True,
            funded=False,
        )  # fmt: skip
        writer = JournalWriter(
            self.path, shape_for(self.market, self.config), header, policy="order", clock=time.time_ns
        )
        journal = LiveJournal(writer)
        journal.history(self.market, self.start, lookback(self.config))
        return journal

    def run(self) -> SimpleNamespace:
        """The whole session; faults of ``during`` are asked for before their rows."""
        with self.thread as thread:
            return self._run(thread)

    def _run(self, thread: ExchangeThread) -> SimpleNamespace:
        dataset, config, journal = self.dataset, self.config, self.journal()
        window = self.start, self.stop
        own = own_market(self.market, *window)
        session = Session(
            config.engine, config.params_record(), config.friction_record(), own, config.account.initial_capital,
            *window, journal=journal,
        )  # fmt: skip
        client = Client(thread.exchange.url, self.keys)
        feed = BinanceFeed(
            client, dataset.instruments, dataset.reference, dataset.spacing_ns, int(self.market.ts[0]),
            on_late=journal.late, columns=columns_needed(config),
        )  # fmt: skip
        history = self.history()
        feed.know(history)
        dresser = Dresser(config, feed)
        warm = dresser.take_history(history)
        clients = Clients()
        trader = LiveTrader(
            session, feed, client, clients, dresser.features, self.name,
            after=int(history.ts[-1]), stop_at=self.stop - 1,
            ask_after=self.ask_after,
        )  # fmt: skip
        playing = thread.spawn(self._play(thread.exchange, trader))
        try:
            run_node(trader, clients, self.keys, "testnet", thread.exchange.url)
        finally:
            playing.cancel()
            journal.writer.close()
        return SimpleNamespace(
            session=session, trader=trader, exchange=thread.exchange, state=thread.control(), warm=warm
        )

    async def _play(self, exchange: FakeExchange, trader: LiveTrader) -> None:
        """In lockstep: the next bar is played when the session has closed the one before."""
        listening = len(self.dataset.symbols)
        for bar in range(self.start, self.stop):
            if bar in self.during:
                await exchange.control(self.during[bar])
            while exchange.state()["kline_listeners"] < listening or not exchange.streams.users:
                await asyncio.sleep(0.01)
            traded = await exchange.trade_bar()
            while not self.deaf and not heard_all(exchange, trader):
                await asyncio.sleep(0.002)
            await exchange.tell_bar(traded)
            while bar not in self.lost and trader.done < bar:
                await asyncio.sleep(0.002)


def heard_all(exchange: FakeExchange, trader: LiveTrader) -> bool:
    """Whether a session knows every fill of the orders that rest."""
    known = {trade for heard in list(trader.rests.heard.values()) for trade in heard.one.parts}
    return all(str(t.id) in known for t in exchange.account.trades if t.client_id[-1] in "ls")
