"""What a strategy is: one numba function, a parameter record, and what it declares."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from dolphin.core import fingerprint
from dolphin.core.declaration import Events, Plugged, PluginFeature, Source, column_names, mistake_of, symbols_mistake

#: Why what a strategy declares by parameters is refused.
FIXED = "roles do not depend on parameters"


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
    orders : tuple of str
        Kinds of order that it sends beside market orders: "limit", "stop" (both: brackets too).
    resize : bool
        Whether it increases, reduces and reverses positions.
    margin : bool
        Whether the engine watches the account's margin and liquidates it; the reasons must then have LIQUIDATION.
    postures : bool
        Whether the engine obeys the posture of a bar (limit entries, exits only, close everything); the reasons must
        then have HIBERNATE_HALT.
    drawdown : bool
        Whether the account's own drawdown (Rm5) joins the risk inputs before each decision, which then reads them from
        :func:`dolphin.core.hooks.risk_at`; postures must be obeyed.
    orderly : tuple of str
        Exit reasons that bear a few bars' wait: where postures are obeyed, such an exit is a limit order first.

    Raises
    ------
    TypeError
        For a declaration that cannot hold, in one line.
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
    postures: bool = False
    orderly: tuple[str, ...] = ()
    drawdown: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.quantiles, Mapping):
            object.__setattr__(self, "quantiles", dict(self.quantiles))  # not the author's own, who may change it
        wrong = mistake_of(self)
        if wrong:
            raise TypeError(f"strategy {self.name!r} {wrong}")

    def default_features(self) -> tuple[tuple[str, Source], ...] | str:
        """Pairs of role and source under the default parameters, or what is wrong."""
        if not callable(self.features):
            if not isinstance(self.features, tuple):
                return f"has features that are no tuple but {self.features!r}"
            return tuple((f if isinstance(f, str) else getattr(f, "name", repr(f)), f) for f in self.features)
        found = self._by_default("features", self.features)
        return found if isinstance(found, str) else tuple(found.items())

    def default_symbols(self) -> Mapping[str, str] | str:
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
        wrong = symbols_mistake(chosen)
        if wrong is None and list(chosen) != list(self._symbols):
            here, default = ", ".join(chosen), ", ".join(self._symbols)
            wrong = f"has other roles of symbols here ({here}) than by default ({default}): {FIXED}"
        if wrong or isinstance(chosen, str):
            raise TypeError(f"strategy '{self.name}' {wrong}")
        return dict(chosen)

    @cached_property
    def _by_role(self) -> tuple[tuple[str, Source], ...]:
        found = self.default_features()
        assert not isinstance(found, str)
        return found

    @cached_property
    def _symbols(self) -> Mapping[str, str]:
        found = self.default_symbols()
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
                Plugged(f, tuple(map(names.index, f.inputs)), tuple(map(names.index, column_names(((role, f),)))))
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
        trading = (self.orders, self.resize, self.margin, self.postures, self.orderly)
        weighed = ("drawdown",) if self.drawdown else ()
        declared = (self.slots, _size(self.memory), self.reasons, *trading, *weighed)
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
        return not (self.orders or self.resize or self.margin or self.postures)

    @cached_property
    def obeying(self) -> Strategy:
        """The same strategy in an engine that obeys postures; itself if it is one."""
        return self if self.postures else replace(self, postures=True, events=None)

    @cached_property
    def weighing(self) -> Strategy:
        """The same strategy in an engine that obeys postures and weighs the account's drawdown for them."""
        return self if self.drawdown else replace(self.obeying, drawdown=True, events=None)

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


def _with_inputs(roles: tuple[tuple[str, Source], ...]) -> tuple[str, ...]:
    """Names of the columns of these roles, then of what plug-ins read beside them."""
    names = list(column_names(roles))
    for _, plugin in roles:
        names += [name for name in getattr(plugin, "inputs", ()) if name not in names]
    return tuple(names)


def _size(memory: int | Callable[[int], int]) -> int | str:
    return fingerprint.of_functions([memory]) if callable(memory) else memory
