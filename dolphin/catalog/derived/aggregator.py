"""Bars tick by tick, as a live session needs them; the same bars, bit for bit, as DuckDB makes of a file."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from dolphin.errors import DolphinError
from dolphin.times import DAY_NS

_PLACES = 8  # of decimal128(20,8)
_SCALE = 10**_PLACES


class Bar(NamedTuple):
    """One finished bar; ``ts`` is its close, ns UTC, ``ticks`` how many trades it holds; None without a quote."""

    symbol: str
    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    bid: float | None
    ask: float | None
    ticks: int


#: Bid and ask, integers of 1e-8.
_Quote = tuple[int, int] | None


class _Open:
    """A bar in the making: prices and volume as integers of 1e-8, so that no sum rounds."""

    __slots__ = ("close", "first", "high", "last", "low", "open", "quote", "quoted", "ticks", "volume")

    def __init__(self, key: tuple[int, int, int], price: int, quantity: int, quote: _Quote) -> None:
        self.first = self.last = self.quoted = key
        self.open = self.high = self.low = self.close = price
        self.volume, self.ticks, self.quote = quantity, 1, quote

    def add(self, key: tuple[int, int, int], price: int, quantity: int, quote: _Quote) -> None:
        if key < self.first:
            self.first, self.open = key, price
        if key > self.last:
            self.last, self.close = key, price
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.volume += quantity
        self.ticks += 1
        if quote is not None and (self.quote is None or key > self.quoted):
            self.quoted, self.quote = key, quote

    def bar(self, symbol: str, ts: int) -> Bar:
        # Python divides integers correctly rounded: the float nearest to the decimal
        opened, high, low = self.open / _SCALE, self.high / _SCALE, self.low / _SCALE
        bid, ask = (None, None) if self.quote is None else (self.quote[0] / _SCALE, self.quote[1] / _SCALE)
        return Bar(symbol, ts, opened, high, low, self.close / _SCALE, self.volume / _SCALE, bid, ask, self.ticks)


class BarAggregator:
    """Ticks in, finished bars out.

    Parameters
    ----------
    spacing_ns : int
        Bar spacing; it divides a day.
    grace_ns : int
        How long after its close a bar still takes ticks that come late.

    Attributes
    ----------
    late : int
        Ticks whose bar was finished already; they are in no bar.

    Notes
    -----
    A bar that closes at ``c`` holds the ticks of ``[c - spacing, c)``. It is finished by the first tick of
    its symbol, or by the first :meth:`advance`, at or after ``c + grace_ns``. First and last are told by
    exchange time, then trade id, then arrival, whatever the order of arrival.
    """

    def __init__(self, spacing_ns: int, grace_ns: int = 0) -> None:
        if spacing_ns <= 0 or DAY_NS % spacing_ns:
            raise DolphinError(f"{spacing_ns} ns is no bar spacing", mend="use one that divides a day")
        if grace_ns < 0:
            raise DolphinError(f"grace of {grace_ns} ns", mend="it is zero or more")
        self.spacing_ns, self.grace_ns = spacing_ns, grace_ns
        self.late = 0
        self._open: dict[str, dict[int, _Open]] = {}
        self._finished: dict[str, int] = {}  # per symbol: bars that close at or before this take nothing more
        self._everyone = 0  # the same for all symbols
        self._arrived = 0

    def add(
        self,
        symbol: str,
        ts: int,
        price: Decimal,
        quantity: Decimal,
        trade_id: int | None = None,
        bid: Decimal | None = None,
        ask: Decimal | None = None,
    ) -> list[Bar]:
        """One tick; the bars that it finishes, by close and symbol.

        Parameters
        ----------
        ts : int
            Exchange time, ns UTC.
        price, quantity : Decimal
            Positive, with at most eight places.
        trade_id : int, optional
            Decides between ticks of one moment.
        bid, ask : Decimal, optional
            The best ones at that moment; no quote unless both are there and 0 < bid <= ask.

        Raises
        ------
        DolphinError
            If price or quantity is not positive or has more than eight places.
        """
        units = _units(price, symbol), _units(quantity, symbol), _quote(bid, ask, symbol)
        finished = self._finish(symbol, self._closed(ts))
        close = (ts // self.spacing_ns + 1) * self.spacing_ns
        if close <= self._finished[symbol]:
            self.late += 1
            return finished
        key = (ts, -1 if trade_id is None else trade_id, self._arrived)
        self._arrived += 1
        bars = self._open.setdefault(symbol, {})
        if close in bars:
            bars[close].add(key, *units)
        else:
            bars[close] = _Open(key, *units)
        return finished

    def advance(self, now_ns: int) -> list[Bar]:
        """The bars of all symbols that are finished at this time, by close and symbol."""
        self._everyone = max(self._everyone, self._closed(now_ns))
        found = [bar for symbol in self._open for bar in self._finish(symbol, self._everyone)]
        return sorted(found, key=lambda bar: (bar.ts, bar.symbol))

    def flush(self) -> list[Bar]:
        """Every bar that is left, finished or not: the stream has ended."""
        found = [bar for symbol, bars in self._open.items() if bars for bar in self._finish(symbol, max(bars))]
        return sorted(found, key=lambda bar: (bar.ts, bar.symbol))

    def _closed(self, now_ns: int) -> int:
        """The last close whose bar takes nothing more at this time."""
        return (now_ns - self.grace_ns) // self.spacing_ns * self.spacing_ns

    def _finish(self, symbol: str, closed: int) -> list[Bar]:
        """Finish a symbol's bars that close at or before ``closed``."""
        known = self._finished.get(symbol, 0)
        self._finished[symbol] = closed = max(known, closed, self._everyone)
        bars = self._open.get(symbol)
        if not bars or closed == known:
            return []
        return [bars.pop(close).bar(symbol, close) for close in sorted(bars) if close <= closed]


def _quote(bid: Decimal | None, ask: Decimal | None, symbol: str) -> _Quote:
    return None if bid is None or ask is None or not 0 < bid <= ask else (_units(bid, symbol), _units(ask, symbol))


def _units(value: Decimal, symbol: str) -> int:
    """A decimal as an integer of 1e-8."""
    scaled = value.scaleb(_PLACES)
    units = int(scaled)
    if units != scaled or units <= 0:
        raise DolphinError(
            f"{value} is no price or quantity", where=symbol, mend="positive, with at most 8 decimal places"
        )
    return units
