"""What a strategy is: one numba function, a parameter record, and what it declares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dolphin.core import jit


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
    features : tuple of str
        Columns of ``market.features``, in this order. ``vel_div`` and ``vol`` stand for the
        definitions that the parameters select.
    reasons : tuple of str
        Exit reasons by code; code 0 is none.
    warmup_bars : callable
        Rows of history before the first decision that no longer depends on where data began,
        from a ``params`` instance.
    slots, memory : int
        Position slots, and float64 numbers of the strategy's own.
    """

    name: str
    decide: Callable[..., None]
    params: type
    features: tuple[str, ...]
    reasons: tuple[str, ...]
    warmup_bars: Callable[[Any], int]
    slots: int = 1
    memory: int = 0

    @property
    def source(self) -> Path:
        """The file that ``decide`` is written in."""
        return Path(self.decide.py_func.__code__.co_filename)  # type: ignore[attr-defined]

    @property
    def digest(self) -> str:
        """SHA-256 of everything of the strategy that can change a decision.

        The files of ``decide`` and of every compiled function it reaches, the global constants that
        these were compiled with, and the sizes: two strategies of one file have two digests.
        """
        files, constants = reach(self.decide.py_func)  # type: ignore[attr-defined]
        about = (self.name, self.decide.__qualname__, self.slots, self.memory, self.features, self.reasons, constants)
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
        for name, value in values.items():
            if hasattr(value, "py_func"):
                todo.append(value.py_func)
            elif isinstance(value, bool | int | float | str | tuple):
                constants.add((name, repr(value)))
    return files, sorted(constants)
