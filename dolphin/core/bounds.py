"""A strategy's functions compiled again so that an index outside an array is an IndexError: for checks, not speed."""

from __future__ import annotations

from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

from dolphin.core.fingerprint import names_of
from dolphin.core.jit import checked


def bounds_checked(function: Any, known: dict[Any, Any] | None = None) -> Callable[..., Any]:
    """A copy of an inline function and of every compiled function that it reaches, the framework's too.

    A negative index counts from the end, as in Python, and is no mistake here.
    """
    known = {} if known is None else known
    plain = function.py_func
    if plain not in known:
        cells = tuple(CellType(_copied(cell.cell_contents, known)) for cell in plain.__closure__ or ())
        used = set(names_of(plain.__code__))
        names = {name: _copied(value, known) for name, value in plain.__globals__.items() if name in used}
        copy = FunctionType(
            plain.__code__, {**plain.__globals__, **names}, plain.__name__, plain.__defaults__, cells or None
        )
        copy.__kwdefaults__, copy.__qualname__ = plain.__kwdefaults__, plain.__qualname__
        known[plain] = checked(copy)
    result: Callable[..., Any] = known[plain]
    return result


def _copied(value: Any, known: dict[Any, Any]) -> Any:
    return bounds_checked(value, known) if isinstance(getattr(value, "py_func", None), FunctionType) else value
