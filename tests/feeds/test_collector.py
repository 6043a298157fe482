"""Streams that drop, repeat, swap, cut and end: every trade is recorded once, and what was wrong is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from feed_server import Fake, fake, until

from dolphin.feeds.client import Client
from dolphin.feeds.collector import Collector, Row, streams_of
from dolphin.feeds.health import Health
from dolphin.feeds.liquidations import Liquidations
from dolphin.feeds.meter import Books
from dolphin.feeds.repair import Repairer
from dolphin.feeds.sequence import Counted
from dolphin.feeds.sources import parse_settings

SYMBOLS = ("BTCUSDT", "ETHUSDT")


class Listening:
    """A collector with its repairs on a fake exchange."""

    def __init__(self, made: Fake, client: Client, settings: Any, streams: list[str], **more: Any) -> None:
        self.fake, self.client, self.health = made, client, Health()
        self.rows: list[Row] = []
        self.lost: list[dict[str, Any]] = []
        self.books = Books(100_000_000)
        self.liquidations = Liquidations()
        self.collector = Collector(
            settings, self.health, streams, books=self.books, liquidations=self.liquidations,
            keep_tick=self.rows.append, **more,
        )  # fmt: skip
        self.repairer = Repairer(self.collector, client, self.health, note=self.lost.append)

    def ids(self, symbol: str) -> list[int]:
        return sorted(row[5] for row in self.rows if row[0] == symbol.encode())

    async def whole(self, symbol: str, first: int = 1) -> None:
        """Wait until every trade of the exchange is here, once."""
        count = len(self.fake.trades[symbol])
        await until(lambda: len(self.ids(symbol)) >= count - first + 1, "every trade")
        assert self.ids(symbol) == list(range(first, count + 1))


def listening(
    body: Callable[[Listening], Awaitable[None]], *, trades: dict[str, Counted] | None = None, **settings: Any
) -> None:
    """Run a test's coroutine function with a collector that listens."""

    async def whole() -> None:
        async with fake() as made:
            chosen = parse_settings(made.settings(symbols=SYMBOLS, **settings), "test")
            streams = streams_of(SYMBOLS, books=True, ticks=True, liquidations=True)
            async with Client(chosen, Health()) as client:
                heard, stop = Listening(made, client, chosen, streams, trades=trades), asyncio.Event()
                tasks = [asyncio.create_task(part.run(stop)) for part in (heard.collector, heard.repairer)]
                try:
                    await made.subscribed("!forceOrder@arr")
                    await body(heard)
                finally:
                    stop.set()
                    await asyncio.gather(*tasks)

    asyncio.run(whole())


def test_messages_become_ticks_books_and_liquidations() -> None:
    async def body(heard: Listening) -> None:
        for _ in range(5):
            await heard.fake.quote("BTCUSDT")
            await heard.fake.depth("BTCUSDT")
            trade = await heard.fake.trade("BTCUSDT")
        await heard.fake.liquidation("ETHUSDT", "SELL", 2000.0, 1.5)
        await heard.whole("BTCUSDT")
        symbol, ts, price, quantity, maker, number, bid, ask, received = heard.rows[-1]
        assert (symbol, ts, maker, number) == (b"BTCUSDT", trade["T"] * 10**6, trade["m"], 5)
        assert price == round(float(trade["p"]) * 1e8) and quantity == round(float(trade["q"]) * 1e8)
        assert (bid, ask) == (100 * 10**8, 10_010_000_000) and received >= ts
        await until(lambda: heard.liquidations.minutes and heard.liquidations.minutes[-1][1] == 3000.0, "liquidation")
        await until(lambda: "BTCUSDT" in heard.books.latest, "a book record without a further message")
        assert heard.books.latest["BTCUSDT"].bids > 0.0
        assert not heard.health.active

    listening(body)


def test_what_is_dropped_doubled_swapped_or_cut_is_repaired() -> None:
    async def body(heard: Listening) -> None:
        heard.fake.mess = {"drop": 0.1, "twice": 0.1, "late": 0.1, "cut": 0.05}
        for k in range(400):
            for symbol in SYMBOLS:
                await heard.fake.trade(symbol)
                await heard.fake.quote(symbol)
                await heard.fake.depth(symbol)
            if k % 20 == 0:
                await asyncio.sleep(0.01)
        heard.fake.mess = {}
        for symbol in SYMBOLS:
            await heard.fake.trade(symbol)
        for symbol in SYMBOLS:
            await heard.whole(symbol, heard.ids(symbol)[0] if heard.ids(symbol) else 1)
        counts = heard.collector.counts
        for what in ("trades gap", "trades late", "trades twice", "trades repaired", "unreadable", "books gap"):
            assert counts[what] > 0, what
        assert "none of ours" in heard.health.active["stream:unreadable"].text and not heard.lost
        await until(lambda: not heard.collector.broken_books, "books repaired")

    listening(body)


def test_a_storm_of_disconnects_loses_nothing() -> None:
    async def body(heard: Listening) -> None:
        await heard.fake.trade("BTCUSDT")
        await heard.whole("BTCUSDT")
        for _ in range(5):
            await heard.fake.drop_all()
            for _ in range(10):
                await heard.fake.trade("BTCUSDT")
            await heard.fake.subscribed("btcusdt@aggTrade")
        await heard.fake.trade("BTCUSDT")
        await heard.whole("BTCUSDT")
        assert heard.collector.counts["connections lost"] >= 5 and heard.collector.counts["trades repaired"] > 0
        await until(lambda: "stream:connection" not in heard.health.active, "alert cleared")
        said = [alert.text for alert in heard.health.past if alert.key == "stream:connection"]
        assert said and said[0].startswith("no connection")

    listening(body)


def test_silence_on_an_open_connection_is_noticed() -> None:
    async def body(heard: Listening) -> None:
        await heard.fake.trade("BTCUSDT")
        await heard.whole("BTCUSDT")
        heard.fake.mute = True
        await heard.fake.trade("BTCUSDT")
        await until(lambda: heard.collector.counts["silences"] > 0, "silence")
        heard.fake.mute = False
        await until(lambda: heard.collector.counts["connections"] >= 2, "connected anew")
        await heard.fake.subscribed("btcusdt@aggTrade")
        await heard.fake.trade("BTCUSDT")
        await heard.whole("BTCUSDT")

    listening(body, silence="1s")


def test_trades_of_the_time_that_nobody_recorded_are_asked_for_and_what_is_gone_is_said() -> None:
    async def body(heard: Listening) -> None:
        heard.fake.faults = {"aggTrades": [500, 500, ("json",)]}
        for _ in range(3000):
            heard.fake.trades.setdefault("BTCUSDT", []).append(
                {"a": len(heard.fake.trades["BTCUSDT"]) + 1, "p": "1.0", "q": "1.0", "T": 1, "m": False}
            )
        await heard.fake.trade("BTCUSDT")
        await heard.whole("BTCUSDT", 501)  # 500 were recorded before, and at most 2600 of a hole are asked for
        assert not heard.lost
        for number in (1, 5000):  # of a symbol whose past the exchange does not have
            data = {"e": "aggTrade", "s": "ETHUSDT", "a": number, "p": "1", "q": "1", "T": 1, "m": True}
            heard.collector.take(json.dumps({"stream": "ethusdt@aggTrade", "data": data}))
        await until(lambda: len(heard.lost) == 2, "lost")
        assert [(line["first"], line["last"]) for line in heard.lost] == [(2, 2399), (2400, 4999)]
        assert heard.collector.counts["trades lost"] == 4998
        assert "the exchange has them no more" in heard.health.active["lost:ETHUSDT"].text
        assert heard.health.status() == "critical"

    listening(body, trades={"BTCUSDT": Counted(500)}, repair_trades=2600)


def test_prices_of_another_time_are_not_taken() -> None:
    async def body(heard: Listening) -> None:
        await heard.fake.quote("BTCUSDT", late_ms=40_000)
        await until(lambda: heard.collector.counts["quotes stale"] == 1, "stale")
        assert heard.books.of("BTCUSDT").count == 0 and not heard.books.latest
        assert "old; they are not taken" in heard.health.active["stream:stale"].text
        heard.fake.skew_ms = 7000
        await heard.fake.quote("BTCUSDT")
        await until(lambda: heard.collector.counts["quotes of the future"] == 1, "skew")
        assert "ahead of this machine's clock" in heard.health.active["stream:clock"].text

    listening(body)


def test_crossed_quotes_and_refused_subscriptions() -> None:
    async def body(heard: Listening) -> None:
        base = {"e": "bookTicker", "s": "BTCUSDT", "B": "1", "A": "1", "T": 1}
        now = heard.collector._clock() // 10**6
        for k, (bid, ask) in enumerate([("101", "100"), ("0", "1"), ("x", "1")]):
            data = {**base, "u": k + 1, "b": bid, "a": ask, "E": now}
            heard.collector.take(json.dumps({"stream": "btcusdt@bookTicker", "data": data}))
        assert heard.collector.counts["quotes crossed"] == 2 and heard.collector.counts["unreadable"] == 1
        heard.collector.take('{"error":{"code":2,"msg":"Invalid request"},"id":1}')
        assert "refused: 2 Invalid request" in heard.health.active["stream:subscription"].text
        assert heard.health.status() == "critical"

    listening(body)
