"""Price ticks and lot steps as exact integers, and rounding prices the way ``round`` does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.errors import DolphinError
from dolphin.files import read_json

SYMBOL = re.compile(r"[A-Z0-9]{1,20}")
MAX_DECIMALS = 10
MIN_NOTIONAL = 5.0
INFER_SHARE = 0.999  # of the values must be reproduced by the inferred number of decimals


@dataclass(frozen=True)
class Instrument:
    """What an exchange says about a symbol.

    The price tick is ``tick_num / 10**tick_exp`` and the lot step ``lot_num / 10**lot_exp``, exactly.
    """

    symbol: str
    price_precision: int
    tick_num: int
    tick_exp: int
    lot_num: int
    lot_exp: int
    min_notional: float

    @classmethod
    def of(
        cls, symbol: str, price_precision: int, price_tick: float, lot_step: float, min_notional: float
    ) -> Instrument:
        """From tick and lot as floats, read as the decimals they print as."""
        return cls(symbol, price_precision, *exact_decimal(price_tick), *exact_decimal(lot_step), float(min_notional))

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, for manifests."""
        return asdict(self)


def exact_decimal(value: float) -> tuple[int, int]:
    """``(m, d)`` with ``value == m / 10**d`` for the shortest decimal of a positive float."""
    number = Decimal(repr(value)).normalize()
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or number <= 0:
        raise DolphinError(f"{value!r} is no tick or lot step", mend="it must be a positive decimal")
    places = max(0, -exponent)
    return int(number.scaleb(places)), places


def check_symbol(symbol: str, where: str) -> None:
    """Raise unless the symbol is 1 to 20 capital letters or digits."""
    if not SYMBOL.fullmatch(symbol):
        raise DolphinError(
            f"{symbol!r} is no symbol", where=where, mend="symbols are 1 to 20 capital letters or digits"
        )


def load_instruments(path: Path, symbols: Iterable[str]) -> tuple[Instrument, ...]:
    """Instruments of these symbols from an ``instruments.json``.

    The file maps symbols (at the top or under ``instruments``) to ``price_precision``, ``price_tick``,
    ``lot_step`` and, optionally, ``min_notional`` (5).
    """
    document = read_json(path)
    table = document.get("instruments", document) if isinstance(document, dict) else None
    if not isinstance(table, dict):
        raise DolphinError("holds no instruments", where=str(path), mend="map each symbol to its tick and lot")
    found = []
    for symbol in symbols:
        entry = table.get(symbol)
        if not isinstance(entry, Mapping):
            raise DolphinError(
                f"no instrument for {symbol}",
                where=str(path),
                mend="add it, leave the symbol out with --symbols, or name another file with --instruments",
            )
        try:
            precision = int(entry["price_precision"])
            tick, lot = float(entry["price_tick"]), float(entry["lot_step"])
            notional = float(entry.get("min_notional", MIN_NOTIONAL))
        except (KeyError, TypeError, ValueError) as error:
            raise DolphinError(
                f"{symbol}: {error} missing or no number",
                where=str(path),
                mend="give price_precision, price_tick, lot_step and min_notional",
            ) from None
        if not 0 <= precision <= MAX_DECIMALS or not math.isfinite(notional) or notional < 0:
            raise DolphinError(
                f"{symbol}: price_precision or min_notional out of range",
                where=str(path),
                mend=f"precision 0 to {MAX_DECIMALS}, min_notional >= 0",
            )
        found.append(Instrument.of(symbol, precision, tick, lot, notional))
    return tuple(found)


def round_prices(values: NDArray[np.float64], precision: int) -> NDArray[np.float64]:
    """``round(x, precision)`` for every element, bit for bit as Python does it.

    ``k / 10**p`` with integer ``k`` below 2**53 is the double nearest to that decimal, so only the choice
    of ``k`` can go wrong, and only where ``x * 10**p`` lies next to a half: those few go through Python.
    """
    scale = float(10**precision)
    scaled = values * scale
    whole = np.rint(scaled)
    rounded = whole / scale
    with np.errstate(invalid="ignore"):
        margin = 0.5 - np.abs(scaled - whole)
        doubtful = (np.abs(margin) <= np.abs(scaled) * 2.0**-51) | ~(np.abs(scaled) < 2.0**51)
    for i in np.flatnonzero(doubtful):
        value = float(values[i])
        rounded[i] = round(value, precision) if math.isfinite(value) else value
    return rounded


class DecimalCount:
    """How many decimals the prices and volumes of each symbol need, counted file by file."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], NDArray[np.int64]] = {}

    def add(self, symbol: str, kind: str, values: NDArray[np.float64]) -> None:
        """Count the decimals of ``values`` (``kind`` is ``price`` or ``volume``)."""
        counts = self._counts.setdefault((symbol, kind), np.zeros(MAX_DECIMALS + 1, np.int64))
        rest = values
        for decimals in range(MAX_DECIMALS):
            done = round_prices(rest, decimals) == rest
            counts[decimals] += int(done.sum())
            rest = rest[~done]
            if not rest.size:
                return
        counts[MAX_DECIMALS] += rest.size

    def decimals(self, symbol: str, kind: str) -> int:
        """The fewest decimals that reproduce 99.9 % of the values."""
        reached = np.cumsum(self._counts[symbol, kind])
        return int(np.searchsorted(reached, INFER_SHARE * reached[-1]))

    def instrument(self, symbol: str) -> Instrument:
        """Tick and lot step inferred from the data; they need not be the exchange's filters."""
        price, lot = self.decimals(symbol, "price"), self.decimals(symbol, "volume")
        return Instrument(symbol, price, 1, price, 1, lot, MIN_NOTIONAL)
