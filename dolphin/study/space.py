"""What a study searches: ranges and choices, by parameter name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dolphin.errors import DolphinError, nearest


@dataclass(frozen=True)
class Choices:
    """One of a list of values."""

    values: tuple[Any, ...]

    def at(self, u: float) -> Any:
        """The value at ``u`` in [0, 1)."""
        return self.values[int(u * len(self.values))]

    def points(self) -> tuple[Any, ...]:
        """Every value, for a grid."""
        return self.values


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included: continuous, or every ``step``-th."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def count(self) -> int:
        """How many points a stepped range has."""
        assert self.step is not None
        return math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def at(self, u: float) -> float:
        """The value at ``u`` in [0, 1)."""
        if self.step is not None:
            return self._point(int(u * self.count))
        if self.log:
            value = self.low * (self.high / self.low) ** u
            return round(value) if isinstance(self.low, int) and isinstance(self.high, int) else value
        return self.low + u * (self.high - self.low)

    def points(self) -> tuple[float, ...]:
        """Every point of a stepped range, for a grid."""
        return tuple(self._point(k) for k in range(self.count))

    def _point(self, k: int) -> float:
        assert self.step is not None
        # Rounded so that 0.1 + 2 * 0.1 is written 0.3.
        value = round(self.low + k * self.step, 12)
        return int(value) if isinstance(self.low, int) and isinstance(self.step, int) else value


Dimension = Choices | Range
Space = dict[str, Dimension]


def parse_space(table: Mapping[str, Any], where: str) -> Space:
    """The ``[search]`` table of a study.

    Each entry is ``{ choices = [...] }`` or ``{ low = , high = , step = , log = }``.

    Raises
    ------
    DolphinError
        On an empty range, a wrong type or an unknown key.
    """
    if not isinstance(table, Mapping):
        raise DolphinError("[search] must be a table", where=where)
    if not table:
        raise DolphinError("[search] is empty", where=where, mend="name at least one parameter")
    return {name: _dimension(name, entry, f"{where}: [search] {name}") for name, entry in table.items()}


def _dimension(name: str, entry: Any, where: str) -> Dimension:
    if not isinstance(entry, Mapping):
        raise DolphinError(
            f"{entry!r} is neither range nor choice",
            where=where,
            mend="write { low = 1, high = 2 } or { choices = [1, 2] }",
        )
    known = ("choices", "low", "high", "step", "log")
    for key in entry:
        if key not in known:
            raise DolphinError(f"unknown key '{key}'", where=where, mend=nearest(key, known))
    if "choices" in entry:
        values = entry["choices"]
        if not isinstance(values, list) or not values or len(entry) > 1:
            raise DolphinError("choices must be a non-empty list, alone", where=where)
        for value in values:
            if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
                raise DolphinError(f"choice {value!r} is no text, number or boolean", where=where)
        return Choices(tuple(values))
    for key in ("low", "high"):
        if key not in entry:
            raise DolphinError(f"'{key}' is missing", where=where)
    for key in ("low", "high", "step"):
        value = entry.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise DolphinError(f"{key} = {value!r} is not a number", where=where)
    log = entry.get("log", False)
    if not isinstance(log, bool):
        raise DolphinError(f"log = {log!r} is neither true nor false", where=where)
    low, high, step = entry["low"], entry["high"], entry.get("step")
    if high < low:
        raise DolphinError(f"empty range: high ({high}) lies below low ({low})", where=where)
    if step is not None and step <= 0:
        raise DolphinError(f"step must be above 0, not {step}", where=where)
    if log and (low <= 0 or step is not None):
        raise DolphinError("a log range needs low > 0 and no step", where=where)
    if step is None and not log and isinstance(low, int) and isinstance(high, int):
        step = 1  # integers stay integers
    return Range(low, high, step, log)
