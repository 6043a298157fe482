"""Orders and trades in the exchange's wire formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dolphin.exchange.account import ZERO, Trade
from dolphin.exchange.symbols import SymbolRules

if TYPE_CHECKING:
    from dolphin.exchange.conditional import Conditional
    from dolphin.exchange.orders import Order


def order_document(order: Order, rules: SymbolRules) -> dict[str, Any]:
    """As ``GET /fapi/v1/order`` gives it."""
    average = order.value / order.done if order.done else ZERO
    return {
        "symbol": order.symbol, "orderId": order.id, "clientOrderId": order.client_id,
        "price": rules.price_text(order.price), "avgPrice": f"{average:.{rules.price_decimals + 3}f}",
        "origQty": rules.quantity_text(order.quantity), "executedQty": rules.quantity_text(order.done),
        "cumQuote": f"{order.value:.8f}", "cumQty": rules.quantity_text(order.done), "status": order.status,
        "type": order.kind, "origType": order.laid_as or order.kind, "timeInForce": order.in_force,
        "side": "BUY" if order.buys else "SELL", "positionSide": "BOTH", "reduceOnly": order.reduces,
        "closePosition": False, "stopPrice": "0.00", "workingType": "CONTRACT_PRICE", "priceProtect": False,
        "priceMatch": "NONE", "selfTradePreventionMode": "NONE", "goodTillDate": 0,
        "time": order.time, "updateTime": order.updated,
    }  # fmt: skip


def trade_document(trade: Trade, rules: SymbolRules) -> dict[str, Any]:
    """As ``GET /fapi/v1/userTrades`` gives it."""
    price = f"{trade.price:.{max(rules.price_decimals, -int(trade.price.as_tuple().exponent))}f}"
    return trade.document(price, rules.quantity_text(trade.quantity))


def order_update(order: Order, rules: SymbolRules, what: str, trade: Trade | None) -> dict[str, Any]:
    """The ``o`` of ``ORDER_TRADE_UPDATE``: ``what`` is NEW, TRADE, CANCELED or EXPIRED."""
    seen = order_document(order, rules)
    body = {
        "s": order.symbol, "c": order.client_id, "S": seen["side"], "o": order.kind, "f": order.in_force,
        "q": seen["origQty"], "p": seen["price"], "ap": seen["avgPrice"], "sp": "0", "x": what,
        "X": order.status, "i": order.id, "l": "0", "z": seen["executedQty"], "L": "0", "T": order.updated,
        "t": 0, "b": "0", "a": "0", "m": False, "R": order.reduces, "wt": "CONTRACT_PRICE",
        "ot": order.laid_as or order.kind, "ps": "BOTH", "cp": False, "pP": False, "si": 0, "ss": 0, "rp": "0",
        "V": "NONE", "pm": "NONE", "gtd": 0,
    }  # fmt: skip
    if trade is not None:
        told = trade_document(trade, rules)
        body |= {"l": told["qty"], "L": told["price"], "t": trade.id, "m": trade.maker, "rp": told["realizedPnl"],
                 "N": "USDT", "n": told["commission"]}  # fmt: skip
    return body


def conditional_document(one: Conditional, rules: SymbolRules) -> dict[str, Any]:
    """As ``GET /fapi/v1/algoOrder`` gives it."""
    return {
        "algoId": one.id, "clientAlgoId": one.client_id, "algoType": "CONDITIONAL", "orderType": one.kind,
        "symbol": one.symbol, "side": "BUY" if one.buys else "SELL", "positionSide": "BOTH",
        "timeInForce": one.in_force, "quantity": rules.quantity_text(one.quantity), "algoStatus": one.status,
        "actualOrderId": str(one.order.id) if one.order else "", "actualPrice": _average(one, rules),
        "triggerPrice": rules.price_text(one.trigger), "price": "0.00", "icebergQuantity": None,
        "selfTradePreventionMode": "NONE", "workingType": one.working_type, "priceMatch": "NONE",
        "closePosition": False, "priceProtect": False, "reduceOnly": one.reduces, "createTime": one.time,
        "updateTime": one.updated, "triggerTime": one.triggered, "goodTillDate": 0,
    }  # fmt: skip


def conditional_update(one: Conditional, rules: SymbolRules) -> dict[str, Any]:
    """The ``o`` of ``ALGO_UPDATE``."""
    body: dict[str, Any] = {
        "caid": one.client_id, "aid": one.id, "at": "CONDITIONAL", "o": one.kind, "s": one.symbol,
        "S": "BUY" if one.buys else "SELL", "ps": "BOTH", "f": one.in_force, "q": rules.quantity_text(one.quantity),
        "X": one.status, "tp": rules.price_text(one.trigger), "p": "0", "V": "NONE", "wt": one.working_type,
        "pm": "NONE", "cp": False, "pP": False, "R": one.reduces, "tt": one.triggered, "gtd": 0, "rm": one.reason,
        "ai": "", "ap": "0", "aq": "0", "act": "",
    }  # fmt: skip
    if one.order is not None:
        body |= {"ai": str(one.order.id), "ap": _average(one, rules), "aq": rules.quantity_text(one.order.done),
                 "act": one.order.kind}  # fmt: skip
    return body


def _average(one: Conditional, rules: SymbolRules) -> str:
    order = one.order
    return f"{order.value / order.done:.{rules.price_decimals + 3}f}" if order is not None and order.done else "0"
