"""The engine digest moves with everything that a result's code reaches, and with nothing else."""

from __future__ import annotations

import ast
import enum
import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import pytest
from thorough import thorough

from dolphin.core import fingerprint, kernels
from dolphin.core.fingerprint import IMPORTED, SCANNER, STEP, Place, of_framework, of_functions
from dolphin.core.jit import KERNEL_ROOMS, PACKAGE, inline
from dolphin.features import kernel as scanner

ROOTS = [*STEP, *SCANNER]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for room in KERNEL_ROOMS:
        shutil.copytree(PACKAGE / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def reached_in_memory() -> set[Place]:
    """Functions of the framework that the kernels reach, found in memory: no source file is read."""
    found: set[Place] = set()
    todo: list[FunctionType] = []
    for module in (kernels, scanner):
        todo += [value.py_func for value in vars(module).values() if hasattr(value, "py_func")]
    while todo:
        function = todo.pop()
        module_name = function.__module__.removeprefix("dolphin.")
        if (module_name, function.__name__) in found or module_name.split(".")[0] not in KERNEL_ROOMS:
            continue
        found.add((module_name, function.__name__))
        todo += called(function)
    return found


def called(function: FunctionType) -> Iterator[FunctionType]:
    """What a function calls: compiled functions, and where it calls a stub, the stub and its body."""
    names = set(fingerprint.names_of(function.__code__))
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        if isinstance(value, FunctionType | type) or not callable(value):
            body = vars(importlib.import_module(value.__module__)).get(f"_{name}") if is_stub(value) else None
            block = getattr(value, "__wrapped__", None)  # of a stub that stands for a block
            yield from (part for part in (value, body, block) if isinstance(part, FunctionType))
        elif hasattr(value, "py_func"):
            yield value.py_func


def is_stub(value: object) -> bool:
    return isinstance(value, FunctionType) and value.__module__.startswith("dolphin.")


def test_nothing_that_is_compiled_is_missed() -> None:
    reached = {place for place in reached_in_memory() if place[1] != "stub"}  # those of a constant have its name
    assert len(reached) > 80 and ("core.hooks", "_decide") in reached and ("core.taking", "_taken_at") in reached
    assert reached - set(of_framework(ROOTS)) == set()


def edited(source: str, names: set[str]) -> str:
    """The source with a statement or another value in each place that defines one of ``names``."""
    tree, left = ast.parse(source), set(names)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names:
            text = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
            node.body.insert(1 if text else 0, ast.parse("pass").body[0])
            left.discard(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            if stored & names:
                node.value = ast.BoolOp(ast.Or(), [node.value, ast.Constant(7)])
                left -= stored
    if IMPORTED in left:
        tree.body.append(ast.parse("print(7)").body[0])
    assert left <= {IMPORTED}
    return ast.unparse(ast.fix_missing_locations(tree))


@pytest.mark.slow
def test_a_change_in_any_reached_place_moves_it(package: Path) -> None:
    before = of_framework(ROOTS, package)
    assert before == of_framework(ROOTS)
    unmoved = []
    for module in sorted({module for module, _ in before}):
        places = [place for place in before if place[0] == module]
        file = package.joinpath(*module.split(".")).with_suffix(".py")
        source = file.read_text()
        file.write_text(edited(source, {name for _, name in places}))
        after = of_framework(ROOTS, package)
        unmoved += [place for place in places if after.get(place) == before[place]]
        file.write_text(source)
    assert unmoved == []


def test_comments_docstrings_and_layout_do_not(package: Path) -> None:
    before = of_framework(ROOTS, package)
    for file in package.rglob("*.py"):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                body[0].value.value = "Other words."
        lines = ast.unparse(tree).splitlines()
        file.write_text("\n".join(f"{line}  # a remark\n" if line.endswith(":") else line for line in lines) + "\n\n\n")
    assert of_framework(ROOTS, package) == before


@pytest.mark.parametrize("module", thorough(["snapshot", "compiling", "bounds", "rank", "mistakes"]))
def test_what_is_not_reached_may_change(package: Path, module: str) -> None:
    before = of_framework(ROOTS, package)
    file = package / "core" / f"{module}.py"
    file.write_text(file.read_text().replace("return ", "return not ") + "\nprint(1)\n")
    assert of_framework(ROOTS, package) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    thorough([
        ("core/book.py", "LESS = 1.0 - 2.0**-50", "LESS = 1.0 - 2.0**-40"),
        ("core/grid.py", "HAIR = 1e-9", "HAIR = 1e-8"),
        ("core/units.py", "86_400", "86_401"),
        ("core/jit.py", '"forceinline": True', '"forceinline": False'),
        ("core/jit.py", 'environ["NUMBA_DISABLE_INTEL_SVML"] = "1"', 'environ["NUMBA_DISABLE_INTEL_SVML"] = "0"'),
        ("core/refusals.py", "UNDECLARED, BUSY, NO_POSITION", "BUSY, UNDECLARED, NO_POSITION"),
        ("core/kernels.py", "i = skip(state", "i = 1 + skip(state"),
        ("core/hooks.py", "resizes = _constant(lambda strategy: strategy.resize)", "resizes = _constant(lambda s: 1)"),
    ], fast=3),
)  # fmt: skip
def test_a_constant_that_is_used_moves_it(package: Path, file: str, old: str, new: str) -> None:
    before, path = of_framework(ROOTS, package), package / file
    if file == "core/units.py" and old not in path.read_text():
        old, new = "DAY_NS = ", "DAY_NS = 1 + "
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert of_framework(ROOTS, package) != before


MODULE = """
import enum
from dataclasses import dataclass
import numpy as np
from dolphin.core.jit import KERNEL_ROOMS, PACKAGE, inline
import {helper} as helper
from {helper} import far, K

HOLD = 3
TABLE = {{"fast": "v50_vel", "slow": ["v150_vel", {{1, 2}}]}}
WEIGHTS = np.array([1.0, 2.0])

class Side(enum.IntEnum):
    LONG = 1

class Names:
    first = "BTCUSDT"

@dataclass(frozen=True)
class Lengths:
    short: int = 5
LENGTHS = Lengths()

def made(number):
    @inline
    def closed(x):
        return x * number
    return closed
CLOSED = made(2.5)

@inline
def near(x, n=HOLD, *, m=4):
    return x + n + m

@inline
def decide(state, params, market, i):
    def inner(y):
        return y + WEIGHTS[1] + helper.beyond(y)
    return near(far(CLOSED(inner(i)))) + Side.LONG + K

def features(params):
    return TABLE[params.name], Names.first, LENGTHS.short
"""
HELPER = """
from dolphin.core.jit import KERNEL_ROOMS, PACKAGE, inline
K = 9
DEEP = 1.5

@inline
def beyond(x):
    return x * DEEP

@inline
def far(x):
    return beyond(x) - 1.0
"""
CHANGES = [
    ("HOLD = 3", "HOLD = 4"), ("m=4", "m=5"), ('"v50_vel"', '"v300_vel"'), ("{{1, 2}}", "{{1, 3}}"),
    ("[1.0, 2.0]", "[1.0, 2.5]"), ("LONG = 1", "LONG = 2"), ('first = "BTCUSDT"', 'first = "ETHUSDT"'),
    ("short: int = 5", "short: int = 6"), ("made(2.5)", "made(2.6)"), ("return x * number", "return x / number"),
    ("return x + n + m", "return x + n - m"), ("return y + W", "return y - W"), ("K = 9", "K = 8"),
    ("DEEP = 1.5", "DEEP = 1.6"), ("return x * DEEP", "return x - DEEP"), ("beyond(x) - 1.0", "beyond(x) - 2.0"),
]  # fmt: skip
_count = iter(range(1_000))


def digest_of(folder: Path, monkeypatch: pytest.MonkeyPatch, old: str = "", new: str = "") -> str:
    """The digest of a strategy's functions in two modules, after a change in either."""
    number = next(_count)
    folder = folder / str(number)
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    module, helper = MODULE.replace(old, new) if old else MODULE, HELPER.replace(old, new) if old else HELPER
    assert not old or (module, helper) != (MODULE, HELPER)
    (folder / f"own_{number}.py").write_text(module.format(helper=f"other_{number}"))
    (folder / f"other_{number}.py").write_text(helper)
    importlib.invalidate_caches()
    own = importlib.import_module(f"own_{number}")
    for part in (own, importlib.import_module(f"other_{number}")):  # a module's name is part of a digest
        for value in [*vars(part).values(), own.CLOSED]:
            plain = getattr(value, "py_func", value)
            if isinstance(plain, FunctionType):
                plain.__module__ = "own"
    return of_functions([own.decide, own.features])


def test_whatever_a_strategy_reaches_is_in_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(tmp_path, monkeypatch)
    assert digest_of(tmp_path, monkeypatch) == before
    assert digest_of(tmp_path, monkeypatch, "    return x + n + m", "    # a remark\n    return x + n + m") == before
    same = [old for old, new in CHANGES if digest_of(tmp_path, monkeypatch, old, new) == before]
    assert same == []


class Side(enum.IntEnum):
    LONG = 1


@inline
def sided(i):
    return i + Side.LONG


@pytest.mark.slow
def test_no_address_is_in_a_digest() -> None:
    assert fingerprint.reach([sided])[1] == [("Side", "Side(LONG=1)")]
    told = " ".join(of_framework(ROOTS).values())
    assert " at 0x" not in told and IMPORTED in {name for _, name in of_framework(ROOTS)}
