"""What the REST interface answers, endpoint by endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dolphin.exchange.refusing import Rejection

if TYPE_CHECKING:
    from dolphin.exchange.server import FakeExchange

Asked = Mapping[str, str]
Answer = Callable[["FakeExchange", Asked], Any]

ANSWERS: dict[str, Answer] = {}


def answers(*names: str) -> Callable[[Answer], Answer]:
    """Register a function for requests by name, such as ``GET v1/time``."""

    def register(function: Answer) -> Answer:
        ANSWERS.update(dict.fromkeys(names, function))
        return function

    return register


def answer(exchange: FakeExchange, name: str, asked: Asked) -> Any:
    """The body for a request; unknown ones are refused with -5000 and kept in the log."""
    found = ANSWERS.get(name)
    if found is None:
        exchange.streams.log.append(f"unknown request {name}")
        raise Rejection(-5000, f"Path {name} is invalid", status=404)
    return found(exchange, asked)


def symbol_of(exchange: FakeExchange, asked: Asked) -> str:
    """The symbol that a request names; refuses an unknown one."""
    symbol = asked.get("symbol", "")
    if symbol not in exchange.rules:
        raise Rejection(-1121)
    return symbol


# The market ---------------------------------------------------------------------------------------------------------


@answers("GET v1/ping")
def _ping(exchange: FakeExchange, asked: Asked) -> Any:
    return {}


@answers("GET v1/time")
def _time(exchange: FakeExchange, asked: Asked) -> Any:
    return {"serverTime": exchange.now()}


@answers("GET v1/exchangeInfo")
def _exchange_info(exchange: FakeExchange, asked: Asked) -> Any:
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
    ]
    symbols = [rules.info() for rules in exchange.rules.values()]
    return {"timezone": "UTC", "serverTime": exchange.now(), "rateLimits": limits, "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": symbols}  # fmt: skip


@answers("GET v1/klines")
def _klines(exchange: FakeExchange, asked: Asked) -> Any:
    tape = exchange.tape
    if asked.get("interval") != tape.interval:
        raise Rejection(-1120, f"Invalid interval: only {tape.interval} is recorded.")
    start, end = (int(asked[k]) if k in asked else None for k in ("startTime", "endTime"))
    return tape.klines(symbol_of(exchange, asked), start, end, min(int(asked.get("limit", 500)), 1500))


@answers("GET v1/depth")
def _depth(exchange: FakeExchange, asked: Asked) -> Any:
    bids, asks = exchange.levels(symbol_of(exchange, asked))
    return {"lastUpdateId": exchange.sequence, "E": exchange.now(), "T": exchange.now(), "bids": bids, "asks": asks}


@answers("GET v1/ticker/price")
def _ticker(exchange: FakeExchange, asked: Asked) -> Any:
    wanted = [symbol_of(exchange, asked)] if "symbol" in asked else list(exchange.rules)
    found = [{"symbol": s, "price": exchange.price_text(s), "time": exchange.now()} for s in wanted]
    return found[0] if "symbol" in asked else found


@answers("GET v1/premiumIndex")
def _premium(exchange: FakeExchange, asked: Asked) -> Any:
    wanted = [symbol_of(exchange, asked)] if "symbol" in asked else list(exchange.rules)
    found = [
        {"symbol": s, "markPrice": exchange.price_text(s), "indexPrice": exchange.price_text(s),
         "lastFundingRate": "0.00010000", "nextFundingTime": exchange.now() + 3_600_000, "time": exchange.now()}
        for s in wanted
    ]  # fmt: skip
    return found[0] if "symbol" in asked else found


@answers("GET v1/fundingRate")
def _funding_rate(exchange: FakeExchange, asked: Asked) -> Any:
    start, end = int(asked.get("startTime", 0)), int(asked.get("endTime", 1 << 62))
    found = [
        one for one in exchange.funding
        if asked.get("symbol") in (None, one["symbol"]) and start <= one["fundingTime"] <= end
    ]  # fmt: skip
    limit = min(int(asked.get("limit", 100)), 1000)
    return found[:limit] if "startTime" in asked else found[-limit:]


# The account --------------------------------------------------------------------------------------------------------


@answers("GET v2/account", "GET v3/account")
def _account(exchange: FakeExchange, asked: Asked) -> Any:
    wallet, equity = (f"{value:.8f}" for value in (exchange.account.balance, exchange.equity()))
    asset = {
        "asset": "USDT", "walletBalance": wallet, "unrealizedProfit": "0.00000000", "marginBalance": equity,
        "maintMargin": "0", "initialMargin": "0", "positionInitialMargin": "0", "openOrderInitialMargin": "0",
        "crossWalletBalance": wallet, "crossUnPnl": "0", "availableBalance": wallet, "maxWithdrawAmount": wallet,
        "marginAvailable": True, "updateTime": exchange.now(),
    }  # fmt: skip
    return {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0,
            "multiAssetsMargin": False, "totalWalletBalance": wallet, "totalMarginBalance": equity,
            "availableBalance": wallet, "assets": [asset], "positions": []}  # fmt: skip


@answers("GET v2/balance", "GET v3/balance")
def _balance(exchange: FakeExchange, asked: Asked) -> Any:
    wallet = f"{exchange.account.balance:.8f}"
    return [{"accountAlias": "dolphin", "asset": "USDT", "balance": wallet, "crossWalletBalance": wallet,
             "crossUnPnl": "0", "availableBalance": wallet, "maxWithdrawAmount": wallet, "marginAvailable": True,
             "updateTime": exchange.now()}]  # fmt: skip


@answers("GET v2/positionRisk", "GET v3/positionRisk")
def _position_risk(exchange: FakeExchange, asked: Asked) -> Any:
    account, found = exchange.account, []
    for symbol, held in account.positions.items():
        if held.amount and asked.get("symbol") in (None, symbol):
            rules, mark = exchange.rules[symbol], exchange.prices[symbol]
            profit = f"{held.amount * (mark - held.entry):.8f}"
            found.append(
                {"symbol": symbol, "positionSide": "BOTH", "positionAmt": rules.quantity_text(held.amount),
                 "entryPrice": f"{held.entry:.8f}", "breakEvenPrice": f"{held.entry:.8f}",
                 "markPrice": exchange.price_text(symbol), "unRealizedProfit": profit, "liquidationPrice": "0",
                 "isolatedMargin": "0", "notional": f"{held.amount * mark:.8f}", "marginAsset": "USDT",
                 "isolatedWallet": "0", "initialMargin": "0", "maintMargin": "0", "positionInitialMargin": "0",
                 "openOrderInitialMargin": "0", "adl": 1, "bidNotional": "0", "askNotional": "0",
                 "leverage": str(account.leverage[symbol]), "updateTime": exchange.now()}
            )  # fmt: skip
    return found


@answers("GET v1/positionSide/dual")
def _position_mode(exchange: FakeExchange, asked: Asked) -> Any:
    return {"dualSidePosition": exchange.orders.hedge}


@answers("POST v1/positionSide/dual")
def _set_position_mode(exchange: FakeExchange, asked: Asked) -> Any:
    hedge = asked.get("dualSidePosition", "").lower() == "true"
    if hedge == exchange.orders.hedge:
        raise Rejection(-4059)
    exchange.orders.hedge = hedge
    return {"code": 200, "msg": "success"}


@answers("GET v1/symbolConfig")
def _symbol_config(exchange: FakeExchange, asked: Asked) -> Any:
    account = exchange.account
    return [
        {"symbol": s, "marginType": account.margin_type[s], "isAutoAddMargin": False,
         "leverage": account.leverage[s], "maxNotionalValue": "1000000"}
        for s in exchange.rules if asked.get("symbol") in (None, s)
    ]  # fmt: skip


@answers("POST v1/leverage")
def _leverage(exchange: FakeExchange, asked: Asked) -> Any:
    symbol, leverage = symbol_of(exchange, asked), int(asked.get("leverage", "0"))
    if not 1 <= leverage <= 125:
        raise Rejection(-4028, f"Leverage {leverage} is not valid")
    exchange.account.leverage[symbol] = leverage
    return {"symbol": symbol, "leverage": leverage, "maxNotionalValue": "1000000"}


@answers("POST v1/marginType")
def _margin_type(exchange: FakeExchange, asked: Asked) -> Any:
    symbol, kind = symbol_of(exchange, asked), asked.get("marginType", "")
    if exchange.account.margin_type[symbol] == kind:
        raise Rejection(-4046, "No need to change margin type.")
    exchange.account.margin_type[symbol] = kind
    return {"code": 200, "msg": "success"}


@answers("GET v1/commissionRate")
def _commission(exchange: FakeExchange, asked: Asked) -> Any:
    account = exchange.account
    return {"symbol": symbol_of(exchange, asked), "makerCommissionRate": f"{account.maker_fee:f}",
            "takerCommissionRate": f"{account.taker_fee:f}"}  # fmt: skip


@answers("GET v1/income")
def _income(exchange: FakeExchange, asked: Asked) -> Any:
    start, end = int(asked.get("startTime", 0)), int(asked.get("endTime", 1 << 62))
    found = [
        one for one in exchange.income
        if start <= one["time"] <= end and asked.get("symbol") in (None, one["symbol"])
        and asked.get("incomeType") in (None, one["incomeType"])
    ]  # fmt: skip
    return found[: min(int(asked.get("limit", 100)), 1000)]


@answers("POST v1/listenKey")
def _new_key(exchange: FakeExchange, asked: Asked) -> Any:
    if not exchange.keys:
        exchange.keys.add(f"listen{exchange.next_sequence()}")
    return {"listenKey": next(iter(exchange.keys))}


@answers("PUT v1/listenKey", "DELETE v1/listenKey")
def _keep_key(exchange: FakeExchange, asked: Asked) -> Any:
    if not exchange.keys:
        raise Rejection(-1125)
    return {}
