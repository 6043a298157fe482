"""What a strategy may declare: the pieces of a declaration, and the first thing of one that cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, get_origin

from dolphin.core.records import MARKET_COLUMNS

if TYPE_CHECKING:
    from dolphin.core.strategy import Strategy

#: Kinds of parameters beside choices (``Literal``); texts are no part of the record that ``decide`` reads.
PARAMETER_KINDS = (float, int, bool, str)

#: Kinds of order that a strategy may declare beside market orders.
ORDERS = ("limit", "stop")


class PluginFeature(Protocol):
    """What a strategy asks of a feature object (:class:`dolphin.features.plugin.Feature`)."""

    @property
    def name(self) -> str:
        """Name in messages."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns of the scanner that it reads."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that can change a value."""

    @property
    def sources(self) -> frozenset[Path]:
        """The files that the digest covers."""


#: What stands in a column of ``market.features``: a column of the scanner by name, or a plug-in feature.
Source = str | PluginFeature


class Plugged(NamedTuple):
    """A plug-in feature in its place: the columns of ``market.features`` that it reads and those that it fills."""

    feature: PluginFeature
    inputs: tuple[int, ...]
    columns: tuple[int, ...]


class Events(NamedTuple):
    """What a strategy of one slot says of many bars at once, so that a sweep need not run the step at each.

    Both functions are inline like ``decide``, and both may err on one side only: an answer that is too careful
    costs time, never a bit.

    Attributes
    ----------
    enters : callable
        ``enters(params, low, high)``: False only where ``may_enter`` is False at every bar whose features lie
        between ``low`` and ``high``, (F,) each. A NaN lies nowhere: a column of nothing else has inf and -inf.
    stays : callable
        ``stays(slot, capital, params)`` for an open position: floor, ceiling and a bar. ``decide`` wants nothing
        and leaves ``memory`` as it is at every earlier bar at which the price of the position's asset lies
        strictly between the two, the risk inputs are those of the bar before, the posture is not HIBERNATE and
        no UTC day begins.
    """

    enters: Callable[..., bool]
    stays: Callable[..., tuple[float, float, int]]


def column_names(roles: tuple[tuple[str, Source], ...]) -> tuple[str, ...]:
    """Names of the columns that these roles take: a plug-in with several has them behind the role."""
    return tuple(
        name
        for role, source in roles
        for name in ((role,) if isinstance(source, str) else (role + n.removeprefix(source.name) for n in source.names))
    )


def mistake_of(strategy: Strategy) -> str | None:
    """The first thing of the declaration that cannot hold, in words."""
    for what, arguments in (("decide", 4), ("may_enter", 3)):
        function = getattr(strategy, what)
        if function is None and what == "may_enter":
            continue
        if not hasattr(function, "py_func"):
            return f"has a {what} that is not decorated with dolphin.core.jit.inline"
        if (found := function.py_func.__code__.co_argcount) != arguments:
            return f"has a {what} of {found} arguments, not {arguments}"
    if strategy.events is not None and (wrong := _events_mistake(strategy, strategy.events)):
        return wrong
    if not isinstance(strategy.params, type) or not hasattr(strategy.params, "model_fields"):
        return f"has params that are no pydantic model but {strategy.params!r}"
    for name, about in strategy.params.model_fields.items():
        if about.annotation not in PARAMETER_KINDS and get_origin(about.annotation) is not Literal:
            return f"has a parameter '{name}' that is no float, int, bool, str or Literal"
    if not isinstance(strategy.reasons, tuple) or not all(isinstance(reason, str) for reason in strategy.reasons):
        return "has reasons that are no tuple of texts"
    if not callable(strategy.warmup_bars) or not (strategy.horizon_bars is None or callable(strategy.horizon_bars)):
        return "has warmup_bars or horizon_bars that are no function of the parameters"
    if not (_whole(strategy.slots, 1) or strategy.slots == "assets"):
        return f"has {strategy.slots!r} slots: a whole number from 1 on, or 'assets'"
    if not (_whole(strategy.memory, 0) or callable(strategy.memory)):
        return f"has a memory of {strategy.memory!r}: a whole number from 0 on, or a function of the number of assets"
    if not isinstance(strategy.orders, tuple) or not set(strategy.orders) <= set(ORDERS):
        return f"declares orders {strategy.orders!r}, which are a tuple of {', '.join(ORDERS)}"
    if strategy.margin and "LIQUIDATION" not in strategy.reasons:
        return "declares margin, but no reason 'LIQUIDATION'"
    if strategy.postures and "HIBERNATE_HALT" not in strategy.reasons:
        return "obeys postures, but has no reason 'HIBERNATE_HALT'"
    if strategy.drawdown and not strategy.postures:
        return "weighs its account's drawdown, but does not obey postures"
    if not isinstance(strategy.orderly, tuple) or not set(strategy.orderly) <= set(strategy.reasons):
        return f"has orderly exits {strategy.orderly!r}, which are a tuple of its reasons"
    if not isinstance(strategy.market_columns, tuple) or not set(strategy.market_columns) <= set(MARKET_COLUMNS):
        return f"asks for market_columns {strategy.market_columns!r}, which are a tuple of {', '.join(MARKET_COLUMNS)}"
    return _features_mistake(strategy) or _quantiles_mistake(strategy) or symbols_mistake(strategy.default_symbols())


def _events_mistake(strategy: Strategy, events: Events) -> str | None:
    if not isinstance(events, Events):
        return f"has events that are no Events but {events!r}"
    for name, function in zip(Events._fields, events, strict=True):
        if not hasattr(function, "py_func") or function.py_func.__code__.co_argcount != 3:
            return f"has events whose {name} is no function of 3 arguments, decorated with dolphin.core.jit.inline"
    if strategy.may_enter is None or strategy.slots != 1 or not strategy.plain or "funding" in strategy.market_columns:
        return "has events, which take may_enter, one slot, market orders that open and close, and no funding"
    return None


def _features_mistake(strategy: Strategy) -> str | None:
    roles = strategy.default_features()
    if isinstance(roles, str):
        return roles
    for role, source in roles:
        if not isinstance(role, str):
            return f"declares a column {role!r} whose role is no text"
        if not isinstance(source, str) and not hasattr(source, "digest"):
            return f"declares a {type(source).__name__} as a feature, not a name or a Feature"
    names = column_names(roles)
    twice = {name for name in names if names.count(name) > 1}
    return f"has two features named '{min(twice)}'" if twice else None


def _quantiles_mistake(strategy: Strategy) -> str | None:
    if not isinstance(strategy.quantiles, Mapping):
        return f"has quantiles that are no mapping but {strategy.quantiles!r}"
    for name, role in strategy.quantiles.items():
        kind = strategy.params.model_fields.get(name)  # type: ignore[attr-defined]
        if kind is None or kind.annotation is not float:
            return f"has a quantile for '{name}', which is no float parameter"
        unresolved = any(isinstance(f, str) and ":" in f for f in strategy.features_by_role().values())
        if role not in strategy.columns and not unresolved:
            return f"has '{name}' as a quantile of '{role}', which is no column: {', '.join(strategy.columns)}"
    return None


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def symbols_mistake(symbols: Mapping[str, str] | str) -> str | None:
    """What is wrong with symbols by role, in words."""
    if isinstance(symbols, str):
        return symbols
    wrong = [part for pair in symbols.items() for part in pair if not isinstance(part, str) or not part]
    return f"names {wrong[0]!r} as a symbol or its role, which is no text" if wrong else None
