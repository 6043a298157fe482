"""What the REST interface answers about orders and trades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dolphin.exchange.endpoints import Asked, answers, symbol_of

if TYPE_CHECKING:
    from dolphin.exchange.server import FakeExchange


@answers("POST v1/order")
def _new_order(exchange: FakeExchange, asked: Asked) -> Any:
    return exchange.orders.document(exchange.orders.place(asked))


@answers("GET v1/order")
def _order(exchange: FakeExchange, asked: Asked) -> Any:
    return exchange.orders.document(exchange.orders.find(asked))


@answers("DELETE v1/order")
def _cancel(exchange: FakeExchange, asked: Asked) -> Any:
    return exchange.orders.document(exchange.orders.cancel(asked))


@answers("DELETE v1/allOpenOrders")
def _cancel_all(exchange: FakeExchange, asked: Asked) -> Any:
    symbol = symbol_of(exchange, asked)
    for order in list(exchange.orders.all.values()):
        if order.open and order.symbol == symbol:
            exchange.orders.cancel({"orderId": str(order.id)})
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


@answers("GET v1/openOrders")
def _open_orders(exchange: FakeExchange, asked: Asked) -> Any:
    return [
        exchange.orders.document(o) for o in exchange.orders.all.values()
        if o.open and asked.get("symbol") in (None, o.symbol)
    ]  # fmt: skip


@answers("GET v1/allOrders")
def _all_orders(exchange: FakeExchange, asked: Asked) -> Any:
    symbol, start, end = symbol_of(exchange, asked), int(asked.get("startTime", 0)), int(asked.get("endTime", 1 << 62))
    found = [o for o in exchange.orders.all.values() if o.symbol == symbol and start <= o.time <= end]
    return [exchange.orders.document(o) for o in found[-int(asked.get("limit", 500)) :]]


@answers("GET v1/userTrades")
def _user_trades(exchange: FakeExchange, asked: Asked) -> Any:
    symbol, start, end = symbol_of(exchange, asked), int(asked.get("startTime", 0)), int(asked.get("endTime", 1 << 62))
    after = int(asked.get("fromId", 0))
    found = [
        t for t in exchange.account.trades
        if t.symbol == symbol and start <= t.time <= end and t.id >= after
        and asked.get("orderId") in (None, str(t.order_id))
    ]  # fmt: skip
    return [exchange.orders.trade_document(t) for t in found[-int(asked.get("limit", 500)) :]]


# Conditional orders -------------------------------------------------------------------------------------------------


@answers("POST v1/algoOrder")
def _new_conditional(exchange: FakeExchange, asked: Asked) -> Any:
    return exchange.conditionals.document(exchange.conditionals.place(asked))


@answers("GET v1/algoOrder")
def _conditional(exchange: FakeExchange, asked: Asked) -> Any:
    return exchange.conditionals.document(exchange.conditionals.find(asked))


@answers("DELETE v1/algoOrder")
def _cancel_conditional(exchange: FakeExchange, asked: Asked) -> Any:
    one = exchange.conditionals.cancel(asked)
    return {"algoId": one.id, "clientAlgoId": one.client_id, "code": "200", "msg": "success"}


@answers("DELETE v1/algoOpenOrders")
def _cancel_all_conditionals(exchange: FakeExchange, asked: Asked) -> Any:
    symbol = symbol_of(exchange, asked)
    for one in list(exchange.conditionals.all.values()):
        if one.status == "NEW" and one.symbol == symbol:
            exchange.conditionals.cancel({"algoId": str(one.id)})
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


@answers("GET v1/openAlgoOrders")
def _open_conditionals(exchange: FakeExchange, asked: Asked) -> Any:
    found = exchange.conditionals.all.values()
    return [
        exchange.conditionals.document(one) for one in found
        if one.status == "NEW" and asked.get("symbol") in (None, one.symbol)
    ]  # fmt: skip


@answers("GET v1/allAlgoOrders")
def _all_conditionals(exchange: FakeExchange, asked: Asked) -> Any:
    symbol, start, end = symbol_of(exchange, asked), int(asked.get("startTime", 0)), int(asked.get("endTime", 1 << 62))
    found = [one for one in exchange.conditionals.all.values() if one.symbol == symbol and start <= one.time <= end]
    return [exchange.conditionals.document(one) for one in found[-int(asked.get("limit", 500)) :]]
