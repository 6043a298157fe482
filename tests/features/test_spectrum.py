"""Every eigenvalue, against LAPACK and against what is known of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scanner_markets import MINUTE, make_market

from dolphin.features import WINDOWS, scan
from dolphin.features.spectrum import spectra, spectrum_digest


def plain(close: np.ndarray, t: int, w: int) -> np.ndarray:
    returns = np.log(close[t - w + 1 : t + 1] / close[t - w : t])
    active = np.isfinite(returns).all(axis=0) & (returns != returns[0]).any(axis=0)
    if active.sum() < 2:
        return np.zeros(0)
    return np.linalg.eigvalsh(np.corrcoef(returns[:, active].T))[::-1]


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(assets=st.integers(2, 70), seed=st.integers(0, 99), factor=st.sampled_from([0.0, 0.5, 3.0]))
def test_lapack_agrees(assets: int, seed: int, factor: float) -> None:
    ts, close = make_market(420, assets, seed, factor=factor)
    close[:70, 0] = np.nan
    if assets > 3:
        close[:, 1] = 5.0  # constant
        close[:, 2] = close[:, 3]  # an eigenvalue of zero
    windows = (20, 50, 300)  # windows shorter than N leave eigenvalues of zero too
    values, counts = spectra(ts, close, windows=windows)
    largest = scan(ts, close, assets - 1, windows=windows).a
    for t in range(21, 420, 37):
        for k, w in enumerate(windows):
            expected = plain(close, t, w) if t >= w else np.zeros(0)
            assert counts[t, k] == len(expected)
            found = values[t, k, : counts[t, k]]
            assert np.isnan(values[t, k, counts[t, k] :]).all()
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * assets)
            if len(found):
                assert found.sum() == pytest.approx(len(found), rel=1e-12)
                assert found[0] == pytest.approx(largest[t, k] * len(found), rel=1e-10)


def test_a_day_alone_has_the_bits_of_all_days() -> None:
    ts, close = make_market(1200, 5, 7, spacing=5 * MINUTE)
    values, counts = spectra(ts, close)
    low = 287 + 288 * 2
    alone, number = spectra(ts, close, low, low + 288)
    assert alone.tobytes() == values[low : low + 288].tobytes()
    assert number.tobytes() == counts[low : low + 288].tobytes()
    assert (counts[750:] == 5).all() and (counts[:50] == 0).all()
    assert len({spectrum_digest(), spectrum_digest((20, 50)), spectrum_digest(WINDOWS)}) == 2
