"""Recorded klines that the exchange plays: a table per symbol, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.errors import BadInput
from dolphin.exchange.symbols import SymbolRules

#: Kline intervals of the exchange by their length in milliseconds.
INTERVALS = {
    60_000: "1m", 180_000: "3m", 300_000: "5m", 900_000: "15m", 1_800_000: "30m", 3_600_000: "1h", 7_200_000: "2h",
    14_400_000: "4h", 21_600_000: "6h", 28_800_000: "8h", 43_200_000: "12h", 86_400_000: "1d",
}  # fmt: skip

#: Open, high, low, close, volume.
Bar = tuple[Decimal, Decimal, Decimal, Decimal, float]


@dataclass
class Tape:
    """Klines of several symbols on one grid.

    Attributes
    ----------
    rules : sequence of SymbolRules
        By column.
    spacing_ms : int
        One of :data:`INTERVALS`.
    close_ms : int64 [T]
        Times at which klines close, one spacing apart; market data is stamped one millisecond less.
    close : float64 [T, N]
        NaN where there was no kline.
    open, high, low, volume : float64 [T, N], optional
        The close and 1 where they are not given.
    funding : float64 [T, N], optional
        Rates that fall due when a row closes; 0 or NaN for none.
    at : int
        Rows that have been played; klines and prices are of those.
    """

    rules: Sequence[SymbolRules]
    spacing_ms: int
    close_ms: NDArray[np.int64]
    close: NDArray[np.float64]
    open: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    low: NDArray[np.float64] | None = None
    volume: NDArray[np.float64] | None = None
    funding: NDArray[np.float64] | None = None
    at: int = 0
    columns: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        if self.spacing_ms not in INTERVALS:
            raise BadInput(
                f"the exchange has no klines of {self.spacing_ms} ms", mend=f"one of {', '.join(INTERVALS.values())}"
            )
        if self.close.shape != (len(self.close_ms), len(self.rules)):
            raise BadInput(f"closes of shape {self.close.shape} for {len(self.close_ms)} bars of {len(self.rules)}")
        self.columns = {rules.symbol: j for j, rules in enumerate(self.rules)}

    @property
    def interval(self) -> str:
        """The exchange's name of the spacing."""
        return INTERVALS[self.spacing_ms]

    @property
    def over(self) -> bool:
        """Whether every row was played."""
        return self.at >= len(self.close_ms)

    @property
    def now_ms(self) -> int:
        """Market time: the close of the last row that was played."""
        return int(self.close_ms[self.at - 1]) if self.at else int(self.close_ms[0]) - self.spacing_ms

    def prices(self) -> dict[str, Decimal]:
        """The last price of each symbol so far; the first to come where there is none yet."""
        found = {}
        for j, rules in enumerate(self.rules):
            known = self.close[: self.at, j]
            real = np.flatnonzero(~np.isnan(known))
            ahead = self.close[~np.isnan(self.close[:, j]), j]
            price = float(known[real[-1]]) if len(real) else float(ahead[0]) if len(ahead) else 1.0
            found[rules.symbol] = decimal_of(price, rules)
        return found

    def row(self, k: int) -> dict[str, Bar]:
        """Open, high, low, close and volume of row ``k`` for the symbols that have one."""
        real = np.flatnonzero(~np.isnan(self.close[k])).tolist()
        return {self.rules[j].symbol: self.bar(k, j) for j in real}

    def bar(self, k: int, j: int) -> Bar:
        """Open, high, low, close and volume of row ``k`` in column ``j``."""
        rules, close = self.rules[j], float(self.close[k, j])
        first, high, low = (decimal_of(_at(table, k, j, close), rules) for table in (self.open, self.high, self.low))
        return first, high, low, decimal_of(close, rules), _at(self.volume, k, j, 1.0)

    def funding_of(self, k: int) -> dict[str, Decimal]:
        """The funding rates that fall due with row ``k``."""
        if self.funding is None:
            return {}
        rates = zip(self.rules, self.funding[k].tolist(), strict=True)
        return {rules.symbol: Decimal(repr(rate)) for rules, rate in rates if rate == rate and rate != 0.0}

    def klines(self, symbol: str, start: int | None, end: int | None, limit: int) -> list[list[Any]]:
        """``GET /fapi/v1/klines``: those that opened from ``start`` on, or the last ``limit`` without it."""
        j, opens = self.columns[symbol], self.close_ms[: self.at] - self.spacing_ms
        keep = ~np.isnan(self.close[: self.at, j])
        if end is not None:
            keep &= opens <= end
        if start is not None:
            keep &= opens >= start
        rows = np.flatnonzero(keep)
        rows = rows[:limit] if start is not None else rows[-limit:]
        rules = self.rules[j]
        out = []
        for k in rows.tolist():
            first, high, low, close, volume = self.bar(k, j)
            prices = [rules.price_text(value) for value in (first, high, low, close)]
            quote = f"{volume * float(close):.5f}"
            t = int(opens[k])
            out.append(
                [t, *prices, f"{volume:.3f}", t + self.spacing_ms - 1, quote, 3, f"{volume / 2:.3f}", quote, "0"]
            )
        return out


def decimal_of(value: float, rules: SymbolRules) -> Decimal:
    """A recorded price as the decimal that it prints as, with at least the tick's decimals."""
    found = Decimal(repr(float(value)))
    return found if -int(found.as_tuple().exponent) > rules.price_decimals else Decimal(rules.price_text(found))


def _at(table: NDArray[np.float64] | None, k: int, j: int, otherwise: float) -> float:
    value = otherwise if table is None else float(table[k, j])
    return value if value == value else otherwise


def tape_of(
    symbols: Mapping[str, tuple[str, str, float]], spacing_ms: int, close_ms: NDArray[np.int64], **columns: Any
) -> Tape:
    """A tape from ``{symbol: (tick, step, least notional)}`` and columns."""
    rules = [
        SymbolRules(name, Decimal(tick), Decimal(step), Decimal(repr(float(least))))
        for name, (tick, step, least) in symbols.items()
    ]
    return Tape(rules, spacing_ms, np.asarray(close_ms, np.int64), **columns)
