"""The circuit breaker: vectors of RISK section 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.core.records import DAY_NS
from dolphin.errors import DolphinError
from dolphin.risk.acb import (
    DURESS,
    NO_TURN,
    ORDERLY,
    acb_p60,
    beta_line,
    beta_switch,
    boost_of,
    breaker_of,
    leverage_multiplier,
    signals_of,
    turn_of,
)
from dolphin.risk.factors import limit_ns
from dolphin.risk.rules import FACTORS, RiskRules, parse_rules

#: No stress anywhere, in the order of FACTORS.
CALM = np.array([0.0002, 0.0002, 40.0, 50.0, 60.0, 15.0, 1.2, 1.0, 90_000.0])
FRESH = np.zeros(9, np.int64)


def signals(values: np.ndarray, ages: np.ndarray = FRESH, rules: RiskRules | None = None) -> float:
    return float(signals_of(breaker_of(rules or RiskRules()), values[None], ages[None], 0))


def changed(**values: float) -> np.ndarray:
    out = CALM.copy()
    for name, value in values.items():
        out[FACTORS.index(name)] = value
    return out


def test_vectors() -> None:
    assert boost_of(1.5) == pytest.approx(1.458145, abs=5e-7)
    assert boost_of(0.0) == 1.0
    assert boost_of(-3.0) == 1.0
    assert beta_line(1.4581) == pytest.approx(0.80, abs=5e-5)
    assert leverage_multiplier(1.4581, 0.80) == pytest.approx(1.3665, abs=5e-5)
    assert beta_line(3.0) == 1.0


def test_points_are_graded() -> None:
    assert signals(CALM) == 0.0
    assert signals(changed(fng=40.0)) == 0.5
    assert signals(changed(fng=25.0)) == 1.0
    assert signals(changed(fng=10.0, vix=30.0)) == 1.5
    assert signals(changed(funding_btc=-0.0001)) == 1.0


@pytest.mark.parametrize("name", FACTORS)
def test_all_nine_must_be_there_and_fresh(name: str) -> None:
    k = FACTORS.index(name)
    assert signals(changed(**{"vix": 40.0, name: np.nan})) == -1.0
    ages = FRESH.copy()
    ages[k] = limit_ns(name)
    assert signals(CALM, ages) == 0.0
    ages[k] += 1
    assert signals(CALM, ages) == -1.0
    ages[k] = -1
    assert signals(CALM, ages) == -1.0


def test_a_reduced_breaker_reads_its_own_factors_alone() -> None:
    rules = parse_rules({"required": ["vix", "fng"]}, "test")
    assert rules.required == ("fng", "vix") and rules.reduced
    values = changed(vix=40.0, funding_btc=-1.0)
    values[FACTORS.index("oi_btc")] = np.nan
    assert signals(values, rules=rules) == 1.0


def test_adverse_turn_is_strict() -> None:
    assert turn_of(1.5, 1.25, 0.9) == ORDERLY
    assert turn_of(1.5, 1.25, 0.5) == DURESS
    assert turn_of(1.5, 1.25, np.nan) == DURESS
    assert turn_of(0.2, 0.0, 0.9) == NO_TURN
    assert turn_of(1.0, 1.5, 0.9) == NO_TURN


def test_switch() -> None:
    assert beta_switch(0.1, 0.05, 0.2, 0.8) == 0.8
    assert beta_switch(0.05, 0.05, 0.2, 0.8) == 0.2
    assert beta_switch(np.nan, 0.05, 0.2, 0.8) == 0.2
    assert beta_switch(0.1, np.nan, 0.2, 0.8) == 0.2


def test_acb_p60_is_of_the_day_before() -> None:
    ts = np.repeat(np.arange(3), 5) * DAY_NS + np.tile(np.arange(5), 3)
    velocity = np.array([3.0, 1.0, np.nan, 2.0, 5.0, *[np.nan] * 5, *[7.0] * 5])
    found = acb_p60(ts, velocity)
    assert np.isnan(found[:5]).all()
    assert found[5:10].tolist() == [3.0] * 5
    assert np.isnan(found[10:]).all()


@given(st.floats(0.0, 9.0), st.floats(0.0, 9.0))
def test_boost_and_beta_grow_with_stress(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    assert 1.0 <= boost_of(low) <= boost_of(high)
    assert 0.5 <= beta_line(boost_of(low)) <= beta_line(boost_of(high)) <= 1.0


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"requird": ["vix"]}, "unknown key 'requird'"),
        ({"required": ["vixx"]}, "no factor"),
        ({"required": []}, "name a factor"),
        ({"stress": {"vix": {"side": "above", "levels": [30.0, 20.0]}}}, "outwards"),
        ({"stress": {"vix": {"side": "above", "levels": [1.0, 2.0, 3.0, 4.0, 5.0]}}}, "at most 4"),
        ({"stress": {"vix": {"side": "up", "levels": [1.0]}}}, "above"),
        ({"beta_high": 2.0}, "beta_high"),
    ],
)
def test_bad_rules_are_one_line(table: dict, said: str) -> None:
    with pytest.raises(DolphinError, match=said):
        parse_rules(table, "risk.toml")


def test_named_stress_takes_the_place_of_the_default() -> None:
    rules = parse_rules({"stress": {"vix": {"side": "above", "levels": [10.0, 10.0, 10.0, 11.0]}}}, "test")
    assert signals(CALM, rules=rules) == 2.0
    assert signals(changed(fng=10.0), rules=rules) == 3.0
    assert rules.hash != RiskRules().hash
