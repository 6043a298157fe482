"""A compiled function as plain Python, with all that it calls: what the slow engine runs of a bundled strategy."""

from __future__ import annotations

from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any


def in_python(function: Any, known: dict[Any, Callable[..., Any]] | None = None) -> Callable[..., Any]:
    """The Python function that was compiled, and in place of every compiled one that it names that one's."""
    known = {} if known is None else known
    if function not in known:
        written = function.py_func
        names = dict(written.__globals__)
        closed = tuple(_cell(cell.cell_contents, known) for cell in written.__closure__ or ())
        known[function] = FunctionType(written.__code__, names, written.__name__, written.__defaults__, closed)
        for name in written.__code__.co_names:
            if hasattr(names.get(name), "py_func"):
                names[name] = in_python(names[name], known)
    return known[function]


def _cell(value: Any, known: dict[Any, Callable[..., Any]]) -> CellType:
    """What a function that made this one closed over, compiled functions in Python too."""
    return CellType(in_python(value, known) if hasattr(value, "py_func") else value)
