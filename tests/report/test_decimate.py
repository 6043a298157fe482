"""A decimated curve keeps its extremes and its ends."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dolphin.report.decimate import extremes

_CURVES = hnp.arrays(
    np.float64, st.integers(1, 600), elements=st.floats(-1e9, 1e9, allow_nan=False, allow_infinity=False)
)


@given(_CURVES, st.integers(4, 200))
def test_extremes_and_ends_are_kept(values, points):
    rows = extremes(values, points)

    assert len(rows) <= max(points, 4)
    assert np.all(np.diff(rows) > 0)
    assert rows[0] == 0 and rows[-1] == len(values) - 1
    assert values[rows].min() == values.min()
    assert values[rows].max() == values.max()


@given(_CURVES)
def test_a_short_curve_is_whole(values):
    np.testing.assert_array_equal(extremes(values, len(values) + 4), np.arange(len(values)))


def test_a_spike_of_one_bar_in_a_million_is_drawn():
    values = np.zeros(1_000_000)
    values[[123_457, 765_431]] = -7.0, 9.0

    rows = extremes(values, 4_000)

    assert {123_457, 765_431} <= set(rows.tolist())
    assert len(rows) <= 4_000


def test_extremes_of_each_part_are_kept():
    """Zoomed in, a curve still shows its swings: the amplitude survives in every tenth."""
    values = np.sin(np.arange(100_000))

    rows = extremes(values, 1_000)

    for tenth in np.split(np.arange(100_000), 10):
        inside = rows[(rows >= tenth[0]) & (rows <= tenth[-1])]
        assert values[inside].max() - values[inside].min() > 1.99
