from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.errors import DolphinError
from dolphin.study.space.space import Choices, Range, parse_space

unit = st.floats(0.0, 1.0, exclude_max=True)


def dimension(**entry: Any) -> Choices | Range:
    return parse_space({"x": entry}, "s.toml")["x"]


@given(unit, st.floats(-1e6, 1e6), st.floats(0.0, 1e6))
def test_a_continuous_range_stays_within_its_bounds(u: float, low: float, width: float) -> None:
    found = dimension(low=low, high=low + width).at(u)
    assert low <= found <= low + width


@given(unit, st.floats(1e-9, 1e3), st.floats(1.0, 1e6))
def test_a_log_range_stays_within_its_bounds(u: float, low: float, factor: float) -> None:
    found = dimension(low=low, high=low * factor, log=True).at(u)
    assert low * (1 - 1e-12) <= found <= low * factor * (1 + 1e-12)


@given(unit, st.integers(-1000, 1000), st.integers(0, 50), st.integers(1, 9))
def test_a_stepped_range_yields_its_points_as_integers(u: float, low: int, width: int, step: int) -> None:
    stepped = dimension(low=low, high=low + width, step=step)
    assert stepped.points() == tuple(range(low, low + width + 1, step))
    assert stepped.at(u) in stepped.points() and type(stepped.at(u)) is int


def test_decimal_steps_are_written_as_people_write_them() -> None:
    assert dimension(low=0.1, high=0.5, step=0.1).points() == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert dimension(low=-0.05, high=-0.01, step=0.02).points() == (-0.05, -0.03, -0.01)
    assert dimension(low=0.0, high=1.0, step=0.4).points() == (0.0, 0.4, 0.8)


def test_integers_without_a_step_stay_integers() -> None:
    assert dimension(low=2, high=5).points() == (2, 3, 4, 5)
    assert dimension(low=3, high=3).points() == (3,)


@given(unit)
def test_a_log_range_of_integers_is_of_integers_and_logarithmic(u: float) -> None:
    found = dimension(low=1, high=10_000, log=True)
    assert type(found.at(u)) is int and 1 <= found.at(u) <= 10_000
    assert found.at(0.5) == 100


@given(unit)
def test_choices(u: float) -> None:
    found = dimension(choices=["min", "max", "off"])
    assert found.at(u) in found.points() == ("min", "max", "off")


def test_every_choice_and_point_is_reached() -> None:
    steps = [k / 999 for k in range(999)]
    for space in (dimension(choices=[1, 2, 3]), dimension(low=1, high=3)):
        assert {space.at(u) for u in steps} == {1, 2, 3}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "'low' is missing"),
        ({"low": 1}, "'high' is missing"),
        ({"low": 2, "high": 1}, "empty range: high (1) lies below low (2)"),
        ({"low": 1, "high": 2, "step": 0}, "step must be above 0, not 0"),
        ({"low": 1, "high": 2, "stp": 1}, "unknown key 'stp'; did you mean 'step'?"),
        ({"low": "a", "high": 2}, "low = 'a' is not a number"),
        ({"low": True, "high": 2}, "low = True is not a number"),
        ({"low": 1.0, "high": float("inf")}, "high = inf is not a number"),
        ({"low": 1.0, "high": float("nan")}, "high = nan is not a number"),
        ({"low": 0, "high": 2, "log": True}, "a log range needs low > 0 and no step"),
        ({"low": 1, "high": 2, "log": True, "step": 1}, "a log range needs low > 0 and no step"),
        ({"low": 1, "high": 2, "log": 1}, "log = 1 is neither true nor false"),
        ({"choices": []}, "choices must be a non-empty list, alone"),
        ({"choices": "min"}, "choices must be a non-empty list, alone"),
        ({"choices": [1], "low": 1}, "choices must be a non-empty list, alone"),
        ({"choices": [float("nan")]}, "choice nan is no text, number or boolean"),
        ({"choices": [[1]]}, "choice [1] is no text, number or boolean"),
    ],
)
def test_a_bad_range_says_what_and_where(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(DolphinError) as caught:
        parse_space({"tp_pct": entry}, "s.toml")
    assert str(caught.value).startswith("s.toml: [search] tp_pct: ") and said in str(caught.value)


def test_an_empty_or_flat_search_is_refused() -> None:
    with pytest.raises(DolphinError, match=r"s\.toml: \[search\] is empty; name at least one"):
        parse_space({}, "s.toml")
    with pytest.raises(DolphinError, match=r"0\.1 is neither range nor choice; write"):
        parse_space({"tp_pct": 0.1}, "s.toml")
