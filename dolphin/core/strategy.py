"""What a strategy is: one numba function, a parameter record, and what it declares."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_origin

from dolphin.core import fingerprint
from dolphin.core.records import MARKET_COLUMNS

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


#: Why what a strategy declares by parameters is refused.
FIXED = "roles do not depend on parameters"

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


@dataclass(frozen=True)
class Strategy:
    """A plug-in compiled into the step.

    Parameters
    ----------
    name : str
        Name in configs and trade records.
    decide : callable
        ``decide(state, params, market, i)``, decorated with :func:`dolphin.core.jit.inline`. It
        reads ``state`` and rows ``<= i`` of ``market`` and writes ``state.intents[s]`` of the
        slots it wants opened or closed; it may keep numbers in ``state.memory``.
    params : type
        A pydantic model: names, types, defaults and bounds of the parameters. Floats become
        float64 fields of the record, integers, booleans and choices (by position) int64. Texts
        (such as a symbol's name) are left out of it.
    features : tuple of str or feature, or callable
        Columns of ``market.features``, in this order: names of the scanner's columns, or features of
        one's own (:class:`~dolphin.features.plugin.Feature`, or ``"module:attribute"`` of the workspace's
        research folder), which take as many columns as they declare. Where parameters select them:
        ``features(params)`` gives a mapping from the name of a column, its role, to what stands in it. The
        roles and their order are the same for all parameters.
    reasons : tuple of str
        Exit reasons by code; code 0 is none.
    warmup_bars : callable
        Rows of history before the first decision that no longer depends on where data began,
        from a ``params`` instance.
    slots : int or "assets"
        Position slots; one per asset of the market if it says so.
    memory : int or callable
        Float64 numbers of the strategy's own, or their number from the number of assets.
    may_enter : callable, optional
        ``may_enter(params, market, i)``, inline like ``decide``: False only where ``decide`` on flat
        slots is sure to want nothing and to leave ``memory`` as it is. A sweep skips such bars while
        an account is flat. Without it every bar is decided.
    horizon_bars : callable, optional
        Bars after a decision by which all that follows from it is over, from a ``params`` instance: what
        is purged between train and test. Without it k-fold schemes need a purge in bars.
    quantiles : mapping of str to str
        Parameters that a percentile may settle (``"p60"`` in a config), each with the role whose values
        over the window in use it is a percentile of.
    symbols : tuple of str, or callable
        Symbols that ``decide`` names: ``market.symbols[0].BTCUSDT`` is its column. ``symbols(params)``
        gives a mapping from role to symbol: ``market.symbols[0].first``. The roles are the same for all
        parameters.
    market_columns : tuple of str
        What of :data:`~dolphin.core.records.MARKET_COLUMNS` it reads beside closes.
    events : Events, optional
        Lets a sweep pass many bars at once. Needs ``may_enter``, one slot, and nothing but market orders that
        open and close.

    Raises
    ------
    TypeError
        For a declaration that cannot hold, in one line.
    orders : tuple of str
        Kinds of order that it sends beside market orders: "limit", "stop" (both: brackets too).
    resize : bool
        Whether it increases, reduces and reverses positions.
    margin : bool
        Whether the engine watches the account's margin and liquidates it; the reasons must then have LIQUIDATION.
    """

    name: str
    decide: Callable[..., None]
    params: type
    features: tuple[Source, ...] | Callable[[Any], Mapping[str, Source]]
    reasons: tuple[str, ...]
    warmup_bars: Callable[[Any], int]
    slots: int | Literal["assets"] = 1
    memory: int | Callable[[int], int] = 0
    may_enter: Callable[..., bool] | None = None
    horizon_bars: Callable[[Any], int] | None = None
    quantiles: Mapping[str, str] = field(default_factory=dict, hash=False)
    symbols: tuple[str, ...] | Callable[[Any], Mapping[str, str]] = ()
    market_columns: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    resize: bool = False
    margin: bool = False
    events: Events | None = None

    def __post_init__(self) -> None:
        if isinstance(self.quantiles, Mapping):
            object.__setattr__(self, "quantiles", dict(self.quantiles))  # not the author's own, who may change it
        wrong = self._mistake()
        if wrong:
            raise TypeError(f"strategy {self.name!r} {wrong}")

    def _mistake(self) -> str | None:
        """The first thing of the declaration that cannot hold, in words."""
        for what, arguments in (("decide", 4), ("may_enter", 3)):
            function = getattr(self, what)
            if function is None and what == "may_enter":
                continue
            if not hasattr(function, "py_func"):
                return f"has a {what} that is not decorated with dolphin.core.jit.inline"
            if (found := function.py_func.__code__.co_argcount) != arguments:
                return f"has a {what} of {found} arguments, not {arguments}"
        if self.events is not None and (wrong := self._events_mistake(self.events)):
            return wrong
        if not isinstance(self.params, type) or not hasattr(self.params, "model_fields"):
            return f"has params that are no pydantic model but {self.params!r}"
        for name, about in self.params.model_fields.items():
            if about.annotation not in PARAMETER_KINDS and get_origin(about.annotation) is not Literal:
                return f"has a parameter '{name}' that is no float, int, bool, str or Literal"
        if not isinstance(self.reasons, tuple) or not all(isinstance(reason, str) for reason in self.reasons):
            return "has reasons that are no tuple of texts"
        if not callable(self.warmup_bars) or not (self.horizon_bars is None or callable(self.horizon_bars)):
            return "has warmup_bars or horizon_bars that are no function of the parameters"
        if not (_whole(self.slots, 1) or self.slots == "assets"):
            return f"has {self.slots!r} slots: a whole number from 1 on, or 'assets'"
        if not (_whole(self.memory, 0) or callable(self.memory)):
            return f"has a memory of {self.memory!r}: a whole number from 0 on, or a function of the number of assets"
        if not isinstance(self.orders, tuple) or not set(self.orders) <= set(ORDERS):
            return f"declares orders {self.orders!r}, which are a tuple of {', '.join(ORDERS)}"
        if self.margin and "LIQUIDATION" not in self.reasons:
            return "declares margin, but no reason 'LIQUIDATION'"
        if not isinstance(self.market_columns, tuple) or not set(self.market_columns) <= set(MARKET_COLUMNS):
            return f"asks for market_columns {self.market_columns!r}, which are a tuple of {', '.join(MARKET_COLUMNS)}"
        return self._features_mistake() or self._quantiles_mistake() or _symbols_mistake(self._default_symbols())

    def _events_mistake(self, events: Events) -> str | None:
        if not isinstance(events, Events):
            return f"has events that are no Events but {events!r}"
        for name, function in zip(Events._fields, events, strict=True):
            if not hasattr(function, "py_func") or function.py_func.__code__.co_argcount != 3:
                return f"has events whose {name} is no function of 3 arguments, decorated with dolphin.core.jit.inline"
        if self.may_enter is None or self.slots != 1 or not self.plain or "funding" in self.market_columns:
            return "has events, which take may_enter, one slot, market orders that open and close, and no funding"
        return None

    def _features_mistake(self) -> str | None:
        roles = self._default_features()
        if isinstance(roles, str):
            return roles
        for role, source in roles:
            if not isinstance(role, str):
                return f"declares a column {role!r} whose role is no text"
            if not isinstance(source, str) and not hasattr(source, "digest"):
                return f"declares a {type(source).__name__} as a feature, not a name or a Feature"
        names = _names(roles)
        twice = {name for name in names if names.count(name) > 1}
        return f"has two features named '{min(twice)}'" if twice else None

    def _quantiles_mistake(self) -> str | None:
        if not isinstance(self.quantiles, Mapping):
            return f"has quantiles that are no mapping but {self.quantiles!r}"
        for name, role in self.quantiles.items():
            kind = self.params.model_fields.get(name)  # type: ignore[attr-defined]
            if kind is None or kind.annotation is not float:
                return f"has a quantile for '{name}', which is no float parameter"
            unresolved = any(isinstance(f, str) and ":" in f for f in self.features_by_role().values())
            if role not in self.columns and not unresolved:
                return f"has '{name}' as a quantile of '{role}', which is no column: {', '.join(self.columns)}"
        return None

    def _default_features(self) -> tuple[tuple[str, Source], ...] | str:
        """Pairs of role and source under the default parameters, or what is wrong."""
        if not callable(self.features):
            if not isinstance(self.features, tuple):
                return f"has features that are no tuple but {self.features!r}"
            return tuple((f if isinstance(f, str) else getattr(f, "name", repr(f)), f) for f in self.features)
        found = self._by_default("features", self.features)
        return found if isinstance(found, str) else tuple(found.items())

    def _default_symbols(self) -> Mapping[str, str] | str:
        """Symbols by role under the default parameters, or what is wrong."""
        if callable(self.symbols):
            return self._by_default("symbols", self.symbols)
        if not isinstance(self.symbols, tuple):
            return f"has symbols that are no tuple but {self.symbols!r}"
        return {symbol: symbol for symbol in self.symbols}

    def _by_default(self, what: str, declared: Callable[[Any], Any]) -> Mapping[str, Any] | str:
        """What a function of the parameters says of the default ones, or what is wrong with it."""
        if not hasattr(inspect.unwrap(declared), "__code__"):
            return f"has {what} that are no plain function of the parameters"
        try:
            defaults = self.params()
        except ValueError:
            return f"has {what} that follow from its parameters, and parameters without a default"
        return _answer(what, declared, defaults)

    def features_by_role(self, params: Any = None) -> dict[str, Source]:
        """What stands in the columns under these parameters (the defaults unless given), by role.

        Raises
        ------
        TypeError
            If the columns are others than under the default parameters.
        """
        if not callable(self.features) or params is None:
            return dict(self._by_role)
        chosen = _answer("features", self.features, params)
        if isinstance(chosen, str):
            raise TypeError(f"strategy '{self.name}' {chosen}")
        self._places(tuple(chosen.items()))
        return dict(chosen)

    def symbols_by_role(self, params: Any = None) -> dict[str, str]:
        """The symbols that ``decide`` names under these parameters, by role.

        Raises
        ------
        TypeError
            If the roles are others than under the default parameters.
        """
        if not callable(self.symbols) or params is None:
            return dict(self._symbols)
        chosen = _answer("symbols", self.symbols, params)
        wrong = _symbols_mistake(chosen)
        if wrong is None and list(chosen) != list(self._symbols):
            here, default = ", ".join(chosen), ", ".join(self._symbols)
            wrong = f"has other roles of symbols here ({here}) than by default ({default}): {FIXED}"
        if wrong or isinstance(chosen, str):
            raise TypeError(f"strategy '{self.name}' {wrong}")
        return dict(chosen)

    @cached_property
    def _by_role(self) -> tuple[tuple[str, Source], ...]:
        found = self._default_features()
        assert not isinstance(found, str)
        return found

    @cached_property
    def _symbols(self) -> Mapping[str, str]:
        found = self._default_symbols()
        assert not isinstance(found, str)
        return found

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of ``market.features``.

        Those that are declared, then what plug-in features read beside them: whoever has a row of
        the market can compute its plug-in features again.
        """
        return _with_inputs(self._by_role)

    def plugins(self, params: Any = None) -> tuple[PluginFeature, ...]:
        """The declared features that are not the scanner's, under these parameters."""
        return tuple(f for f in self.features_by_role(params).values() if not isinstance(f, str))

    def plugged(self, params: Any = None) -> tuple[Plugged, ...]:
        """The same, each with its place in ``market.features``."""
        return self._places(tuple(self.features_by_role(params).items()))

    @cached_property
    def _known(self) -> dict[tuple[tuple[str, Source], ...], tuple[Plugged, ...]]:
        """Answers of :meth:`_places`: a search asks for each of its configurations."""
        return {}

    def _places(self, roles: tuple[tuple[str, Source], ...]) -> tuple[Plugged, ...]:
        """Where plug-ins stand among the columns, which are those of the default parameters."""
        if roles not in self._known:
            names = _with_inputs(roles)
            if names != self.columns:
                here, default = ", ".join(map(str, names)), ", ".join(self.columns)
                raise TypeError(
                    f"strategy '{self.name}' has other columns here ({here}) than by default ({default}): {FIXED}"
                )
            if len(self._known) >= 64:
                self._known.clear()
            self._known[roles] = tuple(
                Plugged(f, tuple(map(names.index, f.inputs)), tuple(map(names.index, _names(((role, f),)))))
                for role, f in roles
                if not isinstance(f, str)
            )
        return self._known[roles]

    @property
    def functions(self) -> list[Callable[..., Any]]:
        """What of it is compiled into the step."""
        return [self.decide, *([self.may_enter] if self.may_enter is not None else ()), *(self.events or ())]

    @property
    def source(self) -> Path:
        """The file that ``decide`` is written in."""
        return Path(self.decide.py_func.__code__.co_filename)  # type: ignore[attr-defined]

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files of what the digest covers, that of ``decide`` first; the framework's own are left out."""
        files = fingerprint.files_of(self._deciding)
        for plugin in self.plugins():
            files |= plugin.sources
        return (self.source, *sorted(files - {self.source}))

    @property
    def digest(self) -> str:
        """SHA-256 of everything of the strategy that can change a decision.

        ``decide`` and every compiled function that it reaches, comments and docstrings left out, the constants that
        these were compiled with, and what it declares of the market: two strategies of one file have two digests.
        """
        features = tuple(
            (role, f) if isinstance(f, str) else (role, f.name, f.digest) for role, f in self.features_by_role().items()
        )
        names = tuple(function.__qualname__ for function in self.functions)
        market = features, tuple(self.symbols_by_role().items()), self.market_columns
        declared = (self.slots, _size(self.memory), self.reasons, self.orders, self.resize, self.margin)
        about = (self.name, names, market, declared, fingerprint.of_functions(self._deciding))
        return hashlib.sha256(repr(about).encode()).hexdigest()

    @property
    def key(self) -> str:
        """What its compiled step is filed under: the digest, and the modules that numba looks its names up in."""
        modules = [function.__module__ for function in self.functions]
        return hashlib.sha256(f"{self.digest} {modules}".encode()).hexdigest()

    @property
    def plain(self) -> bool:
        """Whether it knows nothing but market orders that open and close."""
        return not (self.orders or self.resize or self.margin)

    def slots_of(self, assets: int) -> int:
        """Position slots in a market of so many assets."""
        return assets if self.slots == "assets" else self.slots

    def memory_of(self, assets: int) -> int:
        """Numbers that it keeps in a market of so many assets."""
        return self.memory(assets) if callable(self.memory) else self.memory

    @property
    def _deciding(self) -> list[Callable[..., Any]]:
        """The functions that decide what it reads and wants."""
        return [*self.functions, *(inspect.unwrap(f) for f in (self.features, self.symbols) if callable(f))]


def _answer(what: str, declared: Callable[[Any], Any], params: Any) -> Mapping[str, Any] | str:
    """What a function of the parameters declares under these, or what is wrong with it."""
    try:
        found = declared(params)
    except Exception as error:  # whatever the author's function raises
        return f"has {what} that raise {type(error).__name__}: {' '.join(str(error).split())}"
    if not isinstance(found, Mapping):
        return f"has {what} that give no mapping by role but {found!r}"
    return found


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _names(roles: tuple[tuple[str, Source], ...]) -> tuple[str, ...]:
    """Names of the columns that these roles take: a plug-in with several has them behind the role."""
    return tuple(
        name
        for role, source in roles
        for name in ((role,) if isinstance(source, str) else (role + n.removeprefix(source.name) for n in source.names))
    )


def _with_inputs(roles: tuple[tuple[str, Source], ...]) -> tuple[str, ...]:
    """Names of the columns of these roles, then of what plug-ins read beside them."""
    names = list(_names(roles))
    for _, plugin in roles:
        names += [name for name in getattr(plugin, "inputs", ()) if name not in names]
    return tuple(names)


def _symbols_mistake(symbols: Mapping[str, str] | str) -> str | None:
    if isinstance(symbols, str):
        return symbols
    wrong = [part for pair in symbols.items() for part in pair if not isinstance(part, str) or not part]
    return f"names {wrong[0]!r} as a symbol or its role, which is no text" if wrong else None


def _size(memory: int | Callable[[int], int]) -> int | str:
    return fingerprint.of_functions([memory]) if callable(memory) else memory
