"""What a strategy is: one numba function, a parameter record, and what it declares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from dolphin.core import fingerprint


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
        float64 fields of the record, integers, booleans and choices (by position) int64.
    features : tuple of str or feature
        Columns of ``market.features``, in this order. ``vel_div`` and ``vol`` stand for the
        definitions that the parameters select. A feature of one's own is a
        :class:`~dolphin.features.plugin.Feature`, or ``"module:attribute"`` of the workspace's
        research folder; it takes as many columns as it declares.
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
    features: tuple[str | PluginFeature, ...]
    reasons: tuple[str, ...]
    warmup_bars: Callable[[Any], int]
    slots: int | Literal["assets"] = 1
    memory: int | Callable[[int], int] = 0
    may_enter: Callable[..., bool] | None = None
    orders: tuple[str, ...] = ()
    resize: bool = False
    margin: bool = False

    def __post_init__(self) -> None:
        for kind in self.orders:
            if kind not in ("limit", "stop"):
                raise TypeError(f"strategy '{self.name}' declares orders of the unknown kind '{kind}': limit or stop")
        for feature in self.features:
            if not isinstance(feature, str) and not hasattr(feature, "digest"):
                kind = type(feature).__name__
                raise TypeError(f"strategy '{self.name}' declares a {kind} as a feature, not a name or a Feature")
        twice = {name for name in self.columns if self.columns.count(name) > 1}
        if twice:
            raise TypeError(f"strategy '{self.name}' has two features named '{min(twice)}'")

        if self.margin and "LIQUIDATION" not in self.reasons:
            raise TypeError(f"strategy '{self.name}' declares margin, but no reason 'LIQUIDATION'")

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
    def plugins(self) -> tuple[PluginFeature, ...]:
        """The declared features that are not the scanner's."""
        return tuple(feature for feature in self.features if not isinstance(feature, str))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of ``market.features``.

        Those that are declared, then what plug-in features read beside them: whoever has a row of
        the market can compute its plug-in features again.
        """
        names = [name for f in self.features for name in ((f,) if isinstance(f, str) else f.names)]
        for name in (name for plugin in self.plugins for name in plugin.inputs):
            if name not in names:
                names.append(name)
        return tuple(names)

    @property
    def functions(self) -> list[Callable[..., Any]]:
        """What of it is compiled into the step."""
        return [self.decide] if self.may_enter is None else [self.decide, self.may_enter]

    @property
    def source(self) -> Path:
        """The file that ``decide`` is written in."""
        return Path(self.decide.py_func.__code__.co_filename)  # type: ignore[attr-defined]

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files of what the digest covers, that of ``decide`` first; the framework's own are left out."""
        files = fingerprint.files_of(self.functions)
        for plugin in self.plugins:
            files |= plugin.sources
        return (self.source, *sorted(files - {self.source}))

    @property
    def digest(self) -> str:
        """SHA-256 of everything of the strategy that can change a decision.

        ``decide`` and every compiled function that it reaches, comments and docstrings left out, the constants that
        these were compiled with, and what it declares: two strategies of one file have two digests.
        """
        features = tuple(f if isinstance(f, str) else (f.name, f.digest) for f in self.features)
        names = tuple(function.__qualname__ for function in self.functions)
        declared = (self.slots, _size(self.memory), features, self.reasons, self.orders, self.resize, self.margin)
        about = (self.name, names, declared, fingerprint.of_functions(self.functions))
        return hashlib.sha256(repr(about).encode()).hexdigest()

    @property
    def key(self) -> str:
        """What its compiled step is filed under: the digest, and the modules that numba looks its names up in."""
        modules = [function.__module__ for function in self.functions]
        return hashlib.sha256(f"{self.digest} {modules}".encode()).hexdigest()


def _size(memory: int | Callable[[int], int]) -> int | str:
    return fingerprint.of_functions([memory]) if callable(memory) else memory
