"""The fill models of ENGINE section 8 in plain Python: does an order fill in this bar, and at what price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dolphin.parity.slow.grid import Instrument

MARKET, LIMIT, STOP, BRACKET = 0, 1, 2, 3
FILL_MODELS = ("scan_price", "bar_range", "touch", "volume_share")


@dataclass(frozen=True)
class Friction:
    """What research charges. ``fill_model`` is one of FILL_MODELS, ``timing`` is ``close`` or ``next``;
    ``maintenance`` is the margin fraction of a position's notional, 0 for none."""

    slippage_bps: float = 2.0
    fee_bps: float = 2.0
    maker_fee_bps: float = 2.0
    fill_model: str = "scan_price"
    volume_share: float = 0.1
    timing: str = "close"
    maintenance: float = 0.0

    @property
    def slippage(self) -> float:
        return self.slippage_bps / 1e4

    @property
    def taker(self) -> float:
        return self.fee_bps / 1e4

    @property
    def maker(self) -> float:
        return self.maker_fee_bps / 1e4


class Row(NamedTuple):
    """One asset in one bar."""

    price: float
    age: int
    open: float
    high: float
    low: float
    volume: float


class Reached(NamedTuple):
    """The price at which an order fills and the fee rate that it pays."""

    price: float
    rate: float


def slipped(price: float, direction: int, friction: Friction, instrument: Instrument) -> float:
    """``price`` moved against us and rounded to the tick against us."""
    moved = price * (1.0 + direction * friction.slippage)
    return instrument.tick.above(moved) if direction > 0 else instrument.tick.below(moved)


def reach(
    kind: int, limit: float, trigger: float, direction: int, row: Row, friction: Friction, instrument: Instrument
) -> Reached | None:
    """Where the order fills in this bar, or None if it does not."""
    if kind == MARKET:
        return Reached(slipped(row.price, direction, friction, instrument), friction.taker)
    if row.age != 0:
        return None
    if kind in (STOP, BRACKET):
        stopped = _stop(trigger, direction, row, friction, instrument)
        if stopped is not None:
            return stopped
    if kind in (LIMIT, BRACKET) and _limit_is_reached(limit, direction, row, friction, instrument):
        return Reached(limit, friction.maker)
    return None


def _stop(trigger: float, direction: int, row: Row, friction: Friction, instrument: Instrument) -> Reached | None:
    if friction.fill_model == "scan_price":
        extreme, base = row.price, row.price
    elif direction > 0:
        extreme, base = row.high, max(trigger, row.open)
    else:
        extreme, base = row.low, min(trigger, row.open)
    hit = extreme >= trigger if direction > 0 else extreme <= trigger
    return Reached(slipped(base, direction, friction, instrument), friction.taker) if hit else None


def _limit_is_reached(limit: float, direction: int, row: Row, friction: Friction, instrument: Instrument) -> bool:
    if friction.fill_model == "scan_price":
        extreme = row.price
    else:
        extreme = row.low if direction > 0 else row.high
    needed = limit
    if friction.fill_model != "touch":
        needed = instrument.tick.value(instrument.tick.count(limit) - direction)
    return extreme <= needed if direction > 0 else extreme >= needed


def quantity(wanted: float, row: Row, friction: Friction, instrument: Instrument) -> float:
    """How much of ``wanted`` this bar gives."""
    if friction.fill_model != "volume_share":
        return wanted
    return min(wanted, instrument.lot.below(friction.volume_share * row.volume))
