from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import market_of

from dolphin.core.rank import most_efficient


@numba.njit
def ranked(market, i, side, lookback, max_stale, least, path):
    return most_efficient(market, i, side, lookback, max_stale, least, path)


def choose(market, i, side, lookback, max_stale=5, least=0.0):
    return ranked(market, i, side, lookback, max_stale, least, np.empty(market.price.shape[1]))


def plainly(market, i, side, lookback, max_stale=5, least=0.0):
    """ENGINE section 3, entry 4, asset by asset."""
    if i < lookback:
        return -1
    best, best_e = -1, -math.inf
    for j in range(market.price.shape[1]):
        logs = market.log_price[:, j]
        path = 0.0
        for k in range(i - lookback + 1, i + 1):
            path += abs(logs[k] - logs[k - 1])
        if not path > 0 or not 0 <= market.age[i, j] <= max_stale:
            continue
        e = side * (logs[i] - logs[i - lookback]) / path
        if e >= least and e > best_e:
            best, best_e = j, e
    return best


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([-1, 1]), st.floats(-1, 0.9))
def test_agrees_with_the_plain_loop(seed, lookback, side, least):
    rng = np.random.default_rng(seed)
    price = 100 + np.cumsum(rng.integers(-2, 3, (30, 6)), axis=0).astype(float)
    price[:7, 2] = np.nan
    age = rng.integers(-1, 9, (30, 6)).astype(np.int32)
    market = market_of(price, np.zeros(30), age=age)
    for i in range(30):
        assert choose(market, i, side, lookback, least=least) == plainly(market, i, side, lookback, least=least)


def test_a_tie_goes_to_the_lower_column():
    price = np.outer(np.linspace(100, 110, 12), [1.0, 2.0, 2.0])
    price[:, 0] = 50.0  # does not move: no candidate
    assert choose(market_of(price, np.zeros(12)), 11, 1, 5) == 1


@pytest.mark.parametrize(("age", "expected"), [(5, 0), (6, -1), (-1, -1)])
def test_a_stale_asset_is_no_candidate(age, expected):
    price = np.linspace(100, 110, 12)[:, None]
    market = market_of(price, np.zeros(12), age=np.full((12, 1), age, np.int32))
    assert choose(market, 11, 1, 5) == expected
