from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import market_of

from dolphin.core.engine import NOT_RANKED
from dolphin.core.jit import kernel
from dolphin.core.rank import among, kth, most_efficient
from dolphin.core.records import RANKED


class Shared(NamedTuple):
    """What the ranking needs of a state."""

    ranking: np.ndarray
    scratch: np.ndarray


@kernel
def ranked(state, market, i, side, lookback, max_stale, least):
    return most_efficient(state, market, i, side, lookback, max_stale, least)


def shared(market, places=0):
    return Shared(np.full(places, NOT_RANKED, RANKED), np.empty(market.price.shape[1]))


def choose(market, i, side, lookback, max_stale=5, least=0.0):
    return ranked(shared(market), market, i, side, lookback, max_stale, least)


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


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 4, 64]))
def test_remembered_answers_are_the_answers(seed, places):
    rng = np.random.default_rng(seed)
    market = market_of(np.round(100 + rng.standard_normal((60, 4)).cumsum(axis=0), 1), np.zeros(60))
    market = market._replace(age=rng.integers(-1, 8, (60, 4)).astype(np.int32))
    state, hits = shared(market, places), 0
    for _ in range(200):
        i, lookback = int(rng.integers(0, 60)), int(rng.choice([1, 2, 30]))
        side, stale, least = int(rng.choice([-1, 1])), int(rng.choice([0, 5])), float(rng.choice([-1.0, 0.0, 0.5, 1.0]))
        before = state.ranking.copy()
        expected = choose(market, i, side, lookback, stale, least)
        assert ranked(state, market, i, side, lookback, stale, least) == expected
        hits += before.tobytes() == state.ranking.tobytes()
    assert hits > 0 or places < 64  # some were answered from memory


@kernel
def ordered(scores, side, k):
    """The ``k``-th column, and which come no later."""
    last = kth(scores, scores.size, side, k)
    return last, [j for j in range(scores.size) if scores[j] == scores[j] and among(scores, j, side, last)]


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.0, 0.5, -0.5, 1e300]), min_size=1, max_size=11),
    st.sampled_from([-1, 1]),
)
def test_the_kth_is_that_of_a_sorted_list(values, side):
    # Of equal scores the lower column counts as the higher.
    order = sorted((j for j, x in enumerate(values) if x == x), key=lambda j: (-side * values[j], side * j))
    for k, column in enumerate(order, 1):
        last, before = ordered(np.array(values), side, k)
        assert last == column
        assert set(before) == set(order[:k]) or math.inf in map(abs, values)  # infinite scores have no gap
