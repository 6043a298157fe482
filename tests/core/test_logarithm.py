"""The logarithm against 60-digit decimal arithmetic."""

from __future__ import annotations

import math
from decimal import Context, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin.core.logarithm import ln_array

EXACT = Context(prec=60)


def ulps(x: float) -> float:
    """How far ``ln_array`` is from the true logarithm, in units of the last place of the truth."""
    truth = EXACT.ln(Decimal(x))
    found = float(ln_array(np.array([x]))[0])
    if truth == 0:
        return 0.0 if found == 0.0 else math.inf
    return float(abs(EXACT.subtract(Decimal(found), truth)) / Decimal(math.ulp(float(truth))))


@settings(max_examples=400, deadline=None)
@given(st.floats(min_value=5e-324, allow_infinity=False, allow_nan=False))
def test_within_one_ulp_over_the_whole_range(x: float) -> None:
    assert ulps(x) < 1.0


@settings(max_examples=400, deadline=None)
@given(st.floats(min_value=0.9, max_value=1.1))
def test_within_one_ulp_near_one(x: float) -> None:
    assert ulps(x) < 1.0


@pytest.mark.parametrize("steps", [-3, -2, -1, 1, 2, 3])
def test_neighbours_of_one(steps: int) -> None:
    x = 1.0
    for _ in range(abs(steps)):
        x = math.nextafter(x, math.inf if steps > 0 else 0.0)
    assert ulps(x) < 1.0
    assert ln_array(np.array([x]))[0] != 0.0


def test_special_values() -> None:
    x = np.array([np.nan, 0.0, -0.0, -1.0, -np.inf, np.inf, 1.0, 5e-324, 2.0**-1022, 1.7976931348623157e308])
    expected = [np.nan, -np.inf, -np.inf, np.nan, np.nan, np.inf, 0.0]
    got = ln_array(x)
    np.testing.assert_array_equal(got[:7], expected)
    assert math.copysign(1.0, got[6]) == 1.0
    for value in x[7:]:
        assert ulps(float(value)) < 1.0


def test_powers_of_two_and_shape() -> None:
    k = np.arange(-1074, 1024).reshape(2, -1)
    got = ln_array(np.ldexp(1.0, k))
    assert got.shape == k.shape
    np.testing.assert_allclose(got, k * math.log(2.0), rtol=1e-15)
