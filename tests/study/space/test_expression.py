"""Expressions of study files: what they compute, and all that they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.errors import DolphinError
from dolphin.study.space.expression import parse

NAMES = ("a", "b", "mode")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a * 2.5", -0.05),
        ("a < b and mode != 'off'", True),
        ("not a < b", False),
        ("min(a, b, 0) if mode in ('min', 'max') else max(a, b)", -0.02),
        ("abs(a) ** 2", 0.0004),
        ("-1 < a < b", True),
        ("round(b / 3, 2)", 1.33),
        ("7 // 2 % 2", 1),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert parse(text, "s", NAMES)({"a": -0.02, "b": 4, "mode": "min"}) == value


def test_the_names_it_reads() -> None:
    assert parse("max(a, 1) if mode == 'x' else 0", "s", NAMES).names == {"a", "mode"}


@given(st.floats(-1e6, 1e6), st.floats(0.1, 1e6))
def test_arithmetic_is_pythons(a: float, b: float) -> None:
    assert parse("(a - b) * a / b + a ** 3", "s", NAMES)({"a": a, "b": b}) == (a - b) * a / b + a**3


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no expression"),
        (3, "no expression"),
        ("a <", "no expression"),
        ("a; b", "no expression"),
        ("a" + " + a" * 300, "no expression"),
        ("c + 1", "unknown 'c'"),
        ("modes == 'x'", "did you mean 'mode'"),
        ("__import__('os')", "may not"),
        ("a.__class__", "may not"),
        ("[x for x in (1,)]", "may not"),
        ("(lambda: 1)()", "may not"),
        ("open('f')", "may not"),
        ("max(a, key=b)", "may not"),
        ("a[0]", "may not"),
        ("9 ** 9 ** 9", "power"),
        ("a ** b", "power"),
    ],
)
def test_refusals(text: Any, complaint: str) -> None:
    with pytest.raises(DolphinError, match=complaint) as caught:
        parse(text, "s.toml: constraints", NAMES)
    assert caught.value.where == "s.toml: constraints"


@pytest.mark.parametrize("text", ["a / (b - b)", "a + mode", "a < mode"])
def test_what_cannot_be_computed_is_said_with_the_values(text: str) -> None:
    with pytest.raises(DolphinError, match=r"a = 1\.5"):
        parse(text, "s", NAMES)({"a": 1.5, "b": 2.0, "mode": "off"})
