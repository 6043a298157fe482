"""Expressions over parameter names in study files: arithmetic, comparisons, ``and``/``or``/``not``, a few functions.

Nothing else is evaluated: no attributes, no calls but those of :data:`FUNCTIONS`, no names but the given ones.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from dolphin.errors import BadInput, nearest

FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "max": max, "min": min, "round": round}
LONGEST = 500
POWERS = range(-8, 9)

_NODES = (
    ast.Expression, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Compare, ast.Call, ast.Name, ast.Load,
    ast.Constant, ast.Tuple, ast.List, ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn,
)  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """A checked expression; ``names`` are the parameters that it reads."""

    text: str
    names: frozenset[str]
    where: str = field(compare=False)
    code: CodeType = field(repr=False, compare=False)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Its value.

        Raises
        ------
        DolphinError
            If it cannot be computed from these values (a division by zero, a word in a sum).
        """
        try:
            return eval(self.code, {"__builtins__": {}}, {**FUNCTIONS, **{n: values[n] for n in self.names}})
        except (ArithmeticError, TypeError, ValueError) as error:
            given = ", ".join(f"{name} = {values[name]!r}" for name in sorted(self.names))
            raise BadInput(f"'{self.text}' cannot be computed ({error}) for {given}", where=self.where) from None


def parse(text: Any, where: str, known: Collection[str]) -> Expression:
    """Check an expression.

    Parameters
    ----------
    text : str
        Python's syntax.
    where : str
        File and key, for errors.
    known : collection of str
        Names that it may read.

    Raises
    ------
    DolphinError
        For anything but an expression of the kinds above over known names.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        raise BadInput(f"{text!r} is no expression", where=where, mend="write it as text, e.g. 'tp_pct > 0.002'")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        raise BadInput(
            f"'{text}' is no expression", where=where, mend="write e.g. 'short_threshold * 2' or 'a < b and c != 0'"
        ) from None
    names = set()
    for node in ast.walk(tree):
        if not isinstance(node, _NODES) or (isinstance(node, ast.Call) and not _is_function(node)):
            raise BadInput(
                f"'{text}' uses what an expression may not ({type(node).__name__})",
                where=where,
                mend=f"use arithmetic, comparisons, and, or, not, if-else, {', '.join(FUNCTIONS)}",
            )
        if isinstance(node, ast.Pow) and not _small_powers(tree):
            raise BadInput(f"'{text}' has a power that is not a whole number from -8 to 8", where=where)
        if isinstance(node, ast.Name) and node.id not in FUNCTIONS:
            if node.id not in known:
                raise BadInput(f"'{text}' reads the unknown '{node.id}'", where=where, mend=nearest(node.id, known))
            names.add(node.id)
    return Expression(text.strip(), frozenset(names), where, compile(tree, "<expression>", "eval"))


def _is_function(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords


def _small_powers(tree: ast.AST) -> bool:
    """Whether every exponent is a small whole number: anything else may take forever."""
    powers = [node.right for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)]
    return all(_whole(exponent) in POWERS for exponent in powers)


def _whole(node: ast.expr) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _whole(node.operand)
        return None if inner is None else -inner
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None
