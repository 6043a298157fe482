"""The exchange as a server on 127.0.0.1: REST, sockets, the tape that it plays, and the control of its faults."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from aiohttp import web

from dolphin.errors import BadInput
from dolphin.exchange import endpoints_orders as endpoints_orders  # registers its answers
from dolphin.exchange.account import Account
from dolphin.exchange.conditional import Conditionals
from dolphin.exchange.controls import obey
from dolphin.exchange.endpoints import answer
from dolphin.exchange.faults import Faults
from dolphin.exchange.messages import BarMessages, levels_around
from dolphin.exchange.orders import Orders
from dolphin.exchange.refusing import Rejection
from dolphin.exchange.signing import check_request
from dolphin.exchange.streams import Streams
from dolphin.exchange.tape import Tape

_PREFIX = "/fapi/"


class FakeExchange:
    """One account on one market.

    Parameters
    ----------
    tape : Tape
        The prices.
    balance : float
        USDT at first.
    taker_fee, maker_fee : str
        Fractions of the notional.
    key, secret : str
        Of the account.
    seed : int
        Of the order in which symbols' messages go out within a bar.
    shuffle : bool
        Whether that order changes from bar to bar.

    Examples
    --------
    ``async with FakeExchange(tape) as exchange:`` serves at ``exchange.url`` until the block ends;
    ``await exchange.close_bar()`` plays the next row.
    """

    def __init__(
        self,
        tape: Tape,
        *,
        balance: float = 25_000.0,
        taker_fee: str = "0.0005",
        maker_fee: str = "0.0002",
        key: str = "key",
        secret: str = "secret",
        seed: int = 0,
        shuffle: bool = True,
    ) -> None:
        self.tape = tape
        self.rules = {rules.symbol: rules for rules in tape.rules}
        self.prices: dict[str, Decimal] = tape.prices()
        self.faults = Faults()
        self.streams = Streams(self.faults)
        self.account = Account(Decimal(repr(balance)), Decimal(taker_fee), Decimal(maker_fee), self.tell)
        self.account.leverage = {s: rules.leverage for s, rules in self.rules.items()}
        self.account.margin_type = dict.fromkeys(self.rules, "CROSSED")
        self.orders = Orders(self.rules, self.account, self.prices, self.tell, self.now)
        self.keys: set[str] = set()
        self.conditionals = Conditionals(self.rules, self.account, self.orders, self.prices, self.tell, self.now)
        self.income: list[dict[str, Any]] = []
        self.funding: list[dict[str, Any]] = []
        self.skew_ms, self.sequence, self.maintenance = 0, 1000, False
        self.calls: Counter[str] = Counter()
        self.url, self.port = "", 0
        self._known = key, secret
        self._random, self._shuffle = random.Random(seed), shuffle
        self._runner: web.AppRunner | None = None

    # Life ---------------------------------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> None:
        """Serve on 127.0.0.1; 0 is any free port."""
        app = web.Application()
        app.router.add_post("/control", self._control)
        app.router.add_get("/control", self._state)
        for path in ("/ws", "/ws/{key}", "/stream"):
            app.router.add_get(path, self._socket)
        app.router.add_route("*", "/{tail:.*}", self._rest)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise BadInput(f"port {port} cannot be used: {error.strerror}", mend="name another --port") from None
        self.port = int(self._runner.addresses[0][1])
        self.url = f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Close every socket and free the port."""
        self.orders.stop()
        self.streams.stop()
        for users in (False, True):
            await self.streams.cut(users=users, hard=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> FakeExchange:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def now(self) -> int:
        """Exchange time, ms: this machine's, and the skew that was asked for."""
        return int(time.time() * 1000) + self.skew_ms

    def next_sequence(self) -> int:
        """A number that was not given before."""
        self.sequence += 1
        return self.sequence

    # The market ---------------------------------------------------------------------------------------------------

    def price_text(self, symbol: str) -> str:
        """The last price as the exchange writes it."""
        price = self.prices[symbol]
        return f"{price:f}"

    def levels(self, symbol: str) -> tuple[list[list[str]], list[list[str]]]:
        """Twenty bids and asks around the last price."""
        return levels_around(self.prices[symbol], self.rules[symbol])

    async def close_bar(self) -> int:
        """Play the next row of the tape, what is traded within it and then its messages; its close in ms."""
        bar = await self.trade_bar()
        return await self.tell_bar(bar)

    async def trade_bar(self) -> dict[str, Any]:
        """The next row's prices, funding, the stops and limits that it reaches; all told before its klines."""
        tape = self.tape
        if tape.over:
            raise BadInput("the tape is over", mend="serve a longer one")
        bar, rates = tape.row(tape.at), tape.funding_of(tape.at)
        tape.at += 1
        self.prices.update({symbol: values[3] for symbol, values in bar.items()})
        if rates:
            self.fund(rates)
        self.conditionals.match(bar)
        self.orders.match({symbol: (values[2], values[1]) for symbol, values in bar.items()})
        await self.orders.settled()
        await self.streams.flushed()
        return bar

    async def tell_bar(self, bar: Mapping[str, Any]) -> int:
        """The row's messages; its close in ms."""
        symbols = list(bar)
        if self._shuffle:
            self._random.shuffle(symbols)
        for symbol in symbols:
            await self._market_messages(symbol, bar[symbol], self.tape.now_ms)
        return self.tape.now_ms

    async def _market_messages(self, symbol: str, bar: tuple[Any, ...], close_ms: int) -> None:
        """What the bar is on each stream that somebody listens to."""
        told = BarMessages(self.rules[symbol], self.tape, bar, close_ms, self.next_sequence())
        for kind, stream, make in told.streams():
            if self.streams.market.get(stream):
                await self.streams.publish(kind, stream, make())

    async def play(self, speed: float) -> None:
        """Play the tape to its end, a spacing of market time in ``spacing / speed`` of this machine's."""
        due = time.monotonic()
        while not self.tape.over:
            due += self.tape.spacing_ms / 1000.0 / speed
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self.close_bar()

    def fund(self, rates: Mapping[str, Decimal]) -> None:
        """Funding falls due at the last prices: rates by symbol."""
        for symbol, rate in rates.items():
            self.funding.append(
                {"symbol": symbol, "fundingTime": self.tape.now_ms, "fundingRate": f"{rate:f}",
                 "markPrice": self.price_text(symbol)}
            )  # fmt: skip
        for symbol, paid in self.account.fund(rates, self.prices).items():
            self.income.append(
                {"symbol": symbol, "incomeType": "FUNDING_FEE", "income": f"{-paid:.8f}", "asset": "USDT",
                 "info": "FUNDING_FEE", "time": self.now(), "tranId": self.next_sequence(), "tradeId": ""}
            )  # fmt: skip

    def equity(self) -> Decimal:
        """Balance and unrealised P&L at the last prices."""
        return self.account.equity(self.prices)

    # Requests -----------------------------------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.maintenance:
            return web.Response(status=503, text="Service Unavailable")
        return await self.streams.serve(request, self.keys)

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        self.calls[f"{request.method} {request.path}"] += 1
        if self.maintenance:
            return web.Response(status=503, text="Service Unavailable")
        rule = self.faults.take(f"{request.method} {request.path}")
        if rule is not None and rule.delay:
            await asyncio.sleep(rule.delay)
        failure = None
        if rule is not None and rule.status:
            failed = Rejection(rule.code, rule.message, rule.status)
            failure = web.json_response(failed.body(), status=rule.status, headers=rule.headers)
            if not rule.after:
                return failure
        try:
            body = answer(self, *await self._checked(request))
        except Rejection as refused:
            return failure or web.json_response(refused.body(), status=refused.status)
        return failure or web.json_response(body)

    async def _checked(self, request: web.Request) -> tuple[str, dict[str, str]]:
        """The request's name and parameters, if it may be made."""
        form = await request.text() if request.can_read_body else ""
        posted = {k: str(v) for k, v in (await request.post()).items()} if form else {}
        asked = {**request.query, **posted}
        path = request.path.removeprefix(_PREFIX)
        query = request.rel_url.raw_query_string + form
        check_request(
            path.partition("/")[2], query, asked, request.headers.get("X-MBX-APIKEY"), self._known, self.now()
        )
        return f"{request.method} {path}", asked

    def tell(self, kind: str, body: dict[str, Any]) -> None:
        """A message of the user stream."""
        self.streams.tell_user(kind, json.dumps({"e": kind, "E": self.now(), "T": self.now(), **body}))

    # Control ------------------------------------------------------------------------------------------------------

    async def control(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is asked for, by key; see ``docs/exchange.md``.

        Raises
        ------
        BadInput
            If a key is unknown.
        """
        for key, value in asked.items():
            await obey(self, key, value)
        return self.state()

    def state(self) -> dict[str, Any]:
        """What the exchange knows, for those who look on."""
        trades: Sequence[Any] = [self.orders.trade_document(t) for t in self.account.trades]
        return {
            "balance": f"{self.account.balance:.8f}", "equity": f"{self.equity():.8f}",
            "positions": {s: f"{amount:f}" for s, amount in self.account.held().items()},
            "orders": [self.orders.document(o) for o in self.orders.all.values()], "trades": trades,
            "conditionals": [self.conditionals.document(one) for one in self.conditionals.all.values()],
            "income": self.income,
            "calls": dict(self.calls), "sent": dict(self.streams.sent), "log": self.streams.log,
            "users": len(self.streams.users), "faults_pending": self.faults.pending, "faults_done": self.faults.done,
            "kline_listeners": sum(len(who) for name, who in self.streams.market.items() if "@kline_" in name),
            "bars": self.tape.at, "bars_left": len(self.tape.close_ms) - self.tape.at,
        }  # fmt: skip

    async def _control(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(await self.control(await request.json()))
        except (BadInput, ValueError, TypeError, AttributeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        except Rejection as refused:
            return web.json_response({"error": str(refused)}, status=400)

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self.state())
