"""What compiled functions have from where they were written: functions from outside, and tables; copies with others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from types import BuiltinFunctionType, CellType, FunctionType, ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np

from dolphin.core import fingerprint
from dolphin.core.jit import inline

#: From so many numbers on a constant is a table.
TABLE = 8
#: Modules whose functions compute from their arguments alone.
PURE = ("numpy", "math", "numba", "dolphin", "cmath", "operator")


class Reading(NamedTuple):
    """A value that a compiled function has from where it was written: the function, the value's name, the value."""

    function: FunctionType
    name: str
    value: Any


def outside_functions(functions: Iterable[Callable[..., Any]]) -> list[str]:
    """Names of what compiled functions call that is neither theirs, the framework's nor arithmetic.

    ``objmode`` is Python within a compiled function: whatever it does there is outside.
    """
    found = []
    for reading in _readings(functions):
        value = reading.value
        if value is numba.objmode or (value is numba and "objmode" in fingerprint.names_of(reading.function.__code__)):
            found.append("objmode")
        elif callable(value) and not _computes(value):
            found.append(reading.name)
    return sorted(set(found))


def _computes(value: Any) -> bool:
    """Whether a callable computes from its arguments alone, as far as its kind says."""
    if isinstance(getattr(value, "py_func", None), FunctionType) or isinstance(value, type | np.ufunc):
        return True
    module = str(getattr(value, "__module__", None) or "").partition(".")[0]
    return module in PURE or (isinstance(value, BuiltinFunctionType) and module in ("builtins", *PURE))


def tables(functions: Iterable[Callable[..., Any]]) -> dict[str, int]:
    """Constants of many numbers that compiled functions read: name -> how many."""
    found = {r.name: _numbers(r.value) for r in _readings(functions)}
    return {name: count for name, count in sorted(found.items()) if count >= TABLE}


def _readings(functions: Iterable[Callable[..., Any]]) -> Iterator[Reading]:
    for function in fingerprint.reach(functions)[0]:
        for name, value in _values(function):
            yield Reading(function, name, value)


def _values(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Globals, attributes of the author's modules, closed-over values and defaults of a function."""
    names = set(fingerprint.names_of(function.__code__))
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        yield name, value
        if isinstance(value, ModuleType) and value.__name__.partition(".")[0] not in PURE:
            yield from ((f"{name}.{inner}", getattr(value, inner)) for inner in sorted(names) if hasattr(value, inner))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, _contents(cell)
    arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return None


def _numbers(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return int(value.size)
    if isinstance(value, tuple | list):
        return sum(map(_numbers, value))
    return int(isinstance(value, int | float | np.number) and not isinstance(value, bool))


def with_other(function: Any, name: str, known: dict[Any, Any] | None = None) -> Any:
    """A copy of an inline function, and of those that it calls, in which the table of this name is another."""
    known = {} if known is None else known
    plain = function.py_func
    if plain not in known:
        used = set(fingerprint.names_of(plain.__code__))

        def changed(key: str, value: Any) -> Any:
            if isinstance(getattr(value, "py_func", None), FunctionType) and fingerprint.place_of(value) is None:
                return with_other(value, name, known)
            if isinstance(value, ModuleType) and name.startswith(f"{key}."):
                return _module_with_other(value, name.removeprefix(f"{key}."))
            return _other(value) if key == name else value

        named = {key: changed(key, value) for key, value in plain.__globals__.items() if key in used}
        free = plain.__code__.co_freevars
        cells = tuple(CellType(changed(k, _contents(c))) for k, c in zip(free, plain.__closure__ or (), strict=True))
        arguments = plain.__code__.co_varnames[: plain.__code__.co_argcount]
        given = plain.__defaults__ or ()
        defaults = tuple(map(changed, arguments[len(arguments) - len(given) :], given))
        copy = FunctionType(plain.__code__, {**plain.__globals__, **named}, plain.__name__, defaults, cells or None)
        copy.__kwdefaults__ = {key: changed(key, value) for key, value in (plain.__kwdefaults__ or {}).items()} or None
        copy.__qualname__, copy.__module__ = plain.__qualname__, plain.__module__
        known[plain] = inline(copy)
    return known[plain]


def _module_with_other(module: ModuleType, name: str) -> ModuleType:
    copy = ModuleType(module.__name__)
    copy.__dict__.update(vars(module))
    setattr(copy, name, _other(getattr(module, name)))
    return copy


def _other(value: Any) -> Any:
    """The same kind of value with other numbers: turned round by a third and moved by what makes them strangers."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiu":
            return np.roll(value, max(1, value.size // 3))
        turned = np.roll(value, max(1, value.size // 3))
        return (turned * 3 + 7).astype(value.dtype)
    if isinstance(value, tuple):
        return tuple(map(_other, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return value * 3 + 7 if math.isfinite(value) else value
