"""A traced function does what it did, and tells what it asked."""

from __future__ import annotations

import math

import pytest

from dolphin.core.jit import inline
from dolphin.parity.slow.in_python import in_python
from dolphin.parity.why.telling import conditions, folded
from dolphin.parity.why.tracing import Assigned, Condition, Frame, Tracer, traced


@inline
def clamp(x, low, high):  # type: ignore[no-untyped-def]
    """Between two limits."""
    return low if x < low else (high if not x <= high else x)


@inline
def count(x, limit):  # type: ignore[no-untyped-def]
    """Loops, chains, short circuits and values that stand for themselves."""
    found, k = 0, 0
    while k < 5:
        k += 1
        if k % 2 == 0 or (x != x and limit):
            continue
        found += clamp(k * x, 0.0, limit) > 0.0
    a, b = found, -found
    if limit and 0 <= a <= 3 and not b > 0:
        return a, b
    return -1, 0


@pytest.mark.parametrize("x", [1.5, -1.0, 0.0, math.nan])
@pytest.mark.parametrize("limit", [0.0, 2.0])
def test_it_answers_as_the_plain_function_does(x: float, limit: float) -> None:
    tracer = Tracer()
    assert traced(count, tracer)(x, limit) == in_python(count)(x, limit) == count(x, limit)
    assert tracer.root is not None and tracer.root.returned == count(x, limit)


def test_it_tells_what_was_asked_and_no_more() -> None:
    tracer = Tracer()
    traced(count, tracer)(1.5, 2.0)
    assert tracer.root is not None
    tests = [event for event in tracer.root.events if isinstance(event, Condition)]
    assert [one.outcome for one in tests if one.site.text == "k < 5"] == [True] * 5 + [False]
    last = tests[-1]
    assert last.site.text == "limit and 0 <= a <= 3 and (not b > 0)" and last.outcome
    assert [(p.left, p.value, p.op, p.limit, p.outcome) for p in last.parts] == [
        ("limit", 2.0, "is true", None, True), ("0", 0, "<=", 3, True),
        ("a", 3, "<=", 3, True), ("b", -3, ">", 0, False),
    ]  # fmt: skip
    skipped = next(one for one in tests if one.site.text.startswith("k % 2 == 0") and one.outcome)
    assert [p.left for p in skipped.parts] == ["k % 2"]  # what is behind an 'or' that holds is not asked
    assert {e.name for e in tracer.root.events if isinstance(e, Assigned)} == {"found", "k", "a", "b"}
    calls = [event for event in tracer.root.events if isinstance(event, Frame)]
    assert [call.arguments["x"] for call in calls] == [1.5, 4.5, 7.5] and calls[1].returned == 2.0
    source = count.py_func.__code__
    assert all(source.co_firstlineno < one.site.line < source.co_firstlineno + 14 for one in tests)


def test_loops_are_counted() -> None:
    tracer = Tracer()
    traced(count, tracer)(1.5, 2.0)
    assert tracer.root is not None
    short = folded(tracer.root)
    loop = next(one for one in conditions(short) if one.site.text == "k < 5")
    assert loop.counts == {True: 5, False: 1} and not loop.outcome  # type: ignore[attr-defined]
    assert len(list(conditions(short))) < len(list(conditions(tracer.root)))


def test_a_function_without_a_source_of_its_own_is_called_as_it_is() -> None:
    def made(limit):  # type: ignore[no-untyped-def]
        @inline
        def below(x):  # type: ignore[no-untyped-def]
            return x < limit

        return below

    tracer = Tracer()
    assert traced(made(3.0), tracer)(2.0) is True
    assert tracer.root is not None and tracer.root.events == [] and tracer.root.returned is True
