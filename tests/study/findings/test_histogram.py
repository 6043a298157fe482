"""Counts by value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dolphin.study.findings.histogram import histogram


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e12, 1e12)), st.integers(1, 60))
def test_every_value_is_counted_once(values: np.ndarray, bins: int) -> None:
    counts, edges = histogram(values, bins)
    assert counts.sum() == len(values) and len(edges) == bins + 1 and (np.diff(edges) > 0).all()


@pytest.mark.parametrize("value", [0.0, 6.07, -1e-9])
def test_values_that_are_all_but_equal(value: float) -> None:
    values = np.array([value, np.nextafter(value, 1.0), value])
    counts, edges = histogram(values, 30)
    assert counts.sum() == 3 and edges[0] <= value <= edges[-1]
