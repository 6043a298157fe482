"""Conditional orders (the exchange's algo orders): they wait for a price, and are market orders from then on.

They are triggered by the last price (``CONTRACT_PRICE``); the mark price of this exchange is its last price, so
``MARK_PRICE`` is the same. Within a bar that is the price at which the bar reached the trigger: the trigger, or where
the bar opened beyond it, its open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from dolphin.exchange.account import Account, Emit
from dolphin.exchange.orders import Order, Orders, too_fine
from dolphin.exchange.refusing import Rejection
from dolphin.exchange.symbols import SymbolRules
from dolphin.exchange.wire import conditional_document, conditional_update


@dataclass
class Conditional:
    """One of them; ``order`` is the market order that it has become."""

    id: int
    symbol: str
    client_id: str
    buys: bool
    kind: str
    in_force: str
    trigger: Decimal
    quantity: Decimal
    reduces: bool
    working_type: str
    time: int
    status: str = "NEW"
    updated: int = 0
    triggered: int = 0
    reason: str = ""
    order: Order | None = None


class Conditionals:
    """All conditional orders of the account.

    Parameters
    ----------
    rules : mapping of SymbolRules by symbol
    account : Account
    orders : Orders
        Where they go when they are triggered.
    prices : mapping of Decimal by symbol
    emit : callable
        Receives ``ALGO_UPDATE`` with its body.
    now : callable
        Exchange time, ms.
    """

    def __init__(
        self, rules: Mapping[str, SymbolRules], account: Account, orders: Orders, prices: Mapping[str, Decimal],
        emit: Emit, now: Callable[[], int],
    ) -> None:  # fmt: skip
        self.all: dict[int, Conditional] = {}
        self._rules, self._account, self._orders = rules, account, orders
        self._prices, self._emit, self._now = prices, emit, now
        orders.listeners.append(self._order_changed)

    def place(self, asked: Mapping[str, str]) -> Conditional:
        """A new one; refused with the exchange's code if it cannot be."""
        one = self._read(asked)
        rules, market = self._rules[one.symbol], self._prices[one.symbol]
        held = self._account.amount(one.symbol)
        known = [c.client_id for c in self.all.values() if c.status == "NEW"]
        known += [o.client_id for o in self._orders.all.values() if o.open]
        for wrong, code in (
            ((asked.get("positionSide", "BOTH") == "BOTH") == self._orders.hedge, -4061),
            (one.quantity <= 0, -4003),
            (too_fine(one.quantity, rules.quantity_decimals) or too_fine(one.trigger, rules.price_decimals), -1111),
            (one.quantity % rules.step != 0, -4023),
            (one.trigger % rules.tick != 0, -4014),
            (one.client_id in known, -4116),
            (one.reduces and not (held < 0 if one.buys else held > 0), -2022),
            (not one.reduces and one.quantity * one.trigger < rules.min_notional, -4164),
            (market >= one.trigger if one.buys else market <= one.trigger, -2021),
        ):
            if wrong:
                raise Rejection(code)
        self.all[one.id] = one
        self._tell(one, "NEW")
        return one

    def _read(self, asked: Mapping[str, str]) -> Conditional:
        if asked.get("symbol") not in self._rules:
            raise Rejection(-1121)
        if asked.get("side") not in ("BUY", "SELL"):
            raise Rejection(-1102, "Mandatory parameter 'side' was not sent, was empty/null, or malformed.")
        if asked.get("algoType") != "CONDITIONAL" or asked.get("type") != "STOP_MARKET":
            raise Rejection(-4120, "Only conditional orders of type STOP_MARKET are kept here.")
        try:
            quantity, trigger = Decimal(asked["quantity"]), Decimal(asked["triggerPrice"])
        except (KeyError, InvalidOperation):
            raise Rejection(-1102) from None
        number = next(self._orders.ids)
        return Conditional(
            number, asked["symbol"], asked.get("clientAlgoId") or f"web_{number}", asked["side"] == "BUY",
            asked["type"], asked.get("timeInForce", "GTC"), trigger, quantity,
            asked.get("reduceOnly", "").lower() == "true", asked.get("workingType", "CONTRACT_PRICE"), self._now(),
        )  # fmt: skip

    def find(self, asked: Mapping[str, str]) -> Conditional:
        """The one that a request names, the newest of a client id; refuses with -2013."""
        for one in reversed(self.all.values()):
            if str(one.id) == asked.get("algoId") or one.client_id == asked.get("clientAlgoId"):
                return one
        raise Rejection(-2013)

    def cancel(self, asked: Mapping[str, str]) -> Conditional:
        """Cancel what waits; refuses with -2011."""
        try:
            one = self.find(asked)
        except Rejection:
            raise Rejection(-2011) from None
        if one.status != "NEW":
            raise Rejection(-2011)
        self._tell(one, "CANCELED")
        return one

    def match(self, bars: Mapping[str, tuple[Any, ...]]) -> None:
        """Trigger those that a bar (open, high, low, ...) reached."""
        for one in list(self.all.values()):
            if one.status != "NEW" or one.symbol not in bars:
                continue
            opened, high, low = bars[one.symbol][:3]
            if high >= one.trigger if one.buys else low <= one.trigger:
                self._trigger(one, max(opened, one.trigger) if one.buys else min(opened, one.trigger))

    def _trigger(self, one: Conditional, price: Decimal) -> None:
        one.triggered = self._now()
        held = self._account.amount(one.symbol)
        if one.reduces and not (held < 0 if one.buys else held > 0):
            one.reason = "ReduceOnly Order is rejected."
            self._tell(one, "REJECTED")
            return
        self._tell(one, "TRIGGERING")
        one.order = Order(
            next(self._orders.ids), one.symbol, one.client_id, one.buys, "MARKET", one.in_force, Decimal(0),
            one.quantity, one.reduces, self._now(), updated=self._now(), stopped_at=price, laid_as=one.kind,
        )  # fmt: skip
        self._tell(one, "TRIGGERED")
        self._orders.take_triggered(one.order)

    def _order_changed(self, order: Order) -> None:
        """The market order of a triggered one has ended."""
        if order.laid_as and not order.open:
            for one in self.all.values():
                if one.order is order and one.status == "TRIGGERED":
                    self._tell(one, "FINISHED")

    def document(self, one: Conditional) -> dict[str, Any]:
        """As ``GET /fapi/v1/algoOrder`` gives it."""
        return conditional_document(one, self._rules[one.symbol])

    def _tell(self, one: Conditional, status: str) -> None:
        one.status, one.updated = status, self._now()
        self._emit("ALGO_UPDATE", {"o": conditional_update(one, self._rules[one.symbol])})
