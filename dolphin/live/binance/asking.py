"""What an exchange is asked about orders, trades, positions, klines, funding.

It never sends a strategy's order. Whatever is uncertain is asked here by its client order id, after the receive window
has passed: from then on an order that the exchange has not seen cannot be executed any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dolphin.live.binance.outcomes import Part
from dolphin.live.binance.requests import AGAIN, RECV_WINDOW_MS, ExchangeError, Requests

#: What is waited beyond the receive window before asking, ms.
BEYOND_MS = 300

NO_SUCH_ORDER, CANNOT_CANCEL = -2013, -2011
_OPEN = ("NEW", "PARTIALLY_FILLED")

#: Lines of income that one request gives at most.
_PAGE = 1000


@dataclass(frozen=True)
class Answer:
    """What an exchange says of an order: whether it ever came, where it stands, its executions, whether it is open."""

    came: bool
    status: str
    parts: tuple[Part, ...]
    open: bool = False


class Client(Requests):
    """Questions to one account: see :class:`~dolphin.live.binance.requests.Requests`."""

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
        """Every open order of the account; those that wait for a trigger say ``conditional``."""
        found: list[dict[str, Any]] = await self.request("GET", "/fapi/v1/openOrders")
        for one in await self.request("GET", "/fapi/v1/openAlgoOrders"):
            found.append(one | {"clientOrderId": one["clientAlgoId"], "conditional": True})
        return found

    async def income(self, since_ms: int) -> list[dict[str, Any]]:
        """Funding that the account was paid or paid since a time, oldest first: symbol, income, time, tranId."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.request(
                "GET", "/fapi/v1/income", incomeType="FUNDING_FEE", startTime=since_ms, limit=_PAGE
            )  # fmt: skip
            known = {one["tranId"] for one in found}
            new = [one for one in page if one["tranId"] not in known]
            found += new
            if len(page) < _PAGE or not new:
                return sorted(found, key=lambda one: (one["time"], one["tranId"]))
            since_ms = max(int(one["time"]) for one in page)

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

    async def look(self, symbol: str, client_id: str, *, conditional: bool = False) -> Answer:
        """What the exchange has of an order by now, with all its executions, however long it takes to hear."""
        return await self._until_heard(symbol, client_id, conditional, ends=False)

    async def resolve(self, symbol: str, client_id: str, *, wait: bool = True, conditional: bool = False) -> Answer:
        """What became of an order, however long it takes to hear; what is still open is cancelled.

        ``wait`` is for orders that may still be on their way; ``conditional`` for those that wait for a trigger.
        """
        if wait:
            await asyncio.sleep((RECV_WINDOW_MS + BEYOND_MS) / 1000.0)
        return await self._until_heard(symbol, client_id, conditional, ends=True)

    async def _until_heard(self, symbol: str, client_id: str, conditional: bool, *, ends: bool) -> Answer:
        told = False
        while True:
            try:
                if conditional:
                    found = await self._conditional(symbol, client_id, ends)
                else:
                    found = await self._order(symbol, ends, origClientOrderId=client_id)
            except ExchangeError as error:
                if error.code == NO_SUCH_ORDER:
                    return Answer(False, "never reached the exchange", ())
                if not told:
                    self.tell(f"nothing is known of {client_id}, it is asked for until it is: {error}")
                found, told = None, True
            if found is not None:
                return found
            await asyncio.sleep(AGAIN)

    async def _conditional(self, symbol: str, client_id: str, ends: bool) -> Answer | None:
        """One that waits for its trigger, or the order that it has become."""
        found = await self.request("GET", "/fapi/v1/algoOrder", clientAlgoId=client_id)
        if found.get("actualOrderId"):
            return await self._order(symbol, ends, orderId=int(found["actualOrderId"]))
        status = str(found["algoStatus"])
        if status in ("TRIGGERING", "TRIGGERED"):
            return None
        if status == "NEW" and ends:
            await self._cancel("/fapi/v1/algoOrder", clientAlgoId=client_id)
            return _ended(await self._conditional(symbol, client_id, False))
        return Answer(True, status.lower(), (), open=status == "NEW")

    async def _order(self, symbol: str, ends: bool, **named: Any) -> Answer | None:
        """Where it stands and all its executions, or None while they are not to be had."""
        order = await self.request("GET", "/fapi/v1/order", symbol=symbol, **named)
        still = order["status"] in _OPEN
        if still and ends:
            await self._cancel("/fapi/v1/order", symbol=symbol, **named)
            return _ended(await self._order(symbol, False, **named))
        parts = await self.trades(symbol, int(order["orderId"])) if Decimal(order["executedQty"]) else ()
        if sum((part.qty for part in parts), Decimal(0)) != Decimal(order["executedQty"]):
            return None
        return Answer(True, str(order["status"]).lower(), parts, open=still)

    async def _cancel(self, path: str, **named: Any) -> None:
        try:
            await self.request("DELETE", path, **named)
        except ExchangeError as error:
            if error.code != CANNOT_CANCEL:  # it was filled meanwhile: the next question tells
                raise


def _ended(answer: Answer | None) -> Answer | None:
    """None for one that is still open: it is asked about again."""
    return None if answer is None or answer.open else answer


def part_of(trade: Mapping[str, Any]) -> Part:
    """A line of ``userTrades``."""
    return Part(
        str(trade["id"]), Decimal(trade["qty"]), Decimal(trade["price"]), Decimal(trade["commission"]),
        int(trade["time"]) * 1_000_000, bool(trade["maker"]),
    )  # fmt: skip
