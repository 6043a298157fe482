"""Real markets against the independent slow implementation and LAPACK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scanner_markets import worst_error

from dolphin.features import WINDOWS, scan


@pytest.mark.parametrize("name", ["klines_1m_2021", "klines_5m_2022"])
def test_reference_features_at_every_bar(name: str, load_reference: Callable[[str], Any]) -> None:
    market = load_reference(name)
    block = scan(market.ts, market.close, market.reference)
    found = {f"a{w}": block.a[:, k] for k, w in enumerate(WINDOWS)}
    found |= {f"v{w}": block.v[:, k] for k, w in enumerate(WINDOWS)}
    found |= {"vel_div": block.vel_div(), "vol": block.vol}
    assert set(found) == set(market.expected.columns) - {"ts"}
    for column, values in found.items():
        expected = market.expected[column].to_numpy()
        np.testing.assert_array_equal(np.isnan(values), np.isnan(expected), err_msg=column)
        assert np.nanmax(np.abs(values - expected)) < 1e-9, column
    for k, w in enumerate(WINDOWS):  # the eigenvalue's relative error, at every bar
        error = np.abs(block.a[:, k] / market.expected[f"a{w}"].to_numpy() - 1.0)
        assert np.nanmax(error) < 1e-10
    assert worst_error(block, market.close, np.arange(41, len(market.ts), 397)) < 1e-10
    assert np.nanmax(block.residual) < 1e-5
