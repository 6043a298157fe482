"""``docs/architecture.md`` names real functions, and each step of its two ways really calls the next."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text()
NAMES = sorted(set(re.findall(r"`(dolphin(?:\.\w+)+)`", PAGE)))
#: A line "- `caller` calls `callee`, `callee`: why" of the page.
STEPS = [
    (caller, callee)
    for caller, rest in re.findall(r"^- `(dolphin[\w.]+)` calls ([^:]+):", PAGE, re.MULTILINE)
    for callee in re.findall(r"`(dolphin[\w.]+)`", rest)
]


def named(dotted: str) -> Any:
    """The module or thing of a dotted name."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise AssertionError(dotted)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_page_names_exists(name: str) -> None:
    assert named(name) is not None


@pytest.mark.parametrize(("caller", "callee"), STEPS)
def test_each_step_calls_the_next(caller: str, callee: str) -> None:
    function = named(caller)
    source = inspect.getsource(getattr(function, "py_func", function))
    tree = ast.parse(textwrap.dedent(source))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert callee.rpartition(".")[2] in used, f"{caller} does not mention {callee}"


def test_the_page_is_a_page() -> None:
    assert len(STEPS) >= 25
    assert len(PAGE.split()) < 1_800  # ten minutes
