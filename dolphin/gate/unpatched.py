"""Whether the framework's functions in memory are those of its files: research code is imported into this process.

Every function, method and re-exported name of the package's loaded modules is compared with the code that its source
file compiles to. It tells a patch; it is no prison, as code that runs here could also change this module. Therefore
the figures are counted again in a process without research code (:mod:`dolphin.gate.recount`).
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from dolphin.core.jit import PACKAGE
from dolphin.gate.report import Check


def unpatched() -> Check:
    """One check over every module of the package that is loaded."""
    name, count = "gate unchanged in memory", 0
    for module_name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if module_name.partition(".")[0] != "dolphin" or file is None or not Path(file).is_relative_to(PACKAGE):
            continue
        count += 1
        for problem in problems_of(module, Path(file)):
            return Check(name, False, f"{module_name}.{problem}")
    return Check(name, True, f"{count} modules as in their source files")


def problems_of(module: ModuleType, file: Path) -> Iterator[str]:
    """What of a module is not as its source says."""
    tree, codes = _source(str(file))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield from _unlike(node.name, getattr(module, node.name, None), codes, node.name)
        elif isinstance(node, ast.ClassDef):
            kind = getattr(module, node.name, None)
            if not isinstance(kind, type):
                yield f"{node.name} is no class any more"
                continue
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    path = f"{node.name}.{inner.name}"
                    yield from _unlike(path, vars(kind).get(inner.name), codes, path)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dolphin"):
            yield from _reexported(module, node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from _constant(module, node)


def _unlike(path: str, value: Any, codes: dict[str, list[CodeType]], name: str) -> Iterator[str]:
    code = _code(value)
    if code is None or not any(_same(code, known) for known in codes.get(name, ())):
        yield f"{path} is not the function of its source file"


def _reexported(module: ModuleType, node: ast.ImportFrom) -> Iterator[str]:
    """A name that was imported is still what its home has."""
    home = sys.modules.get(str(node.module))
    for alias in node.names:
        name = alias.asname or alias.name
        if home is None or name not in vars(module) or alias.name not in vars(home):
            continue
        if vars(module)[name] is not vars(home)[alias.name]:
            yield f"{name} is not that of {node.module}"


def _constant(module: ModuleType, node: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    """A constant that stands in the source as a number, text or tuple of them has that value."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    try:
        said = ast.literal_eval(node.value) if node.value is not None else None
    except (ValueError, TypeError):
        return
    for target in targets:
        known = isinstance(target, ast.Name) and target.id.isupper() and isinstance(said, int | float | str | tuple)
        if known and isinstance(target, ast.Name) and getattr(module, target.id, None) != said:
            yield f"{target.id} is not what its source file says"


def _code(value: Any) -> CodeType | None:
    """The code of a function under its decorators."""
    for _ in range(8):
        if isinstance(value, FunctionType) and not hasattr(value, "__wrapped__"):
            return value.__code__
        for field in ("py_func", "__wrapped__", "__func__", "func", "fget", "_stub_func"):
            inner = getattr(value, field, None)
            if inner is not None:
                value = inner
                break
        else:
            return None
    return None


@functools.cache
def _source(file: str) -> tuple[ast.Module, dict[str, list[CodeType]]]:
    """The tree of a source file, and its code objects by qualified name."""
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    codes: dict[str, list[CodeType]] = {}
    todo = [compile(tree, file, "exec", dont_inherit=True)]
    while todo:
        code = todo.pop()
        codes.setdefault(code.co_qualname, []).append(code)
        todo += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    return tree, codes


def _same(a: CodeType, b: CodeType) -> bool:
    """Whether two code objects do the same: their instructions, names and constants, line numbers aside."""
    return a.co_code == b.co_code and a.co_names == b.co_names and _constants(a) == _constants(b)


def _constants(code: CodeType) -> list[str]:
    return [
        repr((inner.co_code, inner.co_names, _constants(inner))) if isinstance(inner, CodeType) else _text(inner)
        for inner in code.co_consts
    ]


def _text(value: Any) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
