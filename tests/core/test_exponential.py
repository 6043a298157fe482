"""Our exponential against exact arithmetic."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from dolphin.core.exponential import exp_array

getcontext().prec = 60


def ulps(x: float, ours: float) -> float:
    """Distance to the true value in units in the last place of ours."""
    true = Decimal(x).exp()
    return float(abs(Decimal(ours) - true) / Decimal(math.ulp(ours)))


@given(st.floats(-745.0, 709.7))
@example(0.0)
@example(-0.0)
@example(709.7)
@example(-708.4)
@example(-740.0)
@example(1e-300)
@example(0.34657359027997264)
def test_within_one_ulp(x: float) -> None:
    assert ulps(x, float(exp_array(np.array([x]))[0])) < 1.0


def test_ends() -> None:
    found = exp_array(np.array([np.inf, -np.inf, 710.0, -746.0, np.nan, 0.0]))
    assert found[:4].tolist() == [np.inf, 0.0, np.inf, 0.0]
    assert np.isnan(found[4]) and found[5] == 1.0


def test_known_bits() -> None:
    """The same bits on every machine: those of this one."""
    found = exp_array(np.array([1.0, -1.0, -0.05, 10.0, -20.0 / 3.0]))
    assert [value.hex() for value in found.tolist()] == [
        "0x1.5bf0a8b14576ap+1",
        "0x1.78b56362cef38p-2",
        "0x1.e7078b0a726a6p-1",
        "0x1.5829dcf950560p+14",
        "0x1.4d9d0239e543ap-10",
    ]
