"""What a study searches: ranges and choices by parameter name, what follows from them, and what must hold."""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args, get_origin

from dolphin.config import Account, Config, Friction, RiskInputs
from dolphin.errors import BadInput, DolphinError, nearest
from dolphin.study.space.expression import Expression, parse

#: A proposal: values of the searched parameters that are active, by their names as written.
Point = dict[str, Any]

#: Points among which one must keep the constraints, or the study is refused.
PROBES = 4096


@dataclass(frozen=True)
class Choices:
    """One of a list of values."""

    values: tuple[Any, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.values)

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

    @property
    def whole(self) -> bool:
        """Whether all its values are whole numbers."""
        return self._whole_log or (self.step is not None and float(self.low).is_integer() and self.step % 1 == 0)

    @property
    def _whole_log(self) -> bool:
        return self.log and isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, u: float) -> float:
        """The value at ``u`` in [0, 1)."""
        if self.step is not None:
            return self.point(int(u * self.count))
        if self.log:
            value = self.low * (self.high / self.low) ** u
            return round(value) if self._whole_log else min(max(value, self.low), self.high)
        return min(self.low + u * (self.high - self.low), self.high)

    def nearest(self, value: float) -> float:
        """``value`` as this range writes it: the point of a stepped one."""
        return value if self.step is None else self.point(round((value - self.low) / self.step))

    def points(self) -> tuple[float, ...]:
        """Every point of a stepped range, for a grid."""
        return tuple(self.point(k) for k in range(self.count))

    def point(self, k: int) -> float:
        """The ``k``-th point of a stepped range."""
        assert self.step is not None
        # Rounded so that 0.1 + 2 * 0.1 is written 0.3.
        value = round(self.low + k * self.step, 12)
        return int(value) if isinstance(self.low, int) and isinstance(self.step, int) else value


Dimension = Choices | Range


@dataclass(frozen=True)
class Space:
    """The searched parameters, in the order written.

    Attributes
    ----------
    dimensions : dict
        Range or choices by parameter.
    conditions : dict
        When a parameter is searched at all; otherwise it keeps the base configuration's value.
    derived : dict
        Parameters computed from the others.
    constraints : tuple
        What must hold; a point that breaks one is registered as invalid and never run.
    base : dict
        Values of the base configuration by plain name, for the expressions.
    """

    dimensions: dict[str, Dimension]
    conditions: dict[str, Expression] = field(default_factory=dict)
    derived: dict[str, Expression] = field(default_factory=dict)
    constraints: tuple[Expression, ...] = ()
    base: dict[str, Any] = field(default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self.dimensions)

    def __len__(self) -> int:
        return len(self.dimensions)

    def __getitem__(self, name: str) -> Dimension:
        return self.dimensions[name]

    def items(self) -> ItemsView[str, Dimension]:
        """Names and dimensions."""
        return self.dimensions.items()

    def over(self, config: Config) -> Space:
        """The same space with the values of another base configuration (its percentiles settled)."""
        return replace(self, base=plain_values(config))

    def active(self, name: str, point: Mapping[str, Any]) -> bool:
        """Whether ``name`` is searched, given the values before it."""
        condition = self.conditions.get(name)
        return condition is None or bool(condition(self._names(point)))

    def point(self, unit: Sequence[float]) -> Point:
        """The proposal at a point of the unit cube (one coordinate in [0, 1) per dimension)."""
        pairs = zip(self.dimensions.items(), unit, strict=True)
        if not self.conditions:
            return {name: dimension.at(u) for (name, dimension), u in pairs}
        found: Point = {}
        for (name, dimension), u in pairs:
            if self.active(name, found):
                found[name] = dimension.at(u)
        return found

    def of_values(self, values: Mapping[str, Any]) -> Point:
        """The proposal that these parameter values (by plain name) were made from."""
        found: Point = {}
        for name in self.dimensions:
            if self.active(name, found):
                found[name] = values[name if name in values else plain(name)]
        return found

    def complete(self, point: Point) -> tuple[Point, str | None]:
        """All values to set, derived ones included, and what of the constraints is broken, if anything."""
        if not self.derived and not self.constraints:
            return point, None
        names, values = self._names(point), dict(point)
        try:
            for name, expression in self.derived.items():
                values[name] = names[plain(name)] = expression(names)
            for constraint in self.constraints:
                if not constraint(names):
                    return values, f"breaks the constraint '{constraint.text}'"
        except BadInput as error:
            return values, str(error)
        return values, None

    def check_possible(self, where: str) -> None:
        """Refuse a space in which none of 4,096 Sobol points keeps the constraints."""
        if not self.constraints:
            return
        from scipy.stats import qmc

        for unit in qmc.Sobol(len(self), scramble=True, rng=0).random(PROBES).tolist():
            if self.complete(self.point(unit))[1] is None:
                return
        texts = " and ".join(f"'{constraint.text}'" for constraint in self.constraints)
        raise DolphinError(
            f"impossible constraints: none of {PROBES:,} points of the space keeps {texts}",
            where=where,
            mend="widen the ranges or loosen the constraints",
        )

    def _names(self, point: Mapping[str, Any]) -> dict[str, Any]:
        return self.base | {plain(name): value for name, value in point.items()}


def plain(name: str) -> str:
    """``fee_bps`` of ``friction.fee_bps``: as expressions call it."""
    return name.rpartition(".")[2]


def plain_values(config: Config) -> dict[str, Any]:
    """Every value of a configuration by its plain name; those of params win."""
    document: Mapping[str, Any] = config.document()
    return {**document["account"], **document["friction"], **document.get("risk", {}), **document["params"]}


def parse_space(
    table: Any, where: str, config: Config | None = None, derived: Any = None, constraints: Any = None
) -> Space:
    """The ``[search]`` and ``[derived]`` tables of a study, and its ``constraints``.

    Each entry of ``[search]`` is ``{ choices = [...] }`` or ``{ low = , high = , step = , log = }``, with
    ``when = "expression"`` if it is searched under a condition only. With ``config``, the names and kinds of
    the values are checked against its parameters.

    Raises
    ------
    DolphinError
        On an empty range, a wrong type, an unknown key or parameter, or no valid expression.
    """
    if not isinstance(table, Mapping):
        raise DolphinError("[search] must be a table", where=where)
    if not table:
        raise DolphinError("[search] is empty", where=where, mend="name at least one parameter")
    base = plain_values(config) if config is not None else {}
    later = {plain(name) for name in table}
    dimensions: dict[str, Dimension] = {}
    conditions: dict[str, Expression] = {}
    for name, entry in table.items():
        place = f"{where}: [search] {name}"
        condition = entry.get("when") if isinstance(entry, Mapping) else None
        if condition is not None:
            # Only what is settled before it: a parameter's own value or a later one would run in a circle.
            known = (set(base) - later) | {plain(earlier) for earlier in dimensions}
            conditions[name] = parse(condition, f"{place}: when", known)
            entry = {key: value for key, value in entry.items() if key != "when"}
        dimensions[name] = _dimension(entry, place)
        if config is not None:
            _check_kind(name, dimensions[name], config, where)
    seen: dict[str, str] = {}
    for name in [*dimensions, *(derived if isinstance(derived, Mapping) else ())]:
        if plain(name) in seen:
            raise DolphinError(f"'{name}' is named twice", where=where, mend="search it or derive it, once")
        seen[plain(name)] = name
    computed = _derived(derived or {}, where, config, set(base) | {plain(name) for name in dimensions})
    if not isinstance(constraints or [], list):
        raise DolphinError("constraints must be a list of expressions", where=where)
    known = set(base) | {plain(name) for name in [*dimensions, *computed]}
    held = tuple(parse(text, f"{where}: constraints", known) for text in constraints or [])
    return Space(dimensions, conditions, computed, held, base)


def _derived(table: Any, where: str, config: Config | None, known: set[str]) -> dict[str, Expression]:
    if not isinstance(table, Mapping):
        raise DolphinError("[derived] must be a table", where=where)
    found: dict[str, Expression] = {}
    waiting = {plain(name) for name in table}
    for name, text in table.items():
        if config is not None:
            _kind(name, config, f"{where}: [derived]")
        found[name] = parse(text, f"{where}: [derived] {name}", known - waiting)
        waiting.remove(plain(name))
    return found


def _kind(name: str, config: Config, where: str) -> Any:
    """The annotation of a parameter, or key of friction or account."""
    models: dict[str, Any] = {"params": config.strategy.params, "friction": Friction, "account": Account}
    if config.risk.table is not None:
        models["risk"] = RiskInputs
    section, _, key = name.rpartition(".")
    for candidate in [section] if section else models:
        if candidate in models and key in models[candidate].model_fields:
            return models[candidate].model_fields[key].annotation
    known = [field for model in models.values() for field in model.model_fields]
    raise DolphinError(f"unknown key '{name}'", where=where, mend=nearest(key, known))


def _check_kind(name: str, dimension: Dimension, config: Config, where: str) -> None:
    """Refuse values that can never be right; those out of bounds are registered as invalid instead."""
    kind = _kind(name, config, f"{where}: [search]")
    where = f"{where}: [search] {name}"
    options = get_args(kind) if get_origin(kind) is Literal else ()
    if isinstance(dimension, Range):
        if options or kind in (bool, str):
            known = ", ".join(map(repr, options)) or {bool: "true, false", str: "text"}[kind]
            raise DolphinError(f"a range of numbers, but it takes {known}", where=where, mend="use choices = [...]")
        if kind is int and not dimension.whole:
            raise DolphinError("it takes whole numbers only", where=where, mend="use whole low, high and step")
        return
    for value in dimension.values:
        if options and value not in options:
            raise DolphinError(f"choice {value!r} is not among its values", where=where, mend=nearest(value, options))
        wrong = {
            bool: not isinstance(value, bool),
            str: not isinstance(value, str),
            int: isinstance(value, bool | str) or value % 1 != 0,
            float: isinstance(value, bool | str),
        }
        if wrong.get(kind):
            word = {bool: "true or false", str: "text", int: "whole numbers", float: "numbers"}[kind]
            raise DolphinError(f"choice {value!r}: it takes {word}", where=where)


def _dimension(entry: Any, where: str) -> Dimension:
    if not isinstance(entry, Mapping):
        raise DolphinError(
            f"{entry!r} is neither range nor choice",
            where=where,
            mend="write { low = 1, high = 2 } or { choices = [1, 2] }",
        )
    known = ("choices", "low", "high", "step", "log", "when")
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
