"""What a strategy is: one numba function, a parameter record, and what it declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
