"""What a strategy is: one numba function, a parameter record, and what it declares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from dolphin.core import jit


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
    slots, memory : int
        Position slots, and float64 numbers of the strategy's own.
    may_enter : callable, optional
        ``may_enter(params, market, i)``, inline like ``decide``: False only where ``decide`` on flat
        slots is sure to want nothing and to leave ``memory`` as it is. A sweep skips such bars while
        an account is flat. Without it every bar is decided.
    """

    name: str
    decide: Callable[..., None]
    params: type
    features: tuple[str | PluginFeature, ...]
    reasons: tuple[str, ...]
    warmup_bars: Callable[[Any], int]
    slots: int = 1
    memory: int = 0
    may_enter: Callable[..., bool] | None = None

    def __post_init__(self) -> None:
        for feature in self.features:
            if not isinstance(feature, str) and not hasattr(feature, "digest"):
                kind = type(feature).__name__
                raise TypeError(f"strategy '{self.name}' declares a {kind} as a feature, not a name or a Feature")
        twice = {name for name in self.columns if self.columns.count(name) > 1}
        if twice:
            raise TypeError(f"strategy '{self.name}' has two features named '{min(twice)}'")

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
    def source(self) -> Path:
        """The file that ``decide`` is written in."""
        return Path(self.decide.py_func.__code__.co_filename)  # type: ignore[attr-defined]

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that the digest covers, that of ``decide`` first."""
        files: set[Path] = set()
        for function in (self.decide, self.may_enter):
            if function is not None:
                files |= reach(function.py_func)[0]  # type: ignore[union-attr]
        for plugin in self.plugins:
            files |= plugin.sources
        return (self.source, *sorted(files - {self.source}))

    @property
    def digest(self) -> str:
        """SHA-256 of everything of the strategy that can change a decision.

        The files of ``decide`` and of every compiled function it reaches, the global constants that
        these were compiled with, and the sizes: two strategies of one file have two digests.
        """
        files, constants = reach(self.decide.py_func)  # type: ignore[attr-defined]
        if self.may_enter is not None:
            more, others = reach(self.may_enter.py_func)  # type: ignore[attr-defined]
            files, constants = files | more, sorted({*constants, *others})
        features = tuple(f if isinstance(f, str) else (f.name, f.digest) for f in self.features)
        names = self.decide.__qualname__, self.may_enter.__qualname__ if self.may_enter else None
        about = (self.name, names, self.slots, self.memory, features, self.reasons, constants)
        return hashlib.sha256(f"{jit.source_digest(files)} {about!r}".encode()).hexdigest()


def reach(function: Callable[..., Any]) -> tuple[set[Path], list[tuple[str, str]]]:
    """Source files of a function and of all compiled functions it calls, and the constants they read.

    Functions of ``core`` and ``features`` are left out: the kernels' own digest covers them.
    """
    files: set[Path] = set()
    constants: set[tuple[str, str]] = set()
    seen: set[Any] = set()
    todo = [function]
    while todo:
        current = todo.pop()
        file = Path(current.__code__.co_filename)
        if current in seen or file in jit.kernel_sources():
            continue
        seen.add(current)
        files.add(file)
        names = current.__code__.co_names
        values = {name: current.__globals__[name] for name in names if name in current.__globals__}
        for module in [value for value in values.values() if isinstance(value, ModuleType)]:
            values |= {name: getattr(module, name) for name in names if hasattr(module, name)}
        for name, cell in zip(current.__code__.co_freevars, current.__closure__ or (), strict=True):
            values[name] = cell.cell_contents  # what a function that made this one closed over
        for name, value in values.items():
            if hasattr(value, "py_func"):
                todo.append(value.py_func)
            elif isinstance(value, bool | int | float | str | tuple | np.generic):
                constants.add((name, repr(value)))
            elif isinstance(value, np.ndarray):
                constants.add((name, f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"))
    return files, sorted(constants)
