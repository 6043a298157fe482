"""Orders: taken or refused, filled at once or when the market comes, in parts and late where that is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import count
from typing import Any

from dolphin.exchange.account import ZERO, Account, Emit, Trade
from dolphin.exchange.refusing import Rejection
from dolphin.exchange.symbols import SymbolRules

OPEN = ("NEW", "PARTIALLY_FILLED")


@dataclass
class Order:
    """One order and what has become of it."""

    id: int
    symbol: str
    client_id: str
    buys: bool
    kind: str
    in_force: str
    price: Decimal
    quantity: Decimal
    reduces: bool
    time: int
    status: str = "NEW"
    done: Decimal = ZERO
    value: Decimal = ZERO
    updated: int = 0
    filling: bool = False

    @property
    def open(self) -> bool:
        """Whether something may still become of it."""
        return self.status in OPEN


class Orders:
    """All orders of the account.

    Parameters
    ----------
    rules : mapping of SymbolRules by symbol
    account : Account
    prices : mapping of Decimal by symbol
        The market; whoever owns it changes it.
    emit : callable
        Receives ``ORDER_TRADE_UPDATE`` with its body.
    now : callable
        Exchange time, ms.
    """

    def __init__(
        self,
        rules: Mapping[str, SymbolRules],
        account: Account,
        prices: Mapping[str, Decimal],
        emit: Emit,
        now: Callable[[], int],
    ) -> None:
        self.all: dict[int, Order] = {}
        self.hedge = False
        self.parts, self.part_ticks, self.fill_delay, self.unfilled = 1, 0, 0.0, 0
        self._rules, self._account, self._prices, self._emit, self._now = rules, account, prices, emit, now
        self._ids = count(1001)
        self._tasks: set[asyncio.Task[None]] = set()

    # Taking and refusing ------------------------------------------------------------------------------------------

    def place(self, asked: Mapping[str, str]) -> Order:
        """A new order; what is to fill at once is filled by the event loop, after this has returned."""
        order = self._read(asked)
        self._check(order, asked)
        self.all[order.id] = order
        self._tell(order, "NEW")
        if order.kind == "MARKET" or self._crosses(order):
            self._fill_soon(order)
        elif order.in_force in ("IOC", "FOK"):
            self._end(order, "EXPIRED")
        return order

    def _read(self, asked: Mapping[str, str]) -> Order:
        if asked.get("symbol") not in self._rules:
            raise Rejection(-1121)
        if asked.get("side") not in ("BUY", "SELL"):
            raise Rejection(-1102, "Mandatory parameter 'side' was not sent, was empty/null, or malformed.")
        if asked.get("type") not in ("MARKET", "LIMIT"):
            raise Rejection(-4120)
        try:
            quantity = Decimal(asked["quantity"])
            price = Decimal(asked["price"]) if asked["type"] == "LIMIT" else ZERO
        except (KeyError, InvalidOperation):
            raise Rejection(-1102) from None
        number = next(self._ids)
        return Order(
            number, asked["symbol"], asked.get("newClientOrderId") or f"web_{number}", asked["side"] == "BUY",
            asked["type"], asked.get("timeInForce", "GTC"), price, quantity,
            asked.get("reduceOnly", "").lower() == "true", self._now(), updated=self._now(),
        )  # fmt: skip

    def _check(self, order: Order, asked: Mapping[str, str]) -> None:
        """Refuse what the exchange refuses."""
        rules, market = self._rules[order.symbol], self._prices[order.symbol]
        price, held = order.price or market, self._account.amount(order.symbol)
        notional, against = order.quantity * price, held < 0 if order.buys else held > 0
        adds = ZERO if against and order.quantity <= abs(held) else notional
        limit = order.kind == "LIMIT"
        for wrong, code in (
            ((asked.get("positionSide", "BOTH") == "BOTH") == self.hedge, -4061),
            (order.quantity <= 0, -4003),
            (too_fine(order.quantity, rules.quantity_decimals), -1111),
            (limit and too_fine(order.price, rules.price_decimals), -1111),
            (order.quantity % rules.step != 0, -4023),
            (limit and order.price % rules.tick != 0, -4014),
            (order.quantity > rules.step * 10**9, -4005),
            (any(o.open and o.client_id == order.client_id for o in self.all.values()), -4116),
            (order.reduces and not against, -2022),
            (not order.reduces and notional < rules.min_notional, -4164),
            (adds and self._lacks_margin(order.symbol, adds), -2019),
            (order.in_force == "GTX" and self._crosses(order), -5022),
        ):
            if wrong:
                raise Rejection(code)

    def _lacks_margin(self, symbol: str, notional: Decimal) -> bool:
        account = self._account
        return account.margin_for(symbol, notional, self._prices) > account.equity(self._prices)

    def _crosses(self, order: Order) -> bool:
        market = self._prices[order.symbol]
        return order.kind == "LIMIT" and (market <= order.price if order.buys else market >= order.price)

    def find(self, asked: Mapping[str, str]) -> Order:
        """The order that a request names, the newest of a client id; refuses with -2013."""
        for order in reversed(self.all.values()):
            if str(order.id) == asked.get("orderId") or order.client_id == asked.get("origClientOrderId"):
                return order
        raise Rejection(-2013)

    def cancel(self, asked: Mapping[str, str]) -> Order:
        """Cancel what is open; refuses with -2011."""
        try:
            order = self.find(asked)
        except Rejection:
            raise Rejection(-2011) from None
        if not order.open:
            raise Rejection(-2011)
        self._end(order, "CANCELED")
        return order

    # Filling ------------------------------------------------------------------------------------------------------

    def match(self, ranges: Mapping[str, tuple[Decimal, Decimal]]) -> None:
        """Fill the limits that the market reached between a low and a high."""
        for order in list(self.all.values()):
            if order.open and order.kind == "LIMIT" and not order.filling and order.symbol in ranges:
                low, high = ranges[order.symbol]
                if low <= order.price if order.buys else high >= order.price:
                    self._fill_soon(order, maker=True)

    def _fill_soon(self, order: Order, *, maker: bool = False) -> None:
        order.filling = True
        task = asyncio.get_running_loop().create_task(self._fill(order, maker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fill(self, order: Order, maker: bool) -> None:
        """In so many parts; ``unfilled`` of them never come, and what is left is cancelled by the exchange."""
        rules, parts, unfilled = self._rules[order.symbol], self.parts, self.unfilled
        await asyncio.sleep(self.fill_delay)
        steps = int(order.quantity / rules.step)
        share, rest = divmod(steps, max(1, min(parts, steps)))
        market = self._prices[order.symbol]
        for k in range(max(1, min(parts, steps))):
            if not order.open:
                return
            if k and k >= parts - unfilled:
                self._end(order, "EXPIRED")
                return
            worse = rules.tick * k * self.part_ticks * (1 if order.buys else -1)
            price = order.price if maker else market + worse
            self._book(order, rules.step * (share + (rest if k == 0 else 0)), price, maker)
            if parts > 1:
                await asyncio.sleep(0.002)

    def _book(self, order: Order, quantity: Decimal, price: Decimal, maker: bool) -> None:
        if order.reduces:
            quantity = min(quantity, abs(self._account.amount(order.symbol)))
            if not quantity:
                self._end(order, "EXPIRED")
                return
        trade = self._account.execute(
            Trade(next(self._ids), order.symbol, order.id, order.client_id, order.buys, price, quantity, ZERO, ZERO,
                  maker, self._now())
        )  # fmt: skip
        order.done += quantity
        order.value += quantity * price
        order.status = "FILLED" if order.done >= order.quantity else "PARTIALLY_FILLED"
        self._tell(order, "TRADE", trade)

    def _end(self, order: Order, status: str) -> None:
        order.status = status
        self._tell(order, status)

    # Telling ------------------------------------------------------------------------------------------------------

    def document(self, order: Order) -> dict[str, Any]:
        """As ``GET /fapi/v1/order`` gives it."""
        rules = self._rules[order.symbol]
        average = order.value / order.done if order.done else ZERO
        return {
            "symbol": order.symbol, "orderId": order.id, "clientOrderId": order.client_id,
            "price": rules.price_text(order.price), "avgPrice": f"{average:.{rules.price_decimals + 3}f}",
            "origQty": rules.quantity_text(order.quantity), "executedQty": rules.quantity_text(order.done),
            "cumQuote": f"{order.value:.8f}", "cumQty": rules.quantity_text(order.done), "status": order.status,
            "type": order.kind, "origType": order.kind, "timeInForce": order.in_force,
            "side": "BUY" if order.buys else "SELL", "positionSide": "BOTH", "reduceOnly": order.reduces,
            "closePosition": False, "stopPrice": "0.00", "workingType": "CONTRACT_PRICE", "priceProtect": False,
            "priceMatch": "NONE", "selfTradePreventionMode": "NONE", "goodTillDate": 0,
            "time": order.time, "updateTime": order.updated,
        }  # fmt: skip

    def trade_document(self, trade: Trade) -> dict[str, Any]:
        """As ``GET /fapi/v1/userTrades`` gives it."""
        rules = self._rules[trade.symbol]
        price = f"{trade.price:.{max(rules.price_decimals, -int(trade.price.as_tuple().exponent))}f}"
        return trade.document(price, rules.quantity_text(trade.quantity))

    def _tell(self, order: Order, what: str, trade: Trade | None = None) -> None:
        order.updated = self._now()
        seen = self.document(order)
        body = {
            "s": order.symbol, "c": order.client_id, "S": seen["side"], "o": order.kind, "f": order.in_force,
            "q": seen["origQty"], "p": seen["price"], "ap": seen["avgPrice"], "sp": "0", "x": what,
            "X": order.status, "i": order.id, "l": "0", "z": seen["executedQty"], "L": "0", "T": order.updated,
            "t": 0, "b": "0", "a": "0", "m": False, "R": order.reduces, "wt": "CONTRACT_PRICE", "ot": order.kind,
            "ps": "BOTH", "cp": False, "pP": False, "si": 0, "ss": 0, "rp": "0", "V": "NONE", "pm": "NONE", "gtd": 0,
        }  # fmt: skip
        if trade is not None:
            told = self.trade_document(trade)
            body |= {"l": told["qty"], "L": told["price"], "t": trade.id, "m": trade.maker, "rp": told["realizedPnl"],
                     "N": "USDT", "n": told["commission"]}  # fmt: skip
        self._emit("ORDER_TRADE_UPDATE", {"o": body})

    def stop(self) -> None:
        """Fill nothing any more."""
        for task in self._tasks:
            task.cancel()


def too_fine(value: Decimal, decimals: int) -> bool:
    """Whether a number has more decimals than that."""
    return round(value, decimals) != value
