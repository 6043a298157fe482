"""The house rules that a machine can hold: functions that can be read at one sight."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import dolphin

PACKAGE = Path(dolphin.__file__).parent
#: Lines of a function from ``def`` to its end, without its docstring and without the options of a command.
LONGEST = 60
#: Longer ones, and why they are.
LONGER = {
    ("features/lanczos.py", "lanczos"): "one numerical recurrence, compiled as one",
    ("parity/slow/random_strategy.py", "decide"): "one draw after the other, the same in Python and compiled",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a file."""
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function))


def is_command(function: Function) -> bool:
    """Whether its parameters are typer's options and arguments, a line each."""
    return any("typer." in ast.unparse(a.annotation) for a in function.args.args if a.annotation)


def lines(function: Function) -> int:
    """How long it is to who reads it."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    begin = first.lineno if is_command(function) else function.lineno
    return (function.end_lineno or 0) - begin + 1 - docstring


def test_no_function_is_longer_than_can_be_read_at_one_sight() -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), function.name): lines(function)
        for path in PACKAGE.rglob("*.py")
        for function in functions(path)
    }
    longer = {name: count for name, count in found.items() if count > LONGEST}
    assert longer.keys() - LONGER.keys() == set(), longer
    assert LONGER.keys() - longer.keys() == set(), "no longer than others by now: take it out of LONGER"
