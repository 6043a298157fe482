"""What a bar did, written down, and the same bar from that: for strategies that want anything, on any fill model."""

from __future__ import annotations

import numpy as np
import pytest
from thorough import thorough

from dolphin.core.compiling import guarded
from dolphin.core.engine import NO_TRADES
from dolphin.core.records import ORDER
from dolphin.journal import kernels
from dolphin.journal.kernels import BOOKING, INTENT
from dolphin.journal.schema import CANCELLED, EXPIRED, FILLED, PARTLY_FILLED
from dolphin.parity.slow.compiled_case import engine_of_case, friction_of_case, market_of, params_of
from dolphin.parity.slow.random_case import random_case


def recorded_and_replayed(seed: int) -> set[int]:
    """Hold a random case's journal against the batch loop, and its replay against both; the statuses met."""
    case = random_case(seed)
    engine, params, friction, market = engine_of_case(case), params_of(case), friction_of_case(case), market_of(case)
    assets, bars = market.price.shape[1], len(market.ts)
    batch = engine.run(engine.new_state(assets, case.capital), params, friction, market, 0, bars)
    run = guarded(kernels, engine.strategy)
    state = engine.new_state(assets, case.capital)
    slots = len(state.slots)
    events, before = np.zeros(5 * slots * bars + 5 * slots, BOOKING), np.zeros(slots, ORDER)
    stages, account = np.zeros((bars, 7), np.uint64), np.zeros((bars, 4))
    reached, count = run.record(state, params, friction, market, 0, 0, bars, NO_TRADES, before, events, stages, account)
    assert reached == bars and (stages[:, 6] == batch.digests).all()
    assert (account[:, 1] == batch.equity).all() and (account[:, 3] == np.arange(1, bars + 1)).all()
    booked = events[:count][events[:count]["status"] != INTENT]
    again, digests = np.zeros((bars, 6), np.uint64), np.zeros(bars, np.uint64)
    state = engine.new_state(assets, case.capital)
    done = run.replay(state, params, friction, market, 0, 0, bars, NO_TRADES, booked, 0, True, again, digests)
    assert done == len(booked)
    assert (again == stages[:, :6]).all() and (digests == batch.digests).all()
    return set(booked["status"].tolist())


@pytest.mark.parametrize("seed", thorough([1, 3, 4]))
def test_a_recorded_run_is_the_run_and_its_replay_is_it_again(seed):
    recorded_and_replayed(seed)


@pytest.mark.slow
def test_it_is_for_more_random_cases():
    met = set()
    for seed in range(100, 110):
        met |= recorded_and_replayed(seed)
    assert {CANCELLED, EXPIRED, FILLED, PARTLY_FILLED} <= met
