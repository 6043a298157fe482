"""The account: balance, positions in one-way mode, trades; everything in decimals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

#: A message of the user stream: its kind and what it says.
Emit = Callable[[str, dict[str, Any]], None]

ZERO = Decimal(0)


@dataclass
class Position:
    """Signed amount and average entry price."""

    amount: Decimal = ZERO
    entry: Decimal = ZERO


@dataclass(frozen=True)
class Trade:
    """One execution: part of an order, or all of it."""

    id: int
    symbol: str
    order_id: int
    client_id: str
    buys: bool
    price: Decimal
    quantity: Decimal
    realized: Decimal
    fee: Decimal
    maker: bool
    time: int

    def document(self, price: str, quantity: str) -> dict[str, Any]:
        """As ``GET /fapi/v1/userTrades`` gives it."""
        return {
            "symbol": self.symbol, "id": self.id, "orderId": self.order_id, "side": "BUY" if self.buys else "SELL",
            "price": price, "qty": quantity, "realizedPnl": f"{self.realized:.8f}",
            "quoteQty": f"{self.price * self.quantity:.8f}", "commission": f"{self.fee:.8f}",
            "commissionAsset": "USDT", "time": self.time, "positionSide": "BOTH", "buyer": self.buys,
            "maker": self.maker, "marginAsset": "USDT",
        }  # fmt: skip


class Account:
    """Balance and positions; every change is told to ``emit``.

    Parameters
    ----------
    balance : Decimal
        USDT.
    taker_fee, maker_fee : Decimal
        Fractions of the notional.
    emit : callable
        Receives ``ACCOUNT_UPDATE`` with its body.
    """

    def __init__(self, balance: Decimal, taker_fee: Decimal, maker_fee: Decimal, emit: Emit) -> None:
        self.balance, self.taker_fee, self.maker_fee = balance, taker_fee, maker_fee
        self.positions: dict[str, Position] = {}
        self.leverage: dict[str, int] = {}
        self.margin_type: dict[str, str] = {}
        self.trades: list[Trade] = []
        self._emit = emit

    def amount(self, symbol: str) -> Decimal:
        """What is held of a symbol, signed."""
        return self.positions[symbol].amount if symbol in self.positions else ZERO

    def held(self) -> dict[str, Decimal]:
        """The open positions, signed."""
        return {symbol: held.amount for symbol, held in self.positions.items() if held.amount}

    def equity(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Balance and unrealised P&L at these prices."""
        return self.balance + sum(
            (held.amount * (prices[s] - held.entry) for s, held in self.positions.items() if held.amount), ZERO
        )

    def margin_for(self, symbol: str, notional: Decimal, prices: Mapping[str, Decimal]) -> Decimal:
        """Initial margin of all positions and of so much more of one symbol."""
        used = sum((abs(h.amount) * prices[s] / self.leverage[s] for s, h in self.positions.items()), ZERO)
        return used + notional / self.leverage[symbol]

    def execute(self, trade: Trade) -> Trade:
        """Book a trade whose P&L and fee are still to be filled in; returns it whole."""
        held = self.positions.setdefault(trade.symbol, Position())
        signed = trade.quantity if trade.buys else -trade.quantity
        closing = min(abs(held.amount), trade.quantity) if held.amount * signed < 0 else ZERO
        realized = closing * (trade.price - held.entry) * (1 if held.amount > 0 else -1)
        fee = round(trade.quantity * trade.price * (self.maker_fee if trade.maker else self.taker_fee), 8)
        after = held.amount + signed
        if held.amount * signed >= 0:
            held.entry = (abs(held.amount) * held.entry + trade.quantity * trade.price) / abs(after)
        elif after * held.amount <= 0:
            held.entry = trade.price if after else ZERO
        held.amount = after
        self.balance += realized - fee
        whole = Trade(**{**trade.__dict__, "realized": realized, "fee": fee})
        self.trades.append(whole)
        self.tell("ORDER", [trade.symbol])
        return whole

    def fund(self, rates: Mapping[str, Decimal], prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Funding on what is held: longs pay a positive rate; what each symbol paid, in eight decimals."""
        paid = {s: round(self.amount(s) * prices[s] * rate, 8) for s, rate in rates.items() if self.amount(s)}
        paid = {symbol: amount for symbol, amount in paid.items() if amount}
        if paid:
            self.balance -= sum(paid.values(), ZERO)
            # Of positions that share a margin the exchange tells the balance alone.
            self.tell("FUNDING_FEE", [], -sum(paid.values(), ZERO))
        return paid

    def tell(self, reason: str, symbols: list[str], change: Decimal = ZERO) -> None:
        """An ``ACCOUNT_UPDATE`` of the balance, what changed it beside trades, and these positions."""
        wallet = f"{self.balance:.8f}"
        positions = [
            {"s": s, "pa": f"{self.positions[s].amount:f}", "ep": f"{self.positions[s].entry:.8f}", "bep": "0",
             "cr": "0", "up": "0", "mt": "cross", "iw": "0", "ps": "BOTH"}
            for s in symbols
        ]  # fmt: skip
        balance = {"a": "USDT", "wb": wallet, "cw": wallet, "bc": f"{change:.8f}"}
        self._emit("ACCOUNT_UPDATE", {"a": {"m": reason, "B": [balance], "P": positions}})
