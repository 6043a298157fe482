"""Pages of history are asked for again where the exchange is slow, and not where it refuses."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from dolphin.catalog import Instrument
from dolphin.exchange import FakeExchange
from dolphin.exchange.tape import tape_of
from dolphin.live.binance.asking import Client
from dolphin.live.binance.feed import BinanceFeed
from dolphin.live.binance.requests import ExchangeError

MINUTE, BASE = 60_000, 29_000_000 * 60_000
INSTRUMENTS = tuple(Instrument(symbol, 2, 1, 2, 1, 3, 5.0) for symbol in ("AUSDT", "BUSDT"))
SLOW = {"where": "GET /fapi/v1/klines", "skip": 1, "delay": 3.0, "status": 504}


def history(fault):
    async def whole():
        close = np.array([[10.0 + k, 20.0 + k] for k in range(1, 7)])
        rules = {one.symbol: ("0.01", "0.001", 5.0) for one in INSTRUMENTS}
        async with FakeExchange(tape_of(rules, MINUTE, BASE + MINUTE * np.arange(1, 7), close=close)) as exchange:
            exchange.tape.at = 6
            exchange.faults.add(fault)
            client = Client(exchange.url, timeout=1.0)
            feed = BinanceFeed(client, INSTRUMENTS, "AUSDT", MINUTE * 1_000_000, BASE * 1_000_000)
            try:
                return await feed.history(4, None), list(exchange.faults.done)
            finally:
                await client.close()

    return asyncio.run(whole())


def test_a_page_without_an_answer_is_asked_for_again():
    found, done = history(SLOW)
    assert len(done) == 1
    assert found.price.tolist() == [[13.0, 23.0], [14.0, 24.0], [15.0, 25.0], [16.0, 26.0]]


def test_a_page_that_is_refused_is_not():
    with pytest.raises(ExchangeError, match="-1000"):
        history(SLOW | {"delay": 0.0, "times": 1})
