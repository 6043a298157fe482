"""What a stream lacks is asked of the exchange: in time for its row, behind a hole, and without an answer."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from dolphin.exchange import FakeExchange
from dolphin.exchange.tape import tape_of
from dolphin.live.binance.asking import Client
from dolphin.live.binance.assembler import Assembler
from dolphin.live.binance.refetching import Refetcher

MINUTE, BASE = 60_000, 29_000_000 * 60_000
SYMBOLS = ("AUSDT", "BUSDT")


def asked_of(played, bars, act=lambda exchange: None):
    """Rows and notes of a feed that heard ``bars`` (column, minute) so long ago (ms); so many minutes were played."""

    async def whole():
        close = np.array([[10.0 + k, 20.0 + k] for k in range(1, 7)])
        rules = dict.fromkeys(SYMBOLS, ("0.01", "0.001", 5.0))
        tape = tape_of(rules, MINUTE, BASE + MINUTE * np.arange(1, 7), close=close)
        tape.at = played
        async with FakeExchange(tape) as exchange:
            client, rows, told = Client(exchange.url), [], []
            # A deadline that a machine under load keeps, too.
            one = Assembler(2, MINUTE, 100_000, last_ms=BASE, price=[10.0, 20.0], age=[0, 0], asks=True)
            asking = Refetcher(client, SYMBOLS, "1m", (4,), rows.extend)
            asking.tell = told.append
            act(exchange)
            for column, minute, ago in bars:
                price, now = close[minute - 1, column], time.monotonic() * 1000.0 - ago
                rows += one.bar(column, BASE + minute * MINUTE, price, now)
            asking.look(one)
            end = time.monotonic() + 60.0
            while not told and time.monotonic() < end:
                await asyncio.sleep(0.005)
            await asking.close()
            await client.close()
            return [(row.close_ms // MINUTE - BASE // MINUTE, row.price.tolist(), row.trade) for row in rows], told

    return asyncio.run(whole())


def clock(minute, after_ms):
    """The exchange's clock stands so long after the close of a minute."""

    def act(exchange):
        exchange.skew_ms = BASE + minute * MINUTE + after_ms - int(time.time() * 1000)

    return act


@pytest.mark.parametrize(("after", "trade"), [(1000, True), (600_000, False)])
def test_a_row_of_which_nothing_came_is_asked_for_and_traded_on_if_it_is_in_time(after, trade):
    rows, told = asked_of(2, [(0, 1, 61_001.0), (1, 1, 61_001.0)], clock(2, after))
    assert rows == [(1, [11.0, 21.0], True), (2, [12.0, 22.0], trade)]
    assert told[0].bars == 2 and told[0].late == 0 and told[0].failed == ""


def test_only_the_symbol_that_lacks_is_asked_for():
    calls = []
    rows, told = asked_of(1, [(0, 1, 1001.0)], lambda exchange: calls.append(exchange.calls))
    assert rows == [(1, [11.0, 21.0], True)] and told[0].bars == 1
    assert calls[0] == {"GET /fapi/v1/klines": 1}


def test_a_hole_is_filled_and_the_newest_row_waits_for_it():
    rows, told = asked_of(4, [(0, 1, 0.0), (0, 4, 0.0), (1, 4, 0.0)])
    assert rows == [(k, [10.0 + k, 20.0 + k], k == 4) for k in range(1, 5)]
    assert (told[0].first_ms, told[0].last_ms, told[0].bars) == (BASE + MINUTE, BASE + 3 * MINUTE, 6)


def test_without_an_answer_rows_close_on_what_they_have():
    rows, told = asked_of(3, [(0, 3, 0.0), (1, 3, 0.0)], lambda exchange: setattr(exchange, "maintenance", True))
    assert rows == [(1, [10.0, 20.0], False), (2, [10.0, 20.0], False), (3, [13.0, 23.0], True)]
    assert told[0].bars == 0 and "503" in told[0].failed
