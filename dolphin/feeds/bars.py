"""The newest bars of every symbol, in memory, made of the trades as they come: a ring that others may ask for."""

from __future__ import annotations

from typing import Any, NamedTuple

from dolphin.times import SECOND_NS

#: Bars that a symbol's ring holds.
KEPT = 5_000


class Bar(NamedTuple):
    """Trades of one interval, which ends at ``ts`` (ns, included): prices, the volume in base units, their number."""

    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int


class Ring:
    """The newest bars of one symbol.

    First and last are by the exchange's number of a trade, so that the order in which trades come does not matter; one
    that belongs to a bar that has left the ring is not taken.
    """

    __slots__ = ("_kept", "_newest", "_places", "_spacing_ns")

    def __init__(self, spacing_ns: int, kept: int = KEPT) -> None:
        self._spacing_ns, self._kept, self._newest = spacing_ns, kept, -1
        #: By the number of its interval, modulo the ring: that number, first and last trade, prices, volume, trades.
        self._places: list[list[Any] | None] = [None] * kept

    def trade(self, number: int, ts: int, price: float, quantity: float) -> bool:
        """Take a trade by the exchange's number and time (ns); whether its bar is still held."""
        interval = -(-ts // self._spacing_ns)
        if interval <= self._newest - self._kept:
            return False
        if interval > self._newest:
            self._newest = interval
        bar = self._places[interval % self._kept]
        if bar is None or bar[0] != interval:
            self._places[interval % self._kept] = [interval, number, number, price, price, price, price, quantity, 1]
            return True
        if number < bar[1]:
            bar[1], bar[3] = number, price
        elif number > bar[2]:
            bar[2], bar[6] = number, price
        if price > bar[4]:
            bar[4] = price
        elif price < bar[5]:
            bar[5] = price
        bar[7] += quantity
        bar[8] += 1
        return True

    def newest(self, count: int) -> list[Bar]:
        """At most so many bars that had trades, the oldest first, of the intervals that the ring spans."""
        held = (bar for bar in self._places if bar is not None and bar[0] > self._newest - self._kept)
        bars = sorted(held, key=lambda bar: bar[0])[-count:] if count > 0 else []
        return [Bar(bar[0] * self._spacing_ns, *bar[3:]) for bar in bars]


class Rings:
    """The rings of all symbols."""

    def __init__(self, spacing_ns: int = 5 * SECOND_NS, kept: int = KEPT) -> None:
        self.spacing_ns, self._kept = spacing_ns, kept
        self._rings: dict[str, Ring] = {}

    def trade(self, symbol: str, number: int, ts: int, price: float, quantity: float) -> bool:
        """Take a trade; whether its bar is still held."""
        ring = self._rings.get(symbol)
        if ring is None:
            ring = self._rings[symbol] = Ring(self.spacing_ns, self._kept)
        return ring.trade(number, ts, price, quantity)

    @property
    def symbols(self) -> list[str]:
        """Those that traded."""
        return sorted(self._rings)

    def document(self, symbol: str, count: int = KEPT) -> dict[str, Any]:
        """A symbol's newest bars, for JSON: column by column."""
        ring = self._rings.get(symbol)
        bars = ring.newest(count) if ring else []
        columns = {name: [getattr(bar, name) for bar in bars] for name in Bar._fields}
        return {"schema": 1, "symbol": symbol, "spacing_ns": self.spacing_ns, **columns}
