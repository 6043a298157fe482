"""The usual figures are quantstats' where it has them, and say inf or nan where there is nothing to divide by."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from dolphin.core.records import Floats
from dolphin.study.measure.figures import (
    cagr,
    calmar,
    fallen,
    omega,
    returns_of,
    rolling_sharpe,
    sortino,
    ulcer_index,
    underwater,
    usual_figures,
)

DAYS = 400


@pytest.fixture(scope="module")
def levels() -> Floats:
    returns = np.random.default_rng(7).normal(0.001, 0.02, DAYS)
    return np.concatenate([[25_000.0], 25_000.0 * np.cumprod(1.0 + returns)])


def test_they_are_those_of_quantstats(levels: Floats) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        import quantstats_lumi.stats as theirs

        returns = pd.Series(returns_of(levels), pd.date_range("2024-01-01", periods=DAYS))
        # It counts a year as 365.25 days, and one day less.
        growth = (1.0 + theirs.cagr(returns)) ** ((DAYS - 1) / 365.25)
        drawdown = -float(theirs.max_drawdown(returns))
        expected = {
            "cagr": growth ** (365.0 / DAYS) - 1.0,
            "sharpe_365": theirs.sharpe(returns, periods=365),
            "sortino": theirs.sortino(returns, periods=365),
            "omega": theirs.omega(returns, periods=365),
            "ulcer_index": theirs.ulcer_index(returns),
            "max_drawdown_daily": drawdown,
            "calmar": (growth ** (365.0 / DAYS) - 1.0) / drawdown,
            "volatility_365": theirs.volatility(returns, periods=365),
            "roi": theirs.comp(returns),
        }
        rolling = theirs.rolling_sharpe(returns, rolling_period=30, periods_per_year=365).to_numpy()

    assert usual_figures(levels) == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(rolling_sharpe(levels), rolling, rtol=1e-9)


def test_without_losses_or_days() -> None:
    rising, still, start = np.array([1.0, 1.1, 1.2]), np.ones(4), np.array([1.0])
    assert (sortino(rising), omega(rising), calmar(rising)) == (math.inf, math.inf, math.inf)
    assert all(math.isnan(f) for f in (sortino(still), omega(still), calmar(still), usual_figures(still)["sharpe_365"]))
    assert cagr(still) == 0.0 and ulcer_index(still) == 0.0
    assert math.isnan(cagr(start)) and math.isnan(sortino(start)) and math.isnan(ulcer_index(start))


def test_a_ruined_account_has_no_returns_after_it() -> None:
    ruined = np.array([100.0, 50.0, -10.0, -10.0, 20.0])
    np.testing.assert_allclose(returns_of(ruined), [-0.5, -1.2])
    assert cagr(ruined[:4]) == -1.0 and fallen(ruined)[2] == pytest.approx(1.1)
    assert np.isnan(rolling_sharpe(ruined, 3)).all() and len(rolling_sharpe(ruined, 2)) == 4


def test_falls_are_told_from_peak_to_recovery() -> None:
    found = underwater(np.array([10.0, 9.0, 10.0, 12.0, 6.0, 9.0, 12.5, 11.0, 10.0]))
    assert [(f["peak"], f["trough"], f["recovered"], f["days"]) for f in found] == [
        (3, 4, 6, 3), (6, 8, None, 2), (0, 1, 2, 2),
    ]  # fmt: skip
    assert [f["depth"] for f in found] == pytest.approx([0.5, 0.2, 0.1])
    assert underwater(np.array([1.0, 2.0])) == [] and underwater(np.array([1.0])) == []
