"""ENGINE section 3, rule by rule, on markets made for one rule each."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markets import friction, market_of, params
from pydantic import ValidationError

from dolphin.core.engine import engine_for
from dolphin.core.records import APEX, HIBERNATE, RISK, STALKER, TURTLE, neutral_risk
from dolphin.strategies.vel_div import VEL_DIV, VelDivParams, leverage_for

ENGINE = engine_for(VEL_DIV)
ENTRY = 10  # the bar whose signal opens the trade
NO_FRICTION = friction(0.0, 0.0)


def trade(price_after, *, risk=None, vol=None, signal=-0.06, f=NO_FRICTION, capital=25_000.0, **values):
    """Fall gently, signal at ENTRY, then the given prices; the run."""
    before = 100.0 - 0.1 * np.arange(ENTRY + 1)
    if signal > 0:
        before = 100.0 + 0.1 * np.arange(ENTRY + 1)
    price = np.concatenate([before, price_after])[:, None]
    signals = np.zeros(len(price))
    signals[ENTRY] = signal
    market = market_of(price, signals, risk=risk, vol=vol)
    state = ENGINE.new_state(1, capital)
    return ENGINE.run(state, params(**values), f, market, 0, len(price))


def exits(run):
    return [(int(t["exit_bar"]), VEL_DIV.reasons[t["reason"]]) for t in run.trades]


def flat(bars, level=99.0):
    return np.full(bars, level)


class TestExits:
    def test_max_hold_counts_from_the_entry_bar(self):
        assert exits(trade(flat(30), max_hold_bars=7)) == [(ENTRY + 7, "MAX_HOLD")]

    def test_take_profit_at_the_scan_price(self):
        after = np.concatenate([flat(3), [98.06, 98.05, 98.0]])  # 0.949 %, then 0.9596 %
        assert exits(trade(after)) == [(ENTRY + 5, "FIXED_TP")]

    def test_take_profit_goes_before_max_hold(self):
        after = np.concatenate([flat(4), [90.0]])
        assert exits(trade(after, max_hold_bars=5)) == [(ENTRY + 5, "FIXED_TP")]

    def test_stop_loss_is_off_by_default_and_inclusive(self):
        after = np.concatenate([flat(2), [99.99], flat(3)])
        assert exits(trade(after)) == []
        assert exits(trade(after, stop_pct=0.01)) == [(ENTRY + 3, "STOP_LOSS")]

    def test_liquidation_closes_at_the_scan_price_and_may_ruin(self):
        after = np.concatenate([flat(2), [130.0], flat(3)])
        run = trade(after)
        assert exits(run) == [(ENTRY + 3, "LIQUIDATION")]
        assert run.state.account[0]["capital"] < 0
        assert run.state.account[0]["ruined"] == 1

    def test_liquidation_can_be_switched_off(self):
        after = np.concatenate([flat(2), [130.0], flat(3)])
        assert exits(trade(after, maintenance_margin=0.0)) == []

    def test_hibernate_closes_before_everything_but_liquidation(self):
        risk = neutral_risk(ENTRY + 11)
        risk["posture"][ENTRY + 2 :] = HIBERNATE
        assert exits(trade(flat(10, 90.0), risk=risk)) == [(ENTRY + 1, "FIXED_TP")]
        assert exits(trade(flat(10), risk=risk)) == [(ENTRY + 2, "HIBERNATE_HALT")]

    @pytest.mark.parametrize(("drop", "closed"), [(0.25, True), (0.5, True), (0.125, False)])
    def test_adverse_turn(self, drop, closed):
        risk = neutral_risk(ENTRY + 11)
        risk["boost"][: ENTRY + 4] = 2.0
        risk["boost"][ENTRY + 4 :] = 2.0 - drop
        expected = [(ENTRY + 4, "SUBDAY_ACB_NORMALIZATION")] if closed else []
        assert exits(trade(flat(10), risk=risk)) == expected

    def test_adverse_turn_is_strict(self):
        risk = neutral_risk(ENTRY + 11)
        risk["boost"][: ENTRY + 4] = 2.0
        risk["boost"][ENTRY + 4 :] = 1.75
        assert exits(trade(flat(10), risk=risk, adverse_turn_drop=0.25)) == []

    def test_day_reset_is_off_by_default(self):
        after = flat(1450)  # one-minute bars: the day changes at bar 1439
        assert exits(trade(after, max_hold_bars=5000)) == []
        run = trade(after, max_hold_bars=5000, acb_day_reset=True)
        assert exits(run) == [(1439, "SUBDAY_ACB_NORMALIZATION")]


class TestEntries:
    @pytest.mark.parametrize(("posture", "enters"), [(APEX, 1), (STALKER, 1), (TURTLE, 0), (HIBERNATE, 0)])
    def test_posture(self, posture, enters):
        risk = neutral_risk(ENTRY + 6)
        risk["posture"][ENTRY] = posture
        assert trade(flat(5), risk=risk, max_hold_bars=2).state.account[0]["trades"] == enters

    @pytest.mark.parametrize(
        ("signal", "direction", "side"),
        [
            (-0.06, "short_only", -1),
            (-0.06, "long_only", 0),
            (-0.06, "bidirectional", -1),
            (0.06, "short_only", 0),
            (0.06, "long_only", 1),
            (0.06, "bidirectional", 1),
            (-0.02, "short_only", 0),  # strictly below the threshold
            (0.02, "long_only", 0),
            (np.nan, "bidirectional", 0),
        ],
    )
    def test_side(self, signal, direction, side):
        run = trade(flat(5), signal=signal, direction=direction)
        assert run.position[ENTRY] == side

    @pytest.mark.parametrize(
        ("mode", "vol", "enters"),
        [
            ("min", 1e-4, True),
            ("min", 9.9e-5, True),
            ("min", 9.8e-5, False),
            ("max", 9.9e-5, True),
            ("max", 1e-4, False),
            ("off", 0.0, True),
            ("off", np.nan, False),
        ],
    )
    def test_volatility_gate(self, mode, vol, enters):
        run = trade(flat(5), vol=np.full(ENTRY + 6, vol), vol_gate_mode=mode)
        assert bool(run.position[ENTRY]) is enters

    def test_a_bar_that_exits_does_not_enter(self):
        price = (100.0 - 0.1 * np.arange(40))[:, None]
        market = market_of(price, np.full(40, -0.06))
        state = ENGINE.new_state(1, 25_000.0)
        run = ENGINE.run(state, params(max_hold_bars=4, tp_pct=1.0), NO_FRICTION, market, 0, 40)
        assert run.trades["entry_bar"].tolist()[:3] == [5, 10, 15]
        assert run.trades["exit_bar"].tolist()[:3] == [9, 14, 19]

    def test_quantity_is_floored_to_the_lot_and_dust_is_skipped(self):
        run = trade(flat(5), soft_cap=1.0, abs_cap=1.0, max_hold_bars=2)
        assert run.trades["qty"].tolist() == [np.floor(25_000 / 99.0 * 1000) / 1000]
        assert not trade(flat(5), capital=4.99, soft_cap=1.0, abs_cap=1.0).position.any()

    def test_a_ruined_account_enters_no_more(self):
        after = np.concatenate([[130.0], np.linspace(99, 95, 30)])
        price = np.concatenate([100.0 - 0.1 * np.arange(ENTRY + 1), after])[:, None]
        signal = np.full(len(price), -0.06)
        signal[:ENTRY] = 0.0
        state = ENGINE.new_state(1, 25_000.0)
        run = ENGINE.run(state, params(), NO_FRICTION, market_of(price, signal), 0, len(price))
        assert exits(run) == [(ENTRY + 1, "LIQUIDATION")]
        assert not run.position[ENTRY + 1 :].any()


@numba.njit
def leverage(vel_div, side, record, risk):
    return leverage_for(vel_div, side, record[0], risk[0])


def risk_of(boost=1.0, beta=0.0, rm=1.0, posture=APEX):
    risk = np.zeros(1, RISK)
    risk[0] = (boost, beta, rm, posture, 1.0, 1.0, 1.0, 0)
    return risk


class TestLeverage:
    @pytest.mark.parametrize(
        ("vel_div", "power", "expected"),
        [
            (-0.02, 1, 1.0),
            (-0.035, 1, 3.5),
            (-0.05, 1, 6.0),
            (-0.9, 1, 6.0),
            (-0.035, 2, 2.25),
            (-0.035, 3, 1.625),
        ],
    )
    def test_strength(self, vel_div, power, expected):
        assert leverage(vel_div, -1, params(convexity=power), risk_of()) == pytest.approx(expected, rel=1e-12)

    def test_the_circuit_breaker_multiplies_and_the_cap_holds(self):
        boosted = leverage(-0.035, -1, params(), risk_of(1.4581, 0.80))
        assert boosted == pytest.approx(3.5 * 1.3665, rel=1e-4)
        assert leverage(-0.05, -1, params(), risk_of(1.4581, 0.80)) == 6.0

    def test_rm_scales_the_cap_but_never_below_one(self):
        assert leverage(-0.05, -1, params(), risk_of(rm=0.5)) == 3.0
        assert leverage(-0.05, -1, params(), risk_of(rm=0.0)) == 1.0

    def test_stalker_caps_at_two(self):
        assert leverage(-0.05, -1, params(), risk_of(posture=STALKER)) == 2.0

    @given(st.floats(-1, -0.02), st.floats(1, 3), st.floats(0, 1), st.floats(0, 1))
    def test_bounds(self, vel_div, boost, beta, rm):
        got = leverage(vel_div, -1, params(), risk_of(boost, beta, rm))
        assert 1.0 <= got <= max(1.0, 6.0 * rm)


@pytest.mark.parametrize(
    "values",
    [
        {"direction": "bidirectional", "long_threshold": 0.0},
        {"direction": "long_only", "long_threshold": -0.1},
        {"short_extreme": -0.01},
        {"direction": "long_only", "long_extreme": 0.01},
        {"soft_cap": 1.0, "base_leverage": 2.0},
    ],
)
def test_contradictions_are_refused(values):
    with pytest.raises(ValidationError):
        VelDivParams(**values)
