from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from drill_for_tests import ExchangeThread, tape_of_rows

from dolphin.config import parse_config
from dolphin.errors import DolphinError, Refused
from dolphin.live.binance.asking import Client
from dolphin.live.binance.keys import Keys, read_keys
from dolphin.live.binance.market_desk import order_id
from dolphin.live.binance.requests import ExchangeError
from dolphin.live.binance.safety import check_account, check_strategy

START, BARS = 2300, 12
PLANTED = Keys("PLANTEDKEY0123456789abcdef", "PLANTEDSECRET9876543210fedcba")


def account(exchange, instruments, leverage=None, keys=PLANTED):
    async def check():
        client = Client(exchange.exchange.url, keys)
        try:
            await check_account(client, instruments, leverage)
        finally:
            await client.close()

    asyncio.run(check())


@pytest.fixture
def exchange(dataset):
    with ExchangeThread(tape_of_rows(dataset, START, START + BARS), key=PLANTED.key, secret=PLANTED.secret) as thread:
        yield thread


def test_keys_come_from_the_environment_and_are_never_shown():
    keys = read_keys({"BINANCE_API_KEY": " abcdef ", "BINANCE_API_SECRET": "ghijkl"})
    assert (keys.key, keys.secret, repr(keys)) == ("abcdef", "ghijkl", "Keys(***)")
    assert keys.hidden("a ghijkl b abcdef") == "a *** b ***"
    with pytest.raises(DolphinError, match="BINANCE_API_SECRET is not set"):
        read_keys({"BINANCE_API_KEY": "x"})


def test_a_process_that_has_keys_leaves_no_core():
    code = "import ctypes, resource; from dolphin.live.binance.keys import leave_no_core; leave_no_core();"
    code += "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["(0,", "0)", "0"]


def test_an_account_that_is_not_what_was_frozen_is_refused_with_each_mismatch(exchange, dataset):
    account(exchange, dataset.instruments, 20)
    exchange.control(hedge=True, leverage={dataset.symbols[0]: 5})
    with pytest.raises(Refused) as refused:
        account(exchange, dataset.instruments, 20)
    assert [*refused.value.details] == [
        "the account is in hedge mode; set it to one-way",
        f"{dataset.symbols[0]}: leverage 5 at the exchange, 20 wanted",
    ]


def test_a_changed_tick_and_an_unknown_symbol_are_named(exchange, dataset):
    from dataclasses import replace

    one, other = dataset.instruments[:2]
    finer = replace(one, tick_num=1, tick_exp=one.tick_exp + 1)
    with pytest.raises(Refused) as refused:
        account(exchange, [finer, replace(other, symbol="ZZUSDT")])
    assert [line.split(":")[0] for line in refused.value.details] == [one.symbol, "ZZUSDT"]
    assert "tick" in refused.value.details[0] and "unknown" in refused.value.details[1]


def test_a_clock_that_is_off_is_refused(exchange, dataset):
    exchange.control(skew_ms=900)
    with pytest.raises(Refused, match="clock"):
        account(exchange, dataset.instruments)


def test_strategies_that_read_what_klines_do_not_hold_are_refused():
    from dataclasses import replace

    check_strategy(parse_config({"strategy": "pair_reversion"}, where="x"))
    config = parse_config({"strategy": "breakout", "friction": {"fill_model": "bar_range"}}, where="x")
    check_strategy(config)
    quoted = replace(config, strategy=replace(config.strategy, market_columns=("bid", "ask"), events=None))
    with pytest.raises(Refused, match="cannot be traded live") as refused:
        check_strategy(quoted)
    assert "it reads bid, ask" in refused.value.details[0]


def test_client_order_ids_fit_the_exchange():
    assert order_id("blue0123abcd", 1234567, 3) == "blue0123abcd-1234567-3"
    with pytest.raises(DolphinError, match="shorter"):
        order_id("x" * 30, 1234567, 3)


def test_asking_settles_what_came_and_what_never_came(exchange, dataset):
    symbol = dataset.symbols[0]

    async def ask():
        client = Client(exchange.exchange.url, PLANTED)
        try:
            limit = {
                "symbol": symbol,
                "side": "BUY",
                "type": "LIMIT",
                "price": "0.01",
                "quantity": "1",
                "timeInForce": "GTC",
            }
            with pytest.raises(ExchangeError) as refused:
                await client.request("POST", "/fapi/v1/order", **limit)
            return refused.value.code, await client.resolve(symbol, "never", wait=False)
        finally:
            await client.close()

    code, answer = asyncio.run(ask())
    assert code in (-4164, -1111, -4014) and not answer.came and answer.parts == ()


def test_too_many_requests_are_waited_out(exchange, dataset):
    exchange.control(
        fault={"where": "GET /fapi/v1/time", "status": 429, "code": -1003, "headers": {"Retry-After": "0"}}
    )

    async def ask():
        client = Client(exchange.exchange.url)
        try:
            return await client.server_time()
        finally:
            await client.close()

    assert asyncio.run(ask()) > 0 and exchange.control()["calls"]["GET /fapi/v1/time"] == 2
