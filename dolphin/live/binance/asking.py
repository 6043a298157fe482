"""A signed REST client of one's own: what an exchange is asked about orders, trades, positions, klines.

It never sends a strategy's order. Whatever is uncertain is asked here by its client order id, after the receive window
has passed: from then on an order that the exchange has not seen cannot be executed any more.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import httpx

from dolphin.errors import DolphinError
from dolphin.live.binance.keys import Keys
from dolphin.live.binance.outcomes import Part

#: The receive window of every signed request, ms, and what is waited beyond it before asking.
RECV_WINDOW_MS, BEYOND_MS = 2000, 300

#: Seconds between two questions, and the longest wait after "too many requests".
AGAIN, LONGEST_WAIT = 0.5, 60.0

NO_SUCH_ORDER, CANNOT_CANCEL = -2013, -2011
_OPEN = ("NEW", "PARTIALLY_FILLED")


class ExchangeError(DolphinError):
    """An answer that is an error: ``code`` as the exchange gives it (0 for none), ``status`` of HTTP (0: no answer)."""

    def __init__(self, code: int, status: int, message: str, where: str) -> None:
        self.code, self.status = code, status
        if code or status:
            super().__init__(f"the exchange answers {code or status}: {message}", where=where)
        else:
            super().__init__(
                f"the exchange does not answer: {message}", where=where, mend="is it up, and the address right?"
            )


@dataclass(frozen=True)
class Answer:
    """What an exchange says of an order: whether it ever came, its end, its executions."""

    came: bool
    status: str
    parts: tuple[Part, ...]


class Client:
    """Requests to one account.

    Parameters
    ----------
    url : str
        Such as ``https://fapi.binance.com``.
    keys : Keys, optional
        Only public requests without.
    timeout : float
        Seconds of one request.
    """

    def __init__(self, url: str, keys: Keys | None = None, *, timeout: float = 5.0) -> None:
        self._url, self._keys = url.rstrip("/"), keys
        self._http = httpx.AsyncClient(timeout=timeout)
        self.skew_ms = 0

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    async def request(self, method: str, path: str, signed: bool = True, **asked: Any) -> Any:
        """One request, as JSON; waits and asks again where the exchange says "too many requests".

        Raises
        ------
        ExchangeError
            For any other answer than 200, and for none.
        """
        while True:
            response = await self._once(method, path, signed, asked)
            if response.status_code not in (429, 418):
                break
            await asyncio.sleep(min(_seconds(response.headers.get("Retry-After")), LONGEST_WAIT))
        if response.status_code != 200:
            code, message = _error(response)
            raise ExchangeError(code, response.status_code, message, path)
        return response.json()

    async def _once(self, method: str, path: str, signed: bool, asked: Mapping[str, Any]) -> httpx.Response:
        headers = {}
        query = urlencode(asked)
        if signed:
            if self._keys is None:
                raise DolphinError("asked without keys", where=path)
            stamp = {"timestamp": int(time.time() * 1000) + self.skew_ms, "recvWindow": RECV_WINDOW_MS}
            query = urlencode({**asked, **stamp})
            headers["X-MBX-APIKEY"] = self._keys.key
            query += "&signature=" + hmac.new(self._keys.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        url = f"{self._url}{path}" + (f"?{query}" if query else "")
        try:
            return await self._http.request(method, url, headers=headers)
        except httpx.HTTPError as error:
            raise ExchangeError(0, 0, f"no answer ({type(error).__name__})", path) from None

    # The market ---------------------------------------------------------------------------------------------------

    async def server_time(self) -> int:
        """Exchange time, ms."""
        return int((await self.request("GET", "/fapi/v1/time", signed=False))["serverTime"])

    async def exchange_info(self) -> dict[str, dict[str, Any]]:
        """What the exchange says of each symbol, by symbol."""
        found = await self.request("GET", "/fapi/v1/exchangeInfo", signed=False)
        return {one["symbol"]: one for one in found["symbols"]}

    async def klines(self, symbol: str, interval: str, limit: int, end_ms: int | None = None) -> list[list[Any]]:
        """The last klines of a symbol, at most 1500."""
        more = {} if end_ms is None else {"endTime": end_ms}
        found: list[list[Any]] = await self.request(
            "GET", "/fapi/v1/klines", signed=False, symbol=symbol, interval=interval, limit=limit, **more
        )
        return found

    # The account --------------------------------------------------------------------------------------------------

    async def positions(self) -> dict[str, Decimal]:
        """Signed amounts that are not zero, by symbol; both sides of a hedged symbol as ``SYMBOL:SIDE``."""
        found = {}
        for one in await self.request("GET", "/fapi/v3/positionRisk"):
            if amount := Decimal(one["positionAmt"]):
                side = one.get("positionSide", "BOTH")
                found[one["symbol"] if side == "BOTH" else f"{one['symbol']}:{side}"] = amount
        return found

    async def entries(self) -> dict[str, tuple[Decimal, str]]:
        """Signed amounts that are not zero, with the average price at which they were entered."""
        found = {}
        for one in await self.request("GET", "/fapi/v3/positionRisk"):
            if amount := Decimal(one["positionAmt"]):
                found[one["symbol"]] = amount, str(one["entryPrice"])
        return found

    async def reduce(self, symbol: str, amount: Decimal, client_id: str) -> None:
        """A market order of an operator, signed, that only reduces; an error says nothing of what became of it."""
        side = "BUY" if amount > 0 else "SELL"
        with suppress(ExchangeError):  # it is asked about, whatever was answered
            await self.request(
                "POST", "/fapi/v1/order", symbol=symbol, side=side, type="MARKET", quantity=f"{abs(amount):f}",
                reduceOnly="true", newClientOrderId=client_id,
            )  # fmt: skip

    async def open_orders(self) -> list[dict[str, Any]]:
        """Every open order of the account."""
        found: list[dict[str, Any]] = await self.request("GET", "/fapi/v1/openOrders")
        return found

    async def hedged(self) -> bool:
        """Whether the account is in hedge mode."""
        return bool((await self.request("GET", "/fapi/v1/positionSide/dual"))["dualSidePosition"])

    async def symbol_config(self) -> dict[str, dict[str, Any]]:
        """Leverage and margin type by symbol."""
        return {one["symbol"]: one for one in await self.request("GET", "/fapi/v1/symbolConfig")}

    async def trades(self, symbol: str, order_id: int) -> tuple[Part, ...]:
        """The executions of an order."""
        found = await self.request("GET", "/fapi/v1/userTrades", symbol=symbol, orderId=order_id, limit=1000)
        return tuple(part_of(one) for one in found)

    # Doubt --------------------------------------------------------------------------------------------------------

    async def resolve(self, symbol: str, client_id: str, *, wait: bool = True) -> Answer:
        """What became of an order, however long it takes to hear; what is still open is cancelled.

        ``wait`` is for orders that may still be on their way.
        """
        if wait:
            await asyncio.sleep((RECV_WINDOW_MS + BEYOND_MS) / 1000.0)
        while True:
            try:
                found = await self._settled(symbol, client_id)
            except ExchangeError as error:
                if error.code == NO_SUCH_ORDER:
                    return Answer(False, "never reached the exchange", ())
                found = None
            if found is not None:
                return found
            await asyncio.sleep(AGAIN)

    async def _settled(self, symbol: str, client_id: str) -> Answer | None:
        """Its end and all its executions, or None while they are not to be had."""
        order = await self.request("GET", "/fapi/v1/order", symbol=symbol, origClientOrderId=client_id)
        if order["status"] in _OPEN:
            try:
                await self.request("DELETE", "/fapi/v1/order", symbol=symbol, origClientOrderId=client_id)
            except ExchangeError as error:
                if error.code != CANNOT_CANCEL:  # it was filled meanwhile: the next question tells
                    raise
            return None
        parts = await self.trades(symbol, int(order["orderId"])) if Decimal(order["executedQty"]) else ()
        if sum((part.qty for part in parts), Decimal(0)) != Decimal(order["executedQty"]):
            return None
        return Answer(True, str(order["status"]).lower(), parts)


def part_of(trade: Mapping[str, Any]) -> Part:
    """A line of ``userTrades``."""
    return Part(
        str(trade["id"]), Decimal(trade["qty"]), Decimal(trade["price"]), Decimal(trade["commission"]),
        int(trade["time"]) * 1_000_000, bool(trade["maker"]),
    )  # fmt: skip


def _error(response: httpx.Response) -> tuple[int, str]:
    try:
        body = response.json()
        return int(body["code"]), str(body["msg"])
    except (ValueError, KeyError, TypeError):
        return 0, "no reason given"


def _seconds(text: str | None) -> float:
    try:
        return max(float(text or 1.0), AGAIN)
    except ValueError:
        return 1.0
