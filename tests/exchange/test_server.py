from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from decimal import Decimal
from urllib.parse import urlencode

import aiohttp
import numpy as np
import pytest

from dolphin.errors import BadInput
from dolphin.exchange import FakeExchange, SymbolRules, Tape
from dolphin.exchange.faults import Faults
from dolphin.exchange.streams import Streams

MINUTE = 60_000
RULES = (SymbolRules("AAUSDT"), SymbolRules("BBUSDT", Decimal("0.1"), Decimal(1)))


def tape(closes=((100.0, 50.0), (101.0, np.nan), (99.0, 51.0))):
    close = np.array(closes)
    return Tape(RULES, MINUTE, MINUTE * np.arange(1, len(close) + 1), close)


class Account:
    """Requests of the account's owner."""

    def __init__(self, exchange, http, secret="secret", key="key", ahead=0):
        self.exchange, self.http, self.secret, self.key, self.ahead = exchange, http, secret, key, ahead

    async def ask(self, method, path, **asked):
        query = urlencode({**asked, "timestamp": int(time.time() * 1000) + self.ahead})
        query += "&signature=" + hmac.new(self.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        url = f"{self.exchange.url}/fapi/{path}?{query}"
        async with self.http.request(method, url, headers={"X-MBX-APIKEY": self.key}) as answer:
            return answer.status, await answer.json()

    async def order(self, client_id, side, quantity, symbol="AAUSDT", **more):
        asked = {"symbol": symbol, "side": side, "type": "MARKET", "quantity": quantity, "newClientOrderId": client_id}
        return await self.ask("POST", "v1/order", **{**asked, **more})


def served(test, **options):
    """Run ``test(exchange, account)`` against an exchange whose first bar was played."""

    async def run():
        async with FakeExchange(tape(), **options) as exchange, aiohttp.ClientSession() as http:
            await exchange.close_bar()
            return await asyncio.wait_for(test(exchange, Account(exchange, http)), 30)

    return asyncio.run(run())


async def settled(exchange):
    while any(order.open and order.kind == "MARKET" for order in exchange.orders.all.values()):
        await asyncio.sleep(0.001)


def test_a_market_order_moves_position_balance_and_trades():
    async def test(exchange, account):
        status, taken = await account.order("s-1-0", "BUY", "2.000")
        await settled(exchange)
        _, seen = await account.ask("GET", "v1/order", symbol="AAUSDT", origClientOrderId="s-1-0")
        _, trades = await account.ask("GET", "v1/userTrades", symbol="AAUSDT", orderId=taken["orderId"])
        _, risk = await account.ask("GET", "v3/positionRisk")
        assert (status, taken["status"], seen["status"], seen["avgPrice"]) == (200, "NEW", "FILLED", "100.00000")
        assert [(t["price"], t["qty"], t["commission"]) for t in trades] == [("100.00", "2.000", "0.10000000")]
        assert (risk[0]["positionAmt"], risk[0]["entryPrice"]) == ("2.000", "100.00000000")
        await exchange.close_bar()
        await account.order("s-2-0", "SELL", "2.000", reduceOnly="true")
        await settled(exchange)
        assert exchange.account.held() == {}
        assert exchange.account.balance == Decimal("25000") + 2 - Decimal("0.1") - Decimal("0.101")

    served(test)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "0.010"}, -4164),
        ({"quantity": "99999"}, -2019),
        ({"reduceOnly": "true"}, -2022),
        ({"positionSide": "LONG"}, -4061),
        ({"symbol": "ZZUSDT"}, -1121),
        ({"type": "STOP_MARKET"}, -4120),
        ({"type": "LIMIT", "price": "99.999", "timeInForce": "GTC"}, -1111),
        ({"type": "LIMIT", "price": "101", "timeInForce": "GTX"}, -5022),
        ({"symbol": "BBUSDT", "quantity": "1.5"}, -1111),
    ],
)
def test_orders_that_cannot_be_are_refused_with_the_exchanges_code(more, code):
    async def test(exchange, account):
        asked = {"symbol": "AAUSDT", "side": "BUY", "type": "MARKET", "quantity": "1.000", **more}
        status, body = await account.ask("POST", "v1/order", **asked)
        assert (status, body["code"], len(exchange.orders.all)) == (400, code, 0)

    served(test)


def test_client_ids_are_unique_among_open_orders_only():
    async def test(exchange, account):
        limit = {"type": "LIMIT", "price": "90.00", "timeInForce": "GTC"}
        await account.order("same", "BUY", "1", **limit)
        assert (await account.order("same", "BUY", "1", **limit))[1]["code"] == -4116
        _, gone = await account.ask("DELETE", "v1/order", symbol="AAUSDT", origClientOrderId="same")
        again = await account.ask("DELETE", "v1/order", symbol="AAUSDT", origClientOrderId="same")
        assert gone["status"] == "CANCELED" and again[1]["code"] == -2011
        assert (await account.order("same", "BUY", "1"))[0] == 200

    served(test)


def test_a_limit_waits_until_the_market_comes():
    async def test(exchange, account):
        await account.order("limit", "BUY", "1", type="LIMIT", price="99.50", timeInForce="GTC")
        await exchange.close_bar()
        assert exchange.account.held() == {}
        await exchange.close_bar()
        while not exchange.account.trades:
            await asyncio.sleep(0.001)
        (trade,) = exchange.account.trades
        assert (trade.price, trade.maker, trade.fee) == (Decimal("99.50"), True, Decimal("0.01990000"))

    served(test)


STOP = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "symbol": "AAUSDT", "workingType": "CONTRACT_PRICE"}


def test_a_stop_is_a_market_order_when_its_trigger_is_reached():
    async def test(exchange, account):
        _, laid = await account.ask(
            "POST", "v1/algoOrder", **STOP, side="BUY", quantity="1.000", triggerPrice="100.50", clientAlgoId="stop"
        )
        _, waiting = await account.ask("GET", "v1/openAlgoOrders")
        assert (laid["algoStatus"], [one["clientAlgoId"] for one in waiting]) == ("NEW", ["stop"])
        await exchange.close_bar()  # opens and closes at 101, beyond the trigger
        _, done = await account.ask("GET", "v1/algoOrder", clientAlgoId="stop")
        _, order = await account.ask("GET", "v1/order", symbol="AAUSDT", orderId=done["actualOrderId"])
        assert (done["algoStatus"], order["status"], order["avgPrice"]) == ("FINISHED", "FILLED", "101.00000")
        assert (order["clientOrderId"], order["origType"]) == ("stop", "STOP_MARKET")
        assert (await account.ask("DELETE", "v1/algoOrder", clientAlgoId="stop"))[1]["code"] == -2011

    served(test)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"triggerPrice": "99.00"}, -2021),
        ({"triggerPrice": "101.001"}, -1111),
        ({"reduceOnly": "true"}, -2022),
        ({"type": "TAKE_PROFIT_MARKET"}, -4120),
        ({"quantity": "0.010"}, -4164),
        ({"symbol": "ZZUSDT"}, -1121),
    ],
)
def test_stops_that_cannot_be_are_refused_with_the_exchanges_code(more, code):
    async def test(exchange, account):
        asked = {**STOP, "side": "BUY", "quantity": "1.000", "triggerPrice": "105.00", **more}
        status, body = await account.ask("POST", "v1/algoOrder", **asked)
        assert (status, body["code"], len(exchange.conditionals.all)) == (400, code, 0)

    served(test)


def test_a_cancel_may_come_too_late():
    async def test(exchange, account):
        limit = {"type": "LIMIT", "price": "90.00", "timeInForce": "GTC"}
        await account.order("whole", "BUY", "1.000", **limit)
        await account.order("part", "BUY", "1.000", **limit)
        await exchange.control({"race": 1})
        assert (await account.ask("DELETE", "v1/order", symbol="AAUSDT", origClientOrderId="whole"))[1]["code"] == -2011
        await exchange.control({"race": 1, "race_share": 0.5})
        _, gone = await account.ask("DELETE", "v1/order", symbol="AAUSDT", origClientOrderId="part")
        assert (gone["status"], gone["executedQty"]) == ("CANCELED", "0.500")
        assert exchange.account.held() == {"AAUSDT": Decimal("1.5")}

    served(test)


def test_keys_signatures_and_times_are_checked():
    async def test(exchange, account):
        for other, code in (
            (Account(exchange, account.http, secret="other"), -1022),
            (Account(exchange, account.http, key="other"), -2015),
            (Account(exchange, account.http, key=""), -2014),
            (Account(exchange, account.http, ahead=3000), -1021),
            (Account(exchange, account.http, ahead=-9000), -1021),
        ):
            assert (await other.ask("GET", "v2/account"))[1]["code"] == code
        await exchange.control({"skew_ms": 7000})
        assert (await account.ask("GET", "v2/account"))[1]["code"] == -1021
        assert (await account.ask("GET", "v1/nonsense"))[0] in (400, 404)

    served(test)


def test_an_order_may_be_executed_and_answered_with_an_error():
    async def test(exchange, account):
        await exchange.control({"fault": {"where": "POST /fapi/v1/order", "status": 503, "code": -1007, "after": True}})
        status, body = await account.order("s-1-0", "BUY", "1")
        await settled(exchange)
        assert (status, body["code"], exchange.account.held()) == (503, -1007, {"AAUSDT": Decimal("1")})
        await exchange.control({"fault": {"where": "POST /fapi/v1/order", "status": 429, "code": -1003,
                                          "headers": {"Retry-After": "3"}}})  # fmt: skip
        assert (await account.order("s-2-0", "BUY", "1"))[0] == 429 and len(exchange.orders.all) == 1

    served(test)


def test_parts_add_up_and_what_is_not_filled_expires():
    async def test(exchange, account):
        await exchange.control({"parts": 3, "part_ticks": 1, "unfilled_parts": 1})
        await account.order("s-1-0", "BUY", "1.000")
        await settled(exchange)
        _, seen = await account.ask("GET", "v1/order", symbol="AAUSDT", origClientOrderId="s-1-0")
        assert (seen["status"], seen["executedQty"]) == ("EXPIRED", "0.667")
        assert [str(t.price) for t in exchange.account.trades] == ["100.00", "100.01"]

    served(test)


def test_funding_moves_the_balance():
    async def test(exchange, account):
        await account.order("s-1-0", "SELL", "2.000")
        await settled(exchange)
        before = exchange.account.balance
        await exchange.control({"funding": {"AAUSDT": "0.0001"}})
        assert exchange.account.balance - before == Decimal("0.02")
        _, lines = await account.ask("GET", "v1/income", incomeType="FUNDING_FEE")
        assert [(one["symbol"], one["income"]) for one in lines] == [("AAUSDT", "0.02000000")]
        exchange.tape.funding = np.array([[0.0, 0.0], [0.001, 0.001], [0.0, 0.0]])
        await exchange.close_bar()
        _, rates = await account.ask("GET", "v1/fundingRate")
        assert [(one["symbol"], one["fundingRate"]) for one in rates][-2:] == [("AAUSDT", "0.001"), ("BBUSDT", "0.001")]
        _, lines = await account.ask("GET", "v1/income", startTime=lines[0]["time"])
        assert lines[-1]["income"] == "0.20200000" and len({one["tranId"] for one in lines}) == len(lines) == 2

    served(test)


def test_klines_are_those_that_were_played():
    async def test(exchange, account):
        await exchange.control({"bar": 2})
        _, all_of = await account.ask("GET", "v1/klines", symbol="BBUSDT", interval="1m")
        _, last = await account.ask("GET", "v1/klines", symbol="BBUSDT", interval="1m", limit=1)
        assert [(k[0], k[4]) for k in all_of] == [(0, "50.0"), (2 * MINUTE, "51.0")] and last == all_of[-1:]
        assert (await account.ask("GET", "v1/klines", symbol="BBUSDT", interval="5m"))[0] == 400
        with pytest.raises(BadInput, match="tape is over"):
            await exchange.close_bar()

    served(test)


def test_streams_carry_klines_and_what_became_of_orders_and_faults_spoil_them():
    async def test(exchange, account):
        http = account.http
        market = await http.ws_connect(f"{exchange.url}/stream?streams=aausdt@kline_1m")
        await market.send_json({"method": "SUBSCRIBE", "params": ["bbusdt@kline_1m"], "id": 1})
        assert await market.receive_json() == {"result": None, "id": 1}
        _, key = await account.ask("POST", "v1/listenKey")
        user = await http.ws_connect(f"{exchange.url}/ws?listenKey={key['listenKey']}")
        await exchange.control({"fault": {"where": "kline", "do": "dup"}})
        await exchange.close_bar()
        seen = [await market.receive_json() for _ in range(2)]
        assert seen[0] == seen[1] and seen[0]["data"]["k"] | {"c": "101.00", "x": True} == seen[0]["data"]["k"]
        await exchange.control({"fault": {"where": "ORDER_TRADE_UPDATE", "do": "reverse", "only": '"x": "NEW"'}})
        await account.order("s-1-0", "BUY", "1")
        told = [await user.receive_json() for _ in range(3)]
        assert [m["o"]["x"] for m in told if m["e"] == "ORDER_TRADE_UPDATE"] == ["TRADE", "NEW"]
        assert next(m for m in told if m["e"] == "ACCOUNT_UPDATE")["a"]["P"][0]["pa"] == "1.000"
        await exchange.control({"drop_user": True, "expire_key": True})
        assert (await user.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        wrong = await http.ws_connect(f"{exchange.url}/ws?listenKey={key['listenKey']}")
        assert (await wrong.receive()).type == aiohttp.WSMsgType.CLOSE

    served(test)


def test_more_than_ten_messages_a_second_cut_the_line():
    async def test(exchange, account):
        market = await account.http.ws_connect(f"{exchange.url}/stream?streams=aausdt@kline_1m")
        for k in range(12):
            await market.send_json({"method": "SUBSCRIBE", "params": [f"x{k}@kline_1m"], "id": k})
        kinds = [(await market.receive()).type for _ in range(11)]
        assert kinds[-1] == aiohttp.WSMsgType.CLOSE

    served(test)


def test_maintenance_answers_nothing_but_503():
    async def test(exchange, account):
        await exchange.control({"maintenance": True})
        async with account.http.get(f"{exchange.url}/fapi/v1/time") as answer:
            assert answer.status == 503
        await exchange.control({"maintenance": False})
        assert (await account.ask("GET", "v1/time"))[0] == 200

    served(test)


def test_the_control_says_what_it_does_not_know():
    async def test(exchange, account):
        async with account.http.post(f"{exchange.url}/control", data=json.dumps({"nonsense": 1})) as answer:
            assert answer.status == 400 and "nonsense" in (await answer.json())["error"]
        with pytest.raises(BadInput, match="whree"):
            await exchange.control({"fault": {"whree": "kline"}})
        async with account.http.post(f"{exchange.url}/control", data=json.dumps({"bar": 1})) as answer:
            assert (await answer.json())["bars_left"] == 1

    served(test)


def test_a_tape_speaks_only_the_exchanges_intervals():
    with pytest.raises(BadInput, match="no klines of 5000 ms"):
        Tape(RULES, 5000, np.array([5000]), np.ones((1, 2)))


def test_what_is_done_is_not_waited_for():
    """A task that has ended stays in the set until its callback runs, which wants the loop."""

    async def waits():
        streams = Streams(Faults())
        told = asyncio.get_running_loop().create_task(asyncio.sleep(0))
        streams._telling.add(told)
        await asyncio.wait([told])
        await streams.flushed()

    asyncio.run(waits())
