from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import SECOND, START, friction, market_of, params, random_market

from dolphin.core.digest import SEED
from dolphin.core.engine import engine_for
from dolphin.core.jit import inline
from dolphin.core.posture import new_hysteresis, postures
from dolphin.core.records import DAY_NS, State
from dolphin.risk.capital import Capital
from dolphin.strategies.vel_div import VEL_DIV

CAPITAL = 25_000.0
ENGINE = engine_for(VEL_DIV)


def batch(market, p, f, start=0, stop=None):
    state = ENGINE.new_state(market.price.shape[1], CAPITAL)
    return ENGINE.run(state, p, f, market, start, len(market.ts) if stop is None else stop)


variants = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(["short_only", "long_only", "bidirectional"]),
        "tp_pct": st.floats(0.002, 0.03),
        "stop_pct": st.sampled_from([0.0, 0.01]),
        "max_hold_bars": st.integers(1, 40),
        "convexity": st.integers(1, 3),
        "abs_cap": st.sampled_from([1.0, 6.0, 100.0]),
        "soft_cap": st.sampled_from([1.0, 6.0, 100.0]),
    }
)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=25)
@given(seeds, variants, st.booleans())
def test_every_way_of_running_gives_the_same_bits(seed, values, fill_next):
    market, p, f = random_market(seed), params(**values), friction(fill_next=fill_next)
    whole = batch(market, p, f)
    state = ENGINE.new_state(5, CAPITAL)
    per_bar = ENGINE.run_per_bar(state, p, f, market, 0, 400)
    assert (per_bar == whole.digests).all()
    assert state.account.tobytes() == whole.state.account.tobytes()
    resumed = ENGINE.new_state(5, CAPITAL)
    first = ENGINE.run(resumed, p, f, market, 0, 137)
    second = ENGINE.run(resumed, p, f, market, 137, 400)
    assert (np.concatenate([first.digests, second.digests]) == whole.digests).all()
    neighbours = np.concatenate([params(), p, params(direction="long_only"), p, params(tp_pct=0.5)])
    many = ENGINE.new_states(5, np.full(5, CAPITAL))
    ENGINE.run_many(many, neighbours, np.repeat(f, 5), market, 0, 400, threads=2, chunk=2)
    for k in (1, 3):
        account = many.account[k].copy()
        account["digest"] = whole.state.account["digest"]  # a sweep folds none
        assert account.tobytes() == whole.state.account.tobytes()
        assert many.slots[k].tobytes() == whole.state.slots.tobytes()


#: Bars of the market below: more than one block, and ten UTC days.
LONG = 2_400

gates = st.fixed_dictionaries(
    {
        "vol_gate_mode": st.sampled_from(["min", "max", "off"]),
        "vol_p60": st.sampled_from([0.0, 1e-4, 1.9e-4, 1.0]),
        "short_threshold": st.sampled_from([-0.12, -0.03]),
        "short_extreme": st.just(-0.15),
        "long_threshold": st.sampled_from([0.03, 0.12]),
        "long_extreme": st.just(0.15),
        "rank_lookback": st.sampled_from([3, 5, 40]),
        "min_alignment": st.sampled_from([0.0, 0.4]),
        "max_stale_bars": st.sampled_from([0, 5]),
    }
)


def long_market(seed):
    """Ten days and a bit, six minutes a bar, with holes in signal and prices' ages."""
    market, rng = random_market(seed, LONG, 4), np.random.default_rng(seed)
    features, age = market.features.copy(), market.age.copy()
    features[rng.random(LONG) < 0.1, 0] = np.nan
    features[rng.random(LONG) < 0.1, 1] = np.nan
    age[rng.random(age.shape) < 0.2] = 7
    risk = market.risk.copy()
    risk["posture"] = rng.choice(4, LONG, p=[0.7, 0.1, 0.1, 0.1])
    risk["boost"] = 1.0 + (rng.random(LONG) < 0.05)
    ts = START + 360 * SECOND * np.arange(1, LONG + 1, dtype=np.int64)
    return market._replace(features=features, age=age, risk=risk, ts=ts)


def of_one(states, c):
    """Combination ``c`` as bytes by field; a sweep folds no digest."""
    account = states.account[c].copy()
    account["digest"] = 0
    named = {name: getattr(states, name)[c].tobytes() for name in states._fields[1:-2]}
    return named | {"account": account.tobytes()}


@settings(max_examples=10, deadline=None)
@given(seeds, st.lists(st.tuples(variants, gates, st.booleans()), min_size=1, max_size=5), st.data())
def test_a_sweep_skips_shares_and_resumes_without_changing_a_bit(seed, combinations, data):
    market, count = long_market(seed), len(combinations)
    p = np.concatenate([params(**(one | two)) for one, two, _ in combinations])
    f = np.concatenate([friction(fill_next=late) for *_, late in combinations])
    begin = data.draw(st.integers(0, 300))
    cuts = sorted(data.draw(st.lists(st.integers(begin, LONG), max_size=3)))
    many = ENGINE.new_states(4, np.full(count, CAPITAL), days=11)
    for low, high in itertools.pairwise([begin, *cuts, LONG]):
        ENGINE.run_many(many, p, f, market, low, high, threads=2, chunk=3, events=False)
    singles = ENGINE.new_states(4, np.full(count, CAPITAL), days=11)
    for c in range(count):
        state = State._make([*(field[c] for field in singles[:-1]), singles.scratch])
        run = ENGINE.run(state, p[c : c + 1], f[c : c + 1], market, begin, LONG)
        assert of_one(many, c) == of_one(singles, c)
        # Exits by reason and day ends are those of trades and curve.
        reasons = np.bincount(run.trades["reason"], minlength=len(VEL_DIV.reasons))
        assert (many.exits[c] == reasons).all()
        day = (market.ts[begin:] - 1) // DAY_NS
        ends = run.equity[np.flatnonzero(np.diff(day))]
        assert (many.day_ends[c, : len(ends)] == ends).all() and not many.day_ends[c, len(ends) :].any()


@inline
def late(params, market, i):  # type: ignore[no-untyped-def]
    """A wrong promise: there are signals before bar 321."""
    return i >= 321


@pytest.mark.slow
def test_a_flat_account_is_not_asked_where_the_strategy_says_that_it_cannot_enter():
    market, engine = random_market(5), engine_for(dataclasses.replace(VEL_DIV, may_enter=late))
    assert batch(market, params(), friction()).trades["entry_bar"].min() < 100
    assert engine.digest != ENGINE.digest
    states = engine.new_states(5, np.array([CAPITAL]))
    engine.run_many(states, params(max_hold_bars=1_000, tp_pct=9.0), friction(), market, 0, 400)
    account, slot = states.account[0, 0], states.slots[0, 0]
    assert slot["side"] != 0 and slot["entry_bar"] >= 321
    assert (account["bars"], account["exposed_bars"]) == (400, 400 - slot["entry_bar"])
    # A single run is not told: it decides every bar. That is what a sweep's spot check compares with.
    single = engine.run(engine.new_state(5, CAPITAL), params(), friction(), market, 0, 400)
    assert (single.digests == batch(market, params(), friction()).digests).all()


@settings(max_examples=25)
@given(seeds, variants, st.booleans())
def test_accounting_identity(seed, values, fill_next):
    run = batch(random_market(seed), params(**values), friction(fill_next=fill_next))
    account = run.state.account[0]
    open_fees = sum(slot["entry_fee"] for slot in run.state.slots if slot["side"])
    assert account["capital"] == pytest.approx(CAPITAL + run.trades["pnl"].sum() - open_fees, abs=1e-6)
    wins = run.trades["pnl"][run.trades["pnl"] > 0].sum()
    assert account["gross_win"] == pytest.approx(wins, abs=1e-6)
    assert account["gross_win"] - account["gross_loss"] == pytest.approx(run.trades["pnl"].sum(), abs=1e-6)
    assert account["trades"] == len(run.trades)
    chained = np.concatenate([[CAPITAL], run.trades["capital_after"]])
    assert (run.trades["capital_before"] == chained[:-1]).all()


@settings(max_examples=25)
@given(seeds, variants, st.integers(1, 399), st.booleans())
def test_no_decision_changes_when_later_bars_change(seed, values, cut, fill_next):
    market, p, f = random_market(seed), params(**values), friction(fill_next=fill_next)
    whole = batch(market, p, f)
    truncated = market._replace(**{name: getattr(market, name)[:cut] for name in market._fields[:-1]})
    assert (batch(truncated, p, f).digests == whole.digests[:cut]).all()
    other = random_market(seed + 1)
    altered = market._replace(
        price=np.concatenate([market.price[:cut], other.price[cut:]]),
        log_price=np.concatenate([market.log_price[:cut], other.log_price[cut:]]),
        features=np.concatenate([market.features[:cut], other.features[cut:]]),
    )
    assert (batch(altered, p, f).digests[:cut] == whole.digests[:cut]).all()


@settings(max_examples=25)
@given(seeds, st.booleans())
def test_every_fill_is_against_us(seed, fill_next):
    market = random_market(seed)
    run = batch(market, params(direction="bidirectional"), friction(fill_next=fill_next))
    for trade in run.trades:
        entry, exit_ = (market.price[trade[bar], trade["asset"]] for bar in ("entry_bar", "exit_bar"))
        assert trade["side"] * (trade["entry_price"] - entry) > 0
        assert trade["side"] * (trade["exit_price"] - exit_) < 0
        for name in ("entry_price", "exit_price"):
            assert trade[name] == round(trade[name], 2)


def test_fills_at_the_next_bar_wait_one_bar_and_decide_nothing_meanwhile():
    price = np.full((40, 1), 100.0)
    price[:, 0] += np.arange(40) * -0.1
    signal = np.zeros(40)
    signal[10:] = -0.06
    market, p = market_of(price, signal), params(max_hold_bars=5)
    now, later = (batch(market, p, friction(0, 0, fill_next=flag)) for flag in (False, True))
    assert now.trades["entry_bar"].tolist()[:3] == [10, 16, 22]
    assert now.trades["exit_bar"].tolist()[:3] == [15, 21, 27]
    # Decided at 10, filled at 11; held five bars; decided at 16, filled at 17; next decision at 18.
    assert later.trades["entry_bar"].tolist()[:2] == [11, 19]
    assert later.trades["exit_bar"].tolist()[:2] == [17, 25]
    assert later.trades["entry_price"].tolist()[:2] == [price[11, 0], price[19, 0]]


def test_trades_beyond_the_first_buffer_are_kept():
    price = np.full((9_000, 1), 100.0)
    price[::2] = 99.0
    run = batch(market_of(price, np.full(9_000, -0.1)), params(max_hold_bars=1, min_alignment=-1.0), friction())
    assert len(run.trades) == run.state.account[0]["trades"] > 1024
    assert (np.diff(run.trades["exit_bar"]) > 0).all()


def test_the_digest_moves_with_any_single_input():
    market, p, f = random_market(3), params(), friction()
    base = batch(market, p, f).digests
    held = np.flatnonzero(batch(market, p, f).position)[3]
    for name, index in (("features", (200, 0)), ("features", (200, 1)), ("ts", 200)):
        values = getattr(market, name).copy()
        values[index] = np.nextafter(values[index], 9) if values.dtype.kind == "f" else values[index] + 1
        digests = batch(market._replace(**{name: values}), p, f).digests
        assert (digests[:200] == base[:200]).all() and (digests[200:] != base[200:]).all()
    for name in ("boost", "beta", "rm", "posture"):
        risk = market.risk.copy()
        risk[name][held] += 1
        digests = batch(market._replace(risk=risk), p, f).digests
        assert (digests[:held] == base[:held]).all() and (digests[held:] != base[held:]).all()


def test_every_nan_counts_as_the_same_one():
    market = random_market(3)
    bits = market.features.view(np.uint64).copy()
    one, other = bits.copy(), bits.copy()
    one[20, 0], other[20, 0] = 0x7FF8000000000000, 0xFFF8000000000001
    runs = [batch(market._replace(features=b.view(np.float64)), params(), friction()) for b in (one, other)]
    assert (runs[0].digests == runs[1].digests).all()


def test_a_new_account_is_flat():
    state = ENGINE.new_state(3, 100.0)
    assert isinstance(state, State)
    assert state.account[0]["capital"] == state.account[0]["peak_equity"] == 100.0
    assert state.account[0]["digest"] == SEED
    assert not state.slots["side"].any()


def test_a_state_begins_with_a_cache_line():
    for field in engine_for(VEL_DIV.weighing).new_state(7, 100.0, days=3):
        assert field.size == 0 or field.ctypes.data % 64 == 0
        assert field.flags.c_contiguous and field.flags.writeable


WEIGHING = engine_for(VEL_DIV.weighing)


@settings(max_examples=8, deadline=None)
@given(seeds, st.sampled_from([1.0, 6.0, 100.0]), st.integers(1, LONG - 1))
def test_what_the_loop_keeps_of_the_account_is_what_each_bar_would_find(seed, cap, cut):
    market, rng = long_market(seed), np.random.default_rng(seed)
    risk = market.risk.copy()
    risk["others"] = np.repeat(rng.choice([1.0, 0.9, 0.5, 0.05, 0.0], LONG // 8, p=[0.7, 0.1, 0.1, 0.05, 0.05]), 8)
    risk["rm1"] = rng.random(LONG) >= 0.01
    risk["imposed"] = np.where(rng.random(LONG) < 0.02, rng.integers(1, 5, LONG), 0)
    market = market._replace(risk=risk)
    p, f = params(direction="bidirectional", soft_cap=cap, abs_cap=cap, max_hold_bars=40), friction()
    whole = WEIGHING.run(WEIGHING.new_state(4, CAPITAL), p, f, market, 0, LONG)
    state = WEIGHING.new_state(4, CAPITAL)
    assert (WEIGHING.run_per_bar(state, p, f, market, 0, LONG) == whole.digests).all()
    assert state.stress.tobytes() == whole.state.stress.tobytes()
    resumed = WEIGHING.new_state(4, CAPITAL)
    parts = [WEIGHING.run(resumed, p, f, market, *span).digests for span in ((0, cut), (cut, LONG))]
    assert (np.concatenate(parts) == whole.digests).all()
    # Rm5 by the drawdown from the highs of UTC days, and one check a bar, whatever was kept.
    before = np.concatenate([[CAPITAL], whole.equity[:-1]])
    in_force, stress = Capital().weigh(risk, market.ts, before)
    assert whole.state.stress["rm5"][0] == stress[-1]
    assert (postures(new_hysteresis(), risk["rm1"], risk["others"] * stress)[-1]) == whole.state.stress["posture"][0]
    assert in_force[-1].tobytes() == whole.state.in_force[0].tobytes()


GENERIC = """
import sys
sys.path[:0] = [{here!r}, {tests!r}]
from test_engine import batch, params, friction
from markets import random_market
runs = [batch(random_market(s), params(direction="bidirectional"), friction()) for s in range(3)]
print([hex(int(r.digests[-1])) for r in runs])
"""


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["generic", "host"])
def test_the_cpu_changes_no_bit(cpu, tmp_path):
    here = Path(__file__).parent
    code = GENERIC.format(here=str(here), tests=str(here.parent))
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONHASHSEED": "7"}
    if cpu == "generic":
        env["NUMBA_CPU_NAME"] = "generic"
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    here_ = [batch(random_market(s), params(direction="bidirectional"), friction()) for s in range(3)]
    assert said.strip() == str([hex(int(r.digests[-1])) for r in here_])
