"""Bars passed by events: the bits are the step's, whatever is passed."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import SECOND, START, friction, market_of, params, random_market
from test_engine import CAPITAL, ENGINE, LONG, gates, long_market, of_one, variants

from dolphin.core.declaration import Events
from dolphin.core.engine import engine_for
from dolphin.core.hooks import friction_of
from dolphin.core.jit import inline, kernel
from dolphin.core.passage import BLOCK, GROUP, GROUPS, STRETCH, index_block, new_passage, price_range
from dolphin.core.records import HIBERNATE, neutral_risk
from dolphin.core.taking import DISTURBED
from dolphin.strategies.vel_div import VEL_DIV, enters

DAYS = 40

#: What decides how long a position is held and how far it may fall, from never to at once.
holds = st.fixed_dictionaries(
    {
        "tp_pct": st.sampled_from([0.002, 0.01, 0.05, 9.0]),
        "stop_pct": st.sampled_from([0.0, 0.01, 0.04]),
        "max_hold_bars": st.sampled_from([1, 17, 300, 5_000]),
        "maintenance_margin": st.sampled_from([0.0, 0.005, 0.5, 0.999999]),
        "acb_day_reset": st.booleans(),
        "adverse_turn_drop": st.sampled_from([0.2, 5.0]),
    }
)


@kernel
def indexed(passage, market, low, high):  # type: ignore[no-untyped-def]
    """The index, and all price ranges of whole stretches."""
    index_block(passage, market, low, high)
    for b in range((high - low) // STRETCH):
        for j in range(market.price.shape[1]):
            if price_range(passage, market, low, b, j) != price_range(passage, market, low, b, j):
                raise AssertionError


def calm_market(seed: int, *, bars: int = 2 * BLOCK + 77, scale: float = 0.0005):
    """More than two blocks, an hour a day: rare signals, a coarse grid of prices (many equal ones), risk that turns
    now and then, a symbol that is listed late, holes in the signals."""
    market, rng = random_market(seed, bars, 3, scale=scale), np.random.default_rng(seed)
    price = np.round(market.price, 1)
    price[: bars // 3, 1] = np.nan
    age = np.zeros(price.shape, np.int32)
    age[: bars // 3, 1] = -1
    age[rng.random(age.shape) < 0.1] = 7
    risk = neutral_risk(bars)
    for at in rng.integers(0, bars, 6):
        risk["posture"][at : at + rng.integers(1, 200)] = rng.integers(0, 4)
        risk["boost"][at : at + rng.integers(1, 200)] = rng.choice([1.0, 1.1, 1.9])
    risk["posture"][BLOCK : BLOCK + 50] = HIBERNATE
    made = market_of(price, 0.04 * rng.standard_normal(bars), vol=rng.uniform(5e-5, 2e-4, bars), risk=risk, age=age)
    made.features[rng.random(made.features.shape) < 0.05] = np.nan
    made.features[BLOCK // 2 : BLOCK, rng.integers(2)] = np.nan  # stretches of nothing else
    return made._replace(ts=START + 60 * SECOND * np.cumsum(rng.integers(1, 60, bars)))


def compare(market, p, f, cuts=(), begin=0):
    """Every combination by events, over ``cuts``, against itself by the step."""
    bars, count, assets = len(market.ts), len(p), market.price.shape[1]
    ours, theirs = (ENGINE.new_states(assets, np.full(count, CAPITAL), DAYS) for _ in range(2))
    edges = [begin, *sorted(cuts), bars]
    for low, high in itertools.pairwise(edges):
        ENGINE.run_many(ours, p, f, market, low, high, threads=2, chunk=3, events=True)
    for c in range(count):
        one = type(theirs)._make([*(field[c] for field in theirs[:-1]), theirs.scratch])
        ENGINE.run(one, p[c : c + 1], f[c : c + 1], market, begin, bars)
        assert of_one(ours, c) == of_one(theirs, c), p[c]
    return ours


frictions = st.builds(
    lambda late, free: friction(*((0.0, 0.0) if free else (2.0, 2.0)), fill_next=late), st.booleans(), st.booleans()
)
combinations = st.lists(st.tuples(variants, gates, holds, frictions), min_size=1, max_size=6)


def records(drawn):
    return (
        np.concatenate([params(**(one | two | three)) for one, two, three, _ in drawn]),
        np.concatenate([f for *_, f in drawn]),
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), combinations, st.data())
def test_what_is_passed_by_events_has_the_bits_of_the_step(seed, drawn, data):
    market = calm_market(seed, scale=data.draw(st.sampled_from([0.0002, 0.001, 0.01])))
    cuts = data.draw(st.lists(st.integers(20, len(market.ts)), max_size=2))
    compare(market, *records(drawn), cuts, data.draw(st.integers(0, 20)))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), combinations, st.lists(st.integers(0, LONG), max_size=3))
def test_risk_that_turns_at_most_bars_changes_no_bit(seed, drawn, cuts):
    compare(long_market(seed), *records(drawn), cuts)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_five_hundred_combinations_over_one_market(seed):
    rng = np.random.default_rng(seed)
    market = calm_market(seed, bars=6 * BLOCK + 5, scale=rng.choice([0.0003, 0.002]))
    p = np.concatenate(
        [
            params(
                direction=str(rng.choice(["short_only", "long_only", "bidirectional"])),
                short_threshold=-rng.uniform(0.01, 0.14),
                short_extreme=-0.15,
                long_threshold=rng.uniform(0.01, 0.14),
                long_extreme=0.15,
                vol_gate_mode=str(rng.choice(["min", "max", "off"])),
                vol_p60=rng.uniform(0.0, 2e-4),
                rank_lookback=int(rng.integers(1, 60)),
                min_alignment=rng.uniform(-0.5, 0.5),
                soft_cap=rng.uniform(1.0, 60.0),
                abs_cap=rng.uniform(1.0, 60.0),
                tp_pct=rng.uniform(0.001, 0.05),
                stop_pct=float(rng.choice([0.0, rng.uniform(0.001, 0.05)])),
                max_hold_bars=int(rng.integers(1, 3_000)),
                maintenance_margin=float(rng.choice([0.0, 0.005, 0.3])),
                acb_day_reset=bool(rng.integers(2)),
            )
            for _ in range(500)
        ]
    )
    f = np.concatenate([friction(*rng.uniform(0.0, 5.0, 2), fill_next=bool(rng.integers(2))) for _ in range(500)])
    states = compare(market, p, f)
    assert (states.exits.sum(0)[1:] > 0).all()  # every way to leave was taken


def test_the_index_of_a_block():
    market = calm_market(4)
    market.price[BLOCK + 40, 2] = np.inf
    passage, bars = new_passage(2, 3), GROUP + 3 * STRETCH + 5
    indexed(passage, market, BLOCK, BLOCK + bars)
    for b, first in enumerate(range(BLOCK, BLOCK + bars, STRETCH)):
        rows = slice(first, min(first + STRETCH, BLOCK + bars))
        prices, features = market.price[rows], market.features[rows]
        if len(prices) == STRETCH:
            odd = ~np.isfinite(prices).all(axis=0)
            assert (passage.price_low[b] == np.where(odd, -np.inf, prices.min(axis=0))).all()
            assert (passage.price_high[b] == np.where(odd, np.inf, prices.max(axis=0))).all()
        assert (passage.feature_low[b] == np.fmin.reduce(features, initial=np.inf)).all()
        assert (passage.feature_high[b] == np.fmax.reduce(features, initial=-np.inf)).all()
    for g, first in enumerate(range(BLOCK, BLOCK + bars, GROUP)):
        features = market.features[first : min(first + GROUP, BLOCK + bars)]
        assert (passage.feature_low[GROUPS + g] == np.fmin.reduce(features, initial=np.inf)).all()
        assert (passage.feature_high[GROUPS + g] == np.fmax.reduce(features, initial=-np.inf)).all()
    whole = market.features[BLOCK : BLOCK + bars]
    assert (passage.feature_low[-1] == np.fmin.reduce(whole, initial=np.inf)).all()
    risk, day = market.risk[BLOCK - 1 : BLOCK + bars], market.ts[BLOCK - 1 : BLOCK + bars] // (86_400 * SECOND)
    turning = (risk[1:] != risk[:-1]) | (risk["posture"][1:] == HIBERNATE) | (day[1:] != day[:-1])
    turning[0] = True
    following = [next((k for k in range(i, bars) if turning[k]), bars) for i in range(bars)]
    assert (passage.turn[:bars] - BLOCK == following).all()


@inline
def forever(slot, capital, params):  # type: ignore[no-untyped-def]
    """A wrong promise: nothing but a turn ends a position."""
    return -np.inf, np.inf, 2**62


@pytest.mark.slow
def test_a_sweep_believes_the_events_and_a_single_run_does_not():
    market, p = random_market(5), params(direction="bidirectional", max_hold_bars=7)
    engine = engine_for(dataclasses.replace(VEL_DIV, events=Events(enters, forever)))
    assert engine.digest != ENGINE.digest
    single = engine.run(engine.new_state(5, CAPITAL), p, friction(), market, 0, 400)
    assert (single.digests == ENGINE.run(ENGINE.new_state(5, CAPITAL), p, friction(), market, 0, 400).digests).all()
    exits = single.state.account[0]["trades"]
    assert exits > 30

    def closed(f, market=market, **options):
        states = engine.new_states(5, np.full(20, CAPITAL))
        engine.run_many(states, np.repeat(p, 20), np.repeat(f, 20), market, 0, 400, **options)
        return set(states.account["trades"][:, 0].tolist())

    assert max(closed(friction())) < 5
    assert closed(friction(), events=False) == {exits}
    assert closed(friction(), threads=8) == {exits}  # too few a thread for an index of the block to pay
    # A run that is disturbed sees every bar, and so does one that pays funding.
    disturbed = np.zeros(1, friction_of(extra=DISTURBED))
    for name in friction().dtype.names:
        disturbed[name] = friction()[name]
    states = engine.new_states(5, np.full(20, CAPITAL))._replace(signals=np.zeros((20, 1), np.int64))
    engine.run_many(states, np.repeat(p, 20), np.repeat(disturbed, 20), market, 0, 400, events=True)
    assert set(states.account["trades"][:, 0].tolist()) == {exits}
    assert closed(friction(), market._replace(funding=np.zeros((400, 5))), events=True) == {exits}
