"""Providers and an exchange on this machine, in their true formats, with their bad days.

``faults`` maps the end of a path to what happens to the next requests for it, one after the other: a status, with
``(status, {header: value})`` headers too, ``("slow", s)``, ``("json",)`` (an answer cut in two), ``("html",)``,
``("future", s)``, ``("past", s)`` (times moved), ``("value", x)``.
Streams: ``mess`` holds chances per message of ``drop``, ``twice``, ``late`` (after the next ones), ``cut``.
``done`` counts the faults that were met.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import WSMsgType, web

HOUR_MS = 3_600_000


def now_ms() -> int:
    """The providers' clock."""
    return time.time_ns() // 10**6


class Fake:
    """All providers below one address: ``/binance``, ``/deribit``, ... and the streams at ``/stream``."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.faults: dict[str, list[Any]] = {}
        self.asked: Counter[str] = Counter()
        self.times: list[tuple[str, float]] = []
        self.mess: dict[str, float] = {}
        self.done: Counter[str] = Counter()
        self.skew_ms = 0
        self.trades: dict[str, list[dict[str, Any]]] = {}
        self.sent: Counter[str] = Counter()
        self.update = 1000
        self.levels: dict[str, int] = {}
        self.sockets: dict[web.WebSocketResponse, set[str]] = {}
        self.held: dict[web.WebSocketResponse, list[str]] = {}
        self.mute = False
        self.address = ""

    # ---- REST

    def settings(self, **more: Any) -> dict[str, Any]:
        """A ``feeds.toml`` as a table, with every source here."""
        names = ("binance", "deribit", "bybit", "fred", "alternative", "blockchain", "mempool", "llama")
        sources = {name: {"base": f"{self.address}/{name}", "per_minute": 60_000} for name in names}
        sources["binance_ws"] = {"base": self.address.replace("http", "ws"), "per_minute": 60_000}
        return {"sources": sources, "pause": 0.01, "timeout": 1.0, **more}

    async def rest(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.asked[path] += 1
        self.times.append((path, time.monotonic()))
        fault = next((todo.pop(0) for end, todo in self.faults.items() if path.endswith(end) and todo), None)
        if fault:
            self.done[f"answer {fault if isinstance(fault, int) else fault[0]}"] += 1
        if isinstance(fault, int):
            return web.Response(status=fault)
        if fault and isinstance(fault[0], int):
            return web.Response(status=fault[0], headers=fault[1])
        kind, amount = (fault[0], fault[1] if len(fault) > 1 else 0) if fault else (None, 0)
        if kind == "slow":
            await asyncio.sleep(amount)
        if kind == "html":
            return web.Response(text="<html>maintenance</html>", content_type="text/html")
        moved = int(1000 * amount) * {"future": 1, "past": -1}.get(kind or "", 0)
        _, source, rest = path.split("/", 2)
        body = self.answer(f"{source}/{rest}", dict(request.query), now_ms() + self.skew_ms + moved)
        if kind == "value":
            body = body.replace('"0.00010000"', f'"{amount}"')
        return web.Response(text=body[: len(body) // 2] if kind == "json" else body)

    def answer(self, path: str, q: dict[str, str], now: int) -> str:
        """What a provider says at a time."""
        s, five = q.get("symbol") or q.get("pair", ""), now // 300_000 * 300_000
        eight = now // (8 * HOUR_MS) * 8 * HOUR_MS
        day = (now - HOUR_MS) // (24 * HOUR_MS) * 86_400  # a day's values are published at 01:00
        match path:
            case "binance/fapi/v1/time":
                found: Any = {"serverTime": now}
            case "binance/fapi/v1/fundingRate":
                found = [{"symbol": s, "fundingTime": eight, "fundingRate": "0.00010000", "markPrice": "1"}]
            case "binance/fapi/v1/openInterest":
                found = {"openInterest": "90659.509", "symbol": s, "time": now}
            case "binance/futures/data/openInterestHist":
                found = [{"symbol": s, "sumOpenInterest": "90403.6", "sumOpenInterestValue": "1", "timestamp": five}]
            case "binance/futures/data/takerlongshortRatio":
                found = [{"buySellRatio": "1.5586", "buyVol": "387.33", "sellVol": "248.5", "timestamp": five}]
            case "binance/futures/data/basis":
                found = [{"indexPrice": "34400.1", "contractType": "PERPETUAL", "basisRate": "0.0004",
                          "futuresPrice": "34414.1", "basis": "13.9", "pair": s, "timestamp": five}]  # fmt: skip
            case "binance/fapi/v1/premiumIndex":
                found = {"symbol": s, "markPrice": "100.05", "indexPrice": "100.00", "time": now}
            case "binance/fapi/v1/depth":
                self.update += 1
                bids = [[f"{100 - 0.1 * k:.1f}", f"{2 + k}.000"] for k in range(20)]
                asks = [[f"{100.1 + 0.1 * k:.1f}", f"{1 + k}.000"] for k in range(20)]
                found = {"lastUpdateId": self.update, "E": now, "T": now, "bids": bids, "asks": asks}
            case "binance/fapi/v1/aggTrades":
                first, limit = int(q["fromId"]), int(q["limit"])
                found = [t for t in self.trades.get(s, [])[max(0, first - 1) :] if t["a"] >= first][:limit]
            case "deribit/api/v2/public/get_volatility_index_data":
                hour = now // HOUR_MS * HOUR_MS
                rows = [[hour - k * HOUR_MS, 60.0, 61.0, 59.0, 60.5 - k] for k in range(5, -1, -1)]
                found = {"jsonrpc": "2.0", "result": {"data": rows, "continuation": None}}
            case "deribit/api/v2/public/get_funding_rate_history":
                hour = now // HOUR_MS * HOUR_MS
                row = {"timestamp": hour, "index_price": 1.0, "interest_8h": 4.5e-05, "interest_1h": 5e-06}
                found = {"jsonrpc": "2.0", "result": [row]}
            case "deribit/api/v2/public/ticker":
                found = {"jsonrpc": "2.0", "result": {"funding_8h": 4.4e-05, "timestamp": now}}
            case "bybit/v5/market/funding/history":
                row = {"symbol": s, "fundingRate": "0.00011", "fundingRateTimestamp": str(eight)}
                found = {"retCode": 0, "retMsg": "OK", "result": {"category": "linear", "list": [row]}}
            case "fred/graph/fredgraph.csv":
                return self.fred(q["id"], now)
            case "alternative/fng/":
                rows = [{"value": "40", "value_classification": "Fear", "timestamp": str(day)}]
                found = {"name": "Fear and Greed Index", "data": rows, "metadata": {"error": None}}
            case "blockchain/charts/hash-rate":
                values = [{"x": day - k * 86_400, "y": 9.5e8} for k in (2, 1)]
                found = {"status": "ok", "name": "Hash Rate", "unit": "Hash Rate TH/s", "values": values}
            case "mempool/api/v1/mining/hashrate/1m":
                found = {"hashrates": [{"timestamp": day - 86_400, "avgHashrate": 9.4e20}], "currentHashrate": 9.4e20}
            case "llama/v2/historicalChainTvl":
                found = [{"date": day - k * 86_400, "tvl": 1.1e11} for k in (1, 0)]
            case _ if path.startswith("binance/futures/data/"):
                found = [{"symbol": s, "longShortRatio": "1.8105", "longAccount": "0.64", "timestamp": five}]
            case _:
                return '{"code":-1,"msg":"not faked"}'
        return json.dumps(found)

    @staticmethod
    def fred(series: str, now: int) -> str:
        """Five days before today, a holiday among them; months of the monthly series."""
        value = {"VIXCLS": 17.2, "DTWEXBGS": 121.0, "DGS10": 4.1, "SP500": 6400.0, "FEDFUNDS": 3.9}[series]
        days = [now // 86_400_000 - k for k in range(5, 0, -1)]
        texts = [time.strftime("%Y-%m-%d", time.gmtime(86_400 * day)) for day in days]
        if series == "FEDFUNDS":
            texts = sorted({time.strftime("%Y-%m-01", time.gmtime(86_400 * (days[0] - 31 * k))) for k in (1, 2, 3)})
        rows = [f"{text},{value + 0.01 * k:.2f}" for k, text in enumerate(texts)]
        return "\n".join([f"observation_date,{series}", *rows[:-2], f"{texts[-2]},.", rows[-1]]) + "\n"

    # ---- streams

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self.sockets[socket] = set()
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    wish = json.loads(message.data)
                    if socket in self.sockets:
                        self.sockets[socket] |= set(wish["params"])
                    await socket.send_str(json.dumps({"result": None, "id": wish["id"]}))
        finally:
            self.sockets.pop(socket, None)
            self.held.pop(socket, None)
        return socket

    async def send(self, stream: str, data: dict[str, Any]) -> None:
        """One message to all that subscribed, as messy as it is to be."""
        self.sent[stream.split("@")[1]] += 1
        if self.mute:
            return
        text = json.dumps({"stream": stream, "data": data})
        for socket, names in list(self.sockets.items()):
            if stream in names:
                await self.deliver(socket, text)

    async def deliver(self, socket: web.WebSocketResponse, text: str) -> None:
        draw, texts, held = self.rng.random(), [text], self.held.setdefault(socket, [])
        for what in ("drop", "twice", "late", "cut"):
            chance = self.mess.get(what, 0.0)
            if draw < chance:
                texts = {"drop": [], "twice": [text, text], "late": [], "cut": [text[: len(text) // 2]]}[what]
                if what == "late":
                    held.append(text)
                self.done[f"message {what}"] += 1
                break
            draw -= chance
        if len(held) > 3 or (held and self.rng.random() < 0.2):
            texts, held[:] = [*texts, *held], []
        with suppress(ConnectionError, RuntimeError):
            for each in texts:
                await socket.send_str(each)

    async def trade(self, symbol: str, price: float = 100.0, at_ms: int | None = None) -> dict[str, Any]:
        """The next aggregate trade of a symbol: on record, and sent."""
        past = self.trades.setdefault(symbol, [])
        now = (now_ms() if at_ms is None else at_ms) + self.skew_ms
        number = len(past) + 1
        trade = {"a": number, "p": f"{price + self.rng.random():.2f}", "q": f"{self.rng.random() + 0.001:.3f}",
                 "f": number, "l": number, "T": now, "m": self.rng.random() < 0.5}  # fmt: skip
        past.append(trade)
        await self.send(f"{symbol.lower()}@aggTrade", {"e": "aggTrade", "E": now, "s": symbol, **trade})
        return trade

    async def quote(self, symbol: str, price: float = 100.0, late_ms: int = 0) -> None:
        """A best bid and offer."""
        self.update += 1
        now = now_ms() + self.skew_ms - late_ms
        data = {"e": "bookTicker", "u": self.update, "s": symbol, "b": f"{price:.2f}",
                "B": f"{1 + self.rng.random() * 5:.3f}", "a": f"{price + 0.1:.2f}",
                "A": f"{1 + self.rng.random() * 5:.3f}", "T": now, "E": now}  # fmt: skip
        await self.send(f"{symbol.lower()}@bookTicker", data)

    async def depth(self, symbol: str, price: float = 100.0) -> None:
        """Twenty levels."""
        self.update += 1
        before, self.levels[symbol] = self.levels.get(symbol, self.update - 1), self.update
        now = now_ms() + self.skew_ms
        bids = [[f"{price - 0.1 * k:.2f}", f"{self.rng.random() * 9:.3f}"] for k in range(20)]
        asks = [[f"{price + 0.1 + 0.1 * k:.2f}", f"{self.rng.random() * 9:.3f}"] for k in range(20)]
        data = {"e": "depthUpdate", "E": now, "T": now, "s": symbol, "U": self.update, "u": self.update,
                "pu": before, "b": bids, "a": asks}  # fmt: skip
        await self.send(f"{symbol.lower()}@depth20@500ms", data)

    async def liquidation(self, symbol: str, side: str, price: float, quantity: float) -> None:
        """A liquidation; SELL closes a long."""
        now = now_ms()
        order = {"s": symbol, "S": side, "o": "LIMIT", "f": "IOC", "q": f"{quantity}", "p": f"{price}",
                 "ap": f"{price}", "X": "FILLED", "l": f"{quantity}", "z": f"{quantity}", "T": now}  # fmt: skip
        await self.send("!forceOrder@arr", {"e": "forceOrder", "E": now, "o": order})

    async def drop_all(self) -> None:
        """Every connection ends in the middle of whatever it is doing."""
        for socket in list(self.sockets):
            transport = socket._req.transport if socket._req else None  # type: ignore[union-attr]
            self.sockets.pop(socket, None)
            if transport is not None:
                transport.abort()

    async def subscribed(self, stream: str) -> None:
        """Wait until somebody listens to a stream."""
        async with asyncio.timeout(30.0):
            while not any(stream in names for names in self.sockets.values()):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def fake(seed: int = 1, port: int = 0) -> AsyncIterator[Fake]:
    """Serve on a free port of 127.0.0.1."""
    made = Fake(seed)
    app = web.Application()
    app.router.add_get("/stream", made.stream)
    app.router.add_get("/{source}/{rest:.*}", made.rest)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        made.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await made.drop_all()
        await runner.cleanup()


async def until(condition: Any, what: str, seconds: float = 30.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what
