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
from dolphin.exchange.wire import order_document, order_update, trade_document

OPEN = ("NEW", "PARTIALLY_FILLED")


@dataclass
class Order:
    """One order and what has become of it.

    ``stopped_at`` is the price of one that a trigger sent to the market, ``laid_as`` what it was before.
    """

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
    stopped_at: Decimal | None = None
    laid_as: str = ""

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
        #: Are told of each change of an order.
        self.listeners: list[Callable[[Order], None]] = []
        self.parts, self.part_ticks, self.fill_delay, self.unfilled = 1, 0, 0.0, 0
        #: Cancels that come too late: so many find so much (a share of what is left) just filled.
        self.races, self.race_share = 0, Decimal(1)
        self._rules, self._account, self._prices, self._emit, self._now = rules, account, prices, emit, now
        self.ids = count(1001)
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

    def take_triggered(self, order: Order) -> None:
        """A stop that was reached is a market order from now on."""
        self.all[order.id] = order
        self._tell(order, "NEW")
        self._fill_soon(order)

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
        number = next(self.ids)
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
        away = abs(order.price / market - 1) > rules.most_away
        for wrong, code in (
            ((asked.get("positionSide", "BOTH") == "BOTH") == self.hedge, -4061),
            (rules.status != "TRADING" and not order.reduces, -4140),
            (order.quantity <= 0, -4003),
            (too_fine(order.quantity, rules.quantity_decimals), -1111),
            (limit and too_fine(order.price, rules.price_decimals), -1111),
            (order.quantity % rules.step != 0, -4023),
            (limit and order.price % rules.tick != 0, -4014),
            (limit and away and order.buys and order.price > market, -4016),
            (limit and away and not order.buys and order.price < market, -4024),
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
        if self.races > 0:
            self.races -= 1
            step = self._rules[order.symbol].step
            late = (order.quantity - order.done) * self.race_share // step * step
            if late:
                self._book(order, late, order.price or self._prices[order.symbol], maker=order.kind == "LIMIT")
            if not order.open:
                raise Rejection(-2011)
        self._end(order, "CANCELED")
        return order

    # Filling ------------------------------------------------------------------------------------------------------

    def match(self, ranges: Mapping[str, tuple[Decimal, Decimal]]) -> None:
        """Fill the limits that the market traded through, by a tick, between a low and a high."""
        for order in list(self.all.values()):
            if order.open and order.kind == "LIMIT" and not order.filling and order.symbol in ranges:
                (low, high), tick = ranges[order.symbol], self._rules[order.symbol].tick
                if low <= order.price - tick if order.buys else high >= order.price + tick:
                    self._fill_soon(order, maker=True)

    async def settled(self) -> None:
        """Until all that fills at once is filled."""
        # The set may still hold some that are done: their callbacks run when this coroutine waits for something.
        while not self.fill_delay and (filling := [task for task in self._tasks if not task.done()]):
            await asyncio.wait(filling)

    def _fill_soon(self, order: Order, *, maker: bool = False) -> None:
        order.filling = True
        task = asyncio.get_running_loop().create_task(self._fill(order, maker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fill(self, order: Order, maker: bool) -> None:
        """In so many parts; ``unfilled`` of them never come, and what is left is cancelled by the exchange."""
        rules, parts, unfilled = self._rules[order.symbol], self.parts, self.unfilled
        await asyncio.sleep(self.fill_delay)
        steps = int((order.quantity - order.done) / rules.step)
        share, rest = divmod(steps, max(1, min(parts, steps)))
        market = order.stopped_at or self._prices[order.symbol]
        for k in range(max(1, min(parts, steps))):
            if not order.open:
                return
            if k and k >= parts - unfilled:
                order.filling = False  # a limit waits on with what is left
                if not maker:
                    self._end(order, "EXPIRED")
                return
            worse = rules.tick * k * self.part_ticks * (1 if order.buys else -1)
            price = order.price if maker else market + worse
            self._book(order, rules.step * (share + (rest if k == 0 else 0)), price, maker)
            if parts > 1:
                await asyncio.sleep(0.002)
        order.filling = False

    def _book(self, order: Order, quantity: Decimal, price: Decimal, maker: bool) -> None:
        if order.reduces:
            quantity = min(quantity, abs(self._account.amount(order.symbol)))
            if not quantity:
                self._end(order, "EXPIRED")
                return
        trade = self._account.execute(
            Trade(next(self.ids), order.symbol, order.id, order.client_id, order.buys, price, quantity, ZERO, ZERO,
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
        return order_document(order, self._rules[order.symbol])

    def trade_document(self, trade: Trade) -> dict[str, Any]:
        """As ``GET /fapi/v1/userTrades`` gives it."""
        return trade_document(trade, self._rules[trade.symbol])

    def _tell(self, order: Order, what: str, trade: Trade | None = None) -> None:
        order.updated = self._now()
        self._emit("ORDER_TRADE_UPDATE", {"o": order_update(order, self._rules[order.symbol], what, trade)})
        for told in self.listeners:
            told(order)

    def stop(self) -> None:
        """Fill nothing any more."""
        for task in self._tasks:
            task.cancel()


def too_fine(value: Decimal, decimals: int) -> bool:
    """Whether a number has more decimals than that."""
    return round(value, decimals) != value
