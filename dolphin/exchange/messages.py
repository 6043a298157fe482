"""What a bar is on the market streams, in the exchange's wire format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from dolphin.exchange.symbols import SymbolRules
from dolphin.exchange.tape import Tape

Make = Callable[[], dict[str, Any]]

#: Names of depth streams, behind the symbol.
DEPTHS = ("depth@0ms", "depth@100ms", "depth@500ms", "depth20@100ms", "depth20@500ms")


def levels_around(price: Decimal, rules: SymbolRules) -> tuple[list[list[str]], list[list[str]]]:
    """Twenty bids and asks."""
    amount = rules.quantity_text(rules.step * 10**6)
    bids, asks = ([[f"{price + sign * rules.tick * k:f}", amount] for k in range(20)] for sign in (-1, 1))
    return bids, asks


class BarMessages:
    """One symbol's bar; messages are made when they are asked for.

    Parameters
    ----------
    rules : SymbolRules
    tape : Tape
    bar : tuple
        Open, high, low, close, volume (:meth:`~dolphin.exchange.tape.Tape.row`).
    close_ms : int
    number : int
        A sequence number of its own.
    """

    def __init__(self, rules: SymbolRules, tape: Tape, bar: tuple[Any, ...], close_ms: int, number: int) -> None:
        self._rules, self._interval, self._spacing = rules, tape.interval, tape.spacing_ms
        self._bar, self._close, self._number = bar, close_ms, number

    def streams(self) -> Iterator[tuple[str, str, Make]]:
        """Kind, stream and message, in the order in which they go out."""
        name = self._rules.symbol.lower()
        yield "trade", f"{name}@aggTrade", self._trade
        yield "quote", f"{name}@bookTicker", self._quote
        for mark in ("markPrice", "markPrice@1s"):
            yield "mark", f"{name}@{mark}", self._mark
        yield "kline", f"{name}@kline_{self._interval}", self._kline
        for depth in DEPTHS:
            yield "depth", f"{name}@{depth}", self._depth

    def _head(self, event: str) -> dict[str, Any]:
        return {"e": event, "E": self._close + 1, "s": self._rules.symbol}

    @property
    def _last(self) -> str:
        return f"{self._bar[3]:f}"

    def _trade(self) -> dict[str, Any]:
        n = self._number
        return self._head("aggTrade") | {
            "a": n, "p": self._last, "q": "1.000", "f": n, "l": n, "T": self._close - 1, "m": False,
        }  # fmt: skip

    def _quote(self) -> dict[str, Any]:
        bids, asks = levels_around(self._bar[3], self._rules)
        return self._head("bookTicker") | {
            "u": self._number, "T": self._close + 1, "b": bids[0][0], "B": bids[0][1], "a": asks[0][0], "A": asks[0][1],
        }  # fmt: skip

    def _mark(self) -> dict[str, Any]:
        p = self._last
        return self._head("markPriceUpdate") | {
            "p": p, "i": p, "P": p, "r": "0.00010000", "T": self._close + 3_600_000,
        }  # fmt: skip

    def _kline(self) -> dict[str, Any]:
        opened, high, low, close, volume = self._bar
        amount, quote, n = f"{volume:.3f}", f"{volume * float(close):.5f}", self._number
        kline = {
            "t": self._close - self._spacing, "T": self._close - 1, "s": self._rules.symbol, "i": self._interval,
            "f": n, "L": n, "o": f"{opened:f}", "c": f"{close:f}", "h": f"{high:f}", "l": f"{low:f}", "v": amount,
            "n": 3, "x": True, "q": quote, "V": amount, "Q": quote, "B": "0",
        }  # fmt: skip
        return self._head("kline") | {"k": kline}

    def _depth(self) -> dict[str, Any]:
        bids, asks = levels_around(self._bar[3], self._rules)
        n = self._number
        return self._head("depthUpdate") | {"T": self._close + 1, "U": n, "u": n, "pu": n - 1, "b": bids, "a": asks}
