"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.report.numerals import duration, instant, number, percent, plain, round_levels, significant

MINUS = "\u2212"
DASH = "\u2013"


@pytest.mark.parametrize(
    ("value", "options", "shown"),
    [
        (1234567.891, {}, "1,234,567.89"),
        (-1234.5, {}, f"{MINUS}1,234.50"),
        (-0.001, {}, "0.00"),
        (0.001, {"signed": True}, "0.00"),
        (3.0, {"signed": True}, "+3.00"),
        (float("inf"), {}, "∞"),
        (float("-inf"), {}, f"{MINUS}∞"),
        (float("nan"), {}, DASH),
        (None, {}, DASH),
        (12.0, {"digits": 0}, "12"),
    ],
)
def test_number(value, options, shown):
    assert number(value, **options) == shown


def test_percent():
    assert percent(0.12345) == "12.35%"
    assert percent(-3.5098, signed=True) == f"{MINUS}350.98%"
    assert percent(None) == DASH


def test_significant():
    assert significant(20028.33, 8) == "20,028.33"
    assert significant(0.2184) == "0.2184"
    assert significant(-2.5) == f"{MINUS}2.5"
    assert significant(1520.0) == "1,520"


def test_instants_and_durations():
    assert instant(1_664_582_700_000_000_000) == "2022-10-01 00:05:00"
    assert instant(1_664_582_700_250_000_000) == "2022-10-01 00:05:00.250"
    assert instant(-1_000_000_000) == "1969-12-31 23:59:59"
    assert [duration(s * 1e9) for s in (0.25, 5, 60, 300, 3_600, 37_500, 86_400 * 61)] == [
        "0.25 s", "5 s", "1 min", "5 min", "1 h", "10 h 25 min", "61 d",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "steps", "levels"),
    [(-0.3, 0.9, 6, [-0.2, 0.0, 0.2, 0.4, 0.6, 0.8]), (0.0, 10.0, 5, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
     (101.0, 103.9, 6, [101.0, 101.5, 102.0, 102.5, 103.0, 103.5])],
)  # fmt: skip
def test_levels_are_round(low, high, steps, levels):
    assert round_levels(low, high, steps) == pytest.approx(levels)


def test_plain_is_exact():
    assert plain(True) == "yes" and plain(None) == DASH
    assert plain(25_000) == "25,000" and plain(0.000099) == "9.9e-05"


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12), st.integers(0, 6))
def test_a_shown_number_reads_back(value, digits):
    shown = number(value, digits)

    assert abs(float(shown.replace(",", "").replace(MINUS, "-")) - value) <= 0.5001 * 10.0**-digits + 1e-4 * (
        abs(value) > 1e9
    )
