"""The survival stack: the table of test vectors of RISK section 3, and what must hold of any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.core.capital import rm5
from dolphin.core.posture import posture_of
from dolphin.core.records import APEX, HIBERNATE, STALKER, TURTLE
from dolphin.risk.forewarner import GREEN, MISSING, ORANGE, RED
from dolphin.risk.survival import HOUR_NS, minutes_since_spike, rm1, rm2, rm3, rm4

SECOND = 10**9


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(0, 1.0), (3, 1.0), (5, 1.0), (8, 0.9074), (10, 0.7531), (12, 0.5151), (15, 0.3305), (20, 0.1228), (25, 0.0385)],
)
def test_rm5(percent: int, expected: float) -> None:
    assert rm5(percent / 100) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("minutes", "expected"), [(0, 0.3), (10, 0.575), (20, 0.742), (30, 0.844), (60, 0.965)])
def test_rm4(minutes: int, expected: float) -> None:
    assert rm4(float(minutes)) == pytest.approx(expected, abs=5e-4)


def test_rm4_without_a_spike() -> None:
    assert rm4(np.inf) == rm4(np.nan) == 1.0


@pytest.mark.parametrize(
    ("depth", "fill", "expected"), [(0.9, 0.8, 1.0), (0.7, 0.5, 1.0), (0.9, 0.4, 0.65), (0.3, 0.9, 0.3)]
)
def test_rm3(depth: float, fill: float, expected: float) -> None:
    assert rm3(depth, fill, 0) == pytest.approx(expected, abs=1e-12)


def test_rm3_of_an_old_or_missing_book() -> None:
    assert rm3(0.9, 0.8, 30 * SECOND) == 1.0
    assert rm3(0.9, 0.8, 30 * SECOND + 1) == rm3(0.9, 0.8, -1) == rm3(np.nan, 0.8, 0) == 0.5


@pytest.mark.parametrize(("hours", "expected"), [(5.0, 1.0), (7.0, 0.5), (9.0, 0.368), (12.0, 0.135)])
def test_rm2_of_an_ageing_green(hours: float, expected: float) -> None:
    assert rm2(GREEN, hours, False) == pytest.approx(expected, abs=5e-4)


def test_rm2_of_missing() -> None:
    assert rm2(MISSING, np.nan, False) == 1.0
    assert rm2(MISSING, np.nan, True) == rm2(GREEN, -1.0, True) == 0.5


def test_rm1() -> None:
    assert rm1(1, 30.0) == 1.0
    assert rm1(0, 0.0) == rm1(1, 30.1) == rm1(1, -1.0) == rm1(1, np.nan) == 0.0


def whole(
    nodes: int = 1, status: int = GREEN, hours: float = 0.5, depth: float = 0.9, fill: float = 0.8, d: float = 0.03
) -> float:
    return float(rm1(nodes, 1.0) * rm2(status, hours, False) * rm3(depth, fill, 0) * rm4(np.inf) * rm5(d))


def test_stack() -> None:
    assert whole() >= 0.95 and posture_of(whole()) == APEX
    assert whole(nodes=0) == 0.0 and posture_of(0.0) == HIBERNATE
    assert whole(status=ORANGE) == pytest.approx(0.5) and posture_of(whole(status=ORANGE)) == STALKER
    assert whole(status=RED) == pytest.approx(0.1) and posture_of(whole(status=RED)) == TURTLE


unit = st.floats(0.0, 1.0)
pair = st.tuples(unit, unit).map(sorted)


@given(pair, unit)
def test_rm3_lies_in_its_range_and_grows(ab: list[float], other: float) -> None:
    for low, high in ((rm3(ab[0], other, 0), rm3(ab[1], other, 0)), (rm3(other, ab[0], 0), rm3(other, ab[1], 0))):
        assert 0.3 <= low <= high <= 1.0


@given(st.tuples(st.floats(0.0, 1e6), st.floats(0.0, 1e6)).map(sorted))
def test_rm4_recovers(ab: list[float]) -> None:
    assert 0.3 <= rm4(ab[0]) <= rm4(ab[1]) <= 1.0


@given(st.sampled_from([GREEN, ORANGE, RED]), st.tuples(st.floats(0.0, 1e4), st.floats(0.0, 1e4)).map(sorted))
def test_rm2_falls_with_age_and_status(status: int, ab: list[float]) -> None:
    assert 0.0 <= rm2(status, ab[1], False) <= rm2(status, ab[0], False) <= 1.0
    if status < RED:
        assert rm2(status + 1, ab[0], False) <= rm2(status, ab[0], False)


@given(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 3.0)).map(sorted))
def test_rm5_falls_with_drawdown(ab: list[float]) -> None:
    assert 0.0 <= rm5(ab[1]) <= rm5(ab[0]) <= 1.0


def test_spikes() -> None:
    rng = np.random.default_rng(5)
    hours = np.arange(400) * HOUR_NS
    readings = 50.0 + rng.standard_normal(400)
    readings[100] = readings[300] = 90.0  # the first has too few readings before it
    ts = np.array([99, 101, 299, 300, 301]) * HOUR_NS
    found = minutes_since_spike(ts, hours, readings)
    past = [k for k in range(168, 400) if readings[k] > readings[:k].mean() + 2.0 * readings[:k].std()]
    assert 300 in past and 100 not in past
    for at, minutes in zip((99, 101, 299, 300, 301), found, strict=True):
        before = [k for k in past if k <= at]
        assert minutes == (60.0 * (at - before[-1]) if before else np.inf)
