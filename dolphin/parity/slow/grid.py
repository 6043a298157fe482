"""Ticks and lots in plain Python: numbers of steps, grid values, rounding against us."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A price tick or a quantity lot: ``size`` is ``num / den``, both whole numbers as floats."""

    size: float
    num: float
    den: float

    def value(self, count: float) -> float:
        """The grid value of a whole number of steps: the product first, then one division."""
        return count * self.num / self.den

    def count(self, x: float) -> float:
        """The number of steps of ``x``, to the nearest."""
        return whole(math.floor, x / self.size + 0.5)

    def holds(self, x: float) -> bool:
        """Whether ``x`` is a grid value, by bits; infinity is no whole number of steps."""
        return math.isfinite(x) and x == self.value(self.count(x))

    def below(self, x: float) -> float:
        """The last grid value not above ``x``, a hair forgiven."""
        steps = x / self.size
        return self.value(whole(math.floor, steps + hair(steps)))

    def above(self, x: float) -> float:
        """The first grid value not below ``x``, a hair forgiven."""
        steps = x / self.size
        return self.value(whole(math.ceil, steps - hair(steps)))

    def add(self, a: float, b: float) -> float:
        """The sum of two grid values, as a grid value."""
        return self.value(self.count(a) + self.count(b))

    def subtract(self, a: float, b: float) -> float:
        """The difference of two grid values, as a grid value."""
        return self.value(self.count(a) - self.count(b))


def hair(steps: float) -> float:
    """How far beside a whole number of steps a quotient may lie by rounding alone."""
    return max(1e-9, steps * 2.0**-51)


def whole(rounding: Callable[[float], int], x: float) -> float:
    """``math.floor`` or ``math.ceil`` as a float; what is not finite stays as it is."""
    return float(rounding(x)) if math.isfinite(x) else x


@dataclass(frozen=True, slots=True)
class Instrument:
    """One asset's tick, lot and minimum notional."""

    tick: Step
    lot: Step
    min_notional: float
