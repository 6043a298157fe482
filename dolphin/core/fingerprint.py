"""What can change a result, as text: the functions and constants that a result's code reaches, comments left out.

The framework's own modules are read as source, so that nothing need be imported to know what it would do; a
strategy's or feature's functions are taken as they are in memory, with the values that they were compiled with.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from dolphin.core.jit import KERNEL_ROOMS, PACKAGE

#: (module, name): what every engine runs, and the scanner whose rows it reads.
STEP = (("core.kernels", "*"),)
SCANNER = (("features.kernel", "*"),)

Place = tuple[str, str]

#: The name under which a module's statements are found that define nothing.
IMPORTED = "(when imported)"


def normal(tree: ast.AST) -> str:
    """A piece of source without comments, docstrings and layout."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and body and _is_text(body[0]):
            node.body = body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


class _Module:
    """The top level of one module of the framework: what its names stand for."""

    def __init__(self, file: Path) -> None:
        self.nodes: dict[str, ast.stmt] = {}
        self.imports: dict[str, Place] = {}
        self.bodies: dict[str, list[str]] = {}  # hook -> the functions that are its bodies
        self.rest: list[ast.stmt] = []  # what is done when it is imported, definitions aside
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            self._enter(node)

    def _enter(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.nodes[node.name] = node
            for decorator in node.decorator_list:
                for argument in decorator.args if isinstance(decorator, ast.Call) else ():
                    if isinstance(argument, ast.Name):
                        self.bodies.setdefault(argument.id, []).append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            stored = [t.id for t in ast.walk(node) if isinstance(t, ast.Name) and isinstance(t.ctx, ast.Store)]
            self.nodes |= dict.fromkeys(stored, node)
            if not stored:  # into a table or an object that has its name elsewhere
                self.rest.append(node)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dolphin."):
            for alias in node.names:
                module = str(node.module).removeprefix("dolphin.")
                self.imports[alias.asname or alias.name] = (module, alias.name)
        elif not _is_text(node) and not isinstance(node, ast.Import | ast.ImportFrom | ast.Assert):
            self.rest.append(node)
            for name in (n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)):
                self.nodes.setdefault(name.id, node)


def of_framework(roots: Iterable[Place], package: Path = PACKAGE) -> dict[Place, str]:
    """What ``roots`` reach in the rooms that compute: (module, name) -> its source in normal form.

    ``package`` is the folder of the package's sources; a name of ``*`` is every function of its module.
    """
    modules: dict[str, _Module | None] = {}

    def module(name: str) -> _Module | None:
        if name not in modules:
            file = package.joinpath(*name.split(".")).with_suffix(".py")
            modules[name] = _Module(file) if name.split(".")[0] in KERNEL_ROOMS and file.is_file() else None
        return modules[name]

    found: dict[Place, str] = {}
    todo = list(roots)
    while todo:
        place = todo.pop()
        where, name = place
        source = module(where)
        if place in found or source is None:
            continue
        if name == "*":
            todo += [(where, n) for n, node in source.nodes.items() if isinstance(node, ast.FunctionDef)]
            continue
        if name in source.imports:
            todo.append(source.imports[name])
            continue
        node = source.nodes.get(name)
        if node is None:
            continue
        found[place] = normal(node)
        todo += [(where, body) for body in source.bodies.get(name, ())]
        if source.rest and (where, IMPORTED) not in found:
            rest = ast.Module(source.rest, [])
            found[where, IMPORTED] = normal(rest)
            todo += [(where, inner.id) for inner in ast.walk(rest) if isinstance(inner, ast.Name)]
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
                imported = source.imports.get(inner.value.id)
                if imported is not None:  # a module that was imported as such
                    todo.append((".".join(imported), inner.attr))
            if isinstance(inner, ast.Name):
                todo.append((where, inner.id))
    return found


@functools.cache
def step_digest() -> str:
    """SHA-256 of all that the step and the scanner can reach."""
    return _sha256(sorted(of_framework([*STEP, *SCANNER]).items()))


def _sha256(what: Any) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()


def place_of(function: Callable[..., Any]) -> Place | None:
    """Where a function stands if it is the framework's own, else None."""
    module = str(getattr(function, "__module__", "")).removeprefix("dolphin.")
    ours = str(getattr(function, "__module__", "")).startswith("dolphin.") and module.split(".")[0] in KERNEL_ROOMS
    return (module, function.__name__) if ours else None


def reach(functions: Iterable[Callable[..., Any]]) -> tuple[list[FunctionType], list[tuple[str, str]], set[Place]]:
    """Functions that these call, themselves included, constants that they read, and what they use of the framework."""
    reached: list[FunctionType] = []
    constants: set[tuple[str, str]] = set()
    places: set[Place] = set()
    todo: list[Any] = list(functions)
    while todo:
        current = todo.pop()
        current = getattr(current, "py_func", current)
        if current in reached:
            continue
        place = place_of(current)
        if place is not None:
            places.add(place)
            continue
        reached.append(current)
        for name, value in _values(current).items():
            text = _constant(value, todo, _folder(current))
            if text is not None:
                constants.add((name, text))
    return reached, sorted(constants), places


def _values(function: FunctionType) -> dict[str, Any]:
    """What the names of a function stand for: global and closed-over ones, attributes of modules, and its defaults."""
    names = set(names_of(function.__code__))
    values = {name: function.__globals__[name] for name in names if name in function.__globals__}
    todo, modules = list(values.values()), set()
    while todo:  # modules, and modules in them
        module = todo.pop()
        if not isinstance(module, ModuleType) or module.__name__ in modules:
            continue
        modules.add(module.__name__)
        if module.__name__.partition(".")[0] not in ("numpy", "math", "numba"):
            inner = {name: getattr(module, name) for name in names if hasattr(module, name)}
            values |= inner
            todo += inner.values()
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            values[name] = cell.cell_contents  # what a function that made this one closed over
        except ValueError:  # nothing yet
            continue
    defaults = enumerate(function.__defaults__ or ())
    return values | {f"default {k}": value for k, value in defaults} | dict(function.__kwdefaults__ or {})


def _folder(function: FunctionType) -> Path:
    return Path(function.__code__.co_filename).parent


def _constant(value: Any, functions: list[Any], folder: Path) -> str | None:
    """A value as text that is the same in every process; None if it is none. Functions in it go to ``functions``."""

    def inner(part: Any) -> str:
        return _constant(part, functions, folder) or type(part).__qualname__

    if isinstance(value, FunctionType) or hasattr(value, "py_func"):
        functions.append(value)
        return None
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value.name} {value.value!r}"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
        return repr(value)
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, np.dtype):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"{type(value).__name__}({', '.join(map(inner, value))})"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(inner, value)))}}}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(sorted(f'{inner(key)}: {inner(of)}' for key, of in value.items()))}}}"
    if isinstance(value, type):
        return _class(value, functions, folder)
    if dataclasses.is_dataclass(value):
        return inner({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    return None


def _class(kind: type, functions: list[Any], folder: Path) -> str | None:
    """What a class of the author's own says; None for those of libraries."""
    if issubclass(kind, enum.Enum):
        return f"{kind.__qualname__}({', '.join(f'{member.name}={member.value!r}' for member in kind)})"
    module = sys.modules.get(kind.__module__)
    if Path(str(getattr(module, "__file__", None))).parent != folder:
        return None
    said = {name: value for name, value in vars(kind).items() if not name.startswith("__")}
    told = {name: _constant(value, functions, folder) for name, value in said.items()}
    return f"{kind.__qualname__}({', '.join(f'{name}={text}' for name, text in sorted(told.items()) if text)})"


def names_of(code: CodeType) -> Iterable[str]:
    """Names that a function and those inside it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_of(constant)


def text_of(function: FunctionType) -> str:
    """The source of a function in normal form; its code where there is no source."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return repr((function.__code__.co_code, function.__code__.co_consts))
    try:
        return normal(ast.parse(source))
    except SyntaxError:  # a lambda in the middle of an expression
        return source


def of_functions(functions: Iterable[Callable[..., Any]]) -> str:
    """SHA-256 of functions, all that they call, the constants that they read and the names that they go by."""
    reached, constants, places = reach(functions)
    texts = sorted((f.__qualname__, text_of(f)) for f in reached)
    framework = sorted(of_framework(places).items())
    return _sha256((texts, constants, framework))


def files_of(functions: Iterable[Callable[..., Any]]) -> set[Path]:
    """The files of functions and of all that they call, the framework's left out."""
    return {Path(function.__code__.co_filename) for function in reach(functions)[0]}
