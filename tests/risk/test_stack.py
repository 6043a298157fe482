"""A bar's risk row, in batch and one at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dolphin.core.records import DAY_NS, HIBERNATE, STALKER, neutral_risk
from dolphin.risk.rules import FACTORS, RiskRules, parse_rules
from dolphin.risk.stack import Inputs, neutral_inputs, new_carry, risk_rows, step_columns

MINUTE = 60 * 10**9
TS = DAY_NS + MINUTE * np.arange(1, 2001)


def random_inputs(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    bars = len(TS)
    centre = np.array([0.0, 0.0, 60.0, 80.0, 35.0, 25.0, 2.0, 0.9, 9e4])
    values = centre + rng.standard_normal((bars, 9)) * np.array([1e-4, 1e-4, 20, 20, 20, 10, 1, 0.1, 1e3])
    values[rng.random((bars, 9)) < 0.002] = np.nan
    return neutral_inputs(TS)._replace(
        values=values,
        ages=np.zeros((bars, 9), np.int64),
        velocity=rng.standard_normal(bars),
        p60=np.zeros(bars),
        invariants=(rng.random(bars) > 0.01).astype(float),
        status=rng.integers(-1, 3, bars),
        hours=rng.uniform(0.0, 12.0, bars),
        depth=rng.random(bars),
        fill=rng.random(bars),
        book_age=rng.integers(-1, 40 * 10**9, bars),
        spike=rng.uniform(0.0, 100.0, bars),
    )


def test_without_sources_all_is_neutral() -> None:
    rows = risk_rows(neutral_inputs(TS), RiskRules(), factors=False, books=False)
    assert (step_columns(rows) == neutral_risk(len(TS))).all()
    assert not rows["ready"].any() and (rows["rm"] == 1.0).all()


def test_a_source_that_is_silent_is_not_ready_and_its_book_stale() -> None:
    rows = risk_rows(neutral_inputs(TS), RiskRules())
    assert (rows["boost"] == 1.0).all() and (rows["beta"] == 0.5).all()
    assert (rows["rm3"] == 0.5).all() and rows["posture"][-1] == STALKER


@pytest.mark.parametrize("table", [{}, {"beta_mode": "w750_switch"}, {"update": "day"}, {"required": ["vix", "fng"]}])
def test_one_at_a_time_is_the_batch_bit_for_bit(table: dict) -> None:
    inputs, rules = random_inputs(3), parse_rules(table, "test")
    batch = risk_rows(inputs, rules)
    state = new_carry()
    cuts = [0, 1, 2, 700, 701, 1441, 2000]
    parts = [risk_rows(Inputs(*(field[a:b] for field in inputs)), rules, state=state) for a, b in pairwise(cuts)]
    assert np.concatenate(parts).tobytes() == batch.tobytes()
    assert ((batch["rm"] >= 0.0) & (batch["rm"] <= 1.0)).all() and (batch["boost"] >= 1.0).all()
    assert (batch["posture"][batch["rm1"] == 0.0] == HIBERNATE).all()
    if "beta_mode" in table:
        assert set(batch["beta"].tolist()) == {0.2, 0.8}


def test_no_row_knows_a_later_one() -> None:
    inputs = random_inputs(4)
    whole = risk_rows(inputs, RiskRules())
    cut = risk_rows(Inputs(*(field[:1234] for field in inputs)), RiskRules())
    assert cut.tobytes() == whole[:1234].tobytes()


def test_daily_holds_what_the_first_bar_of_the_day_said() -> None:
    inputs = random_inputs(5)
    rows = risk_rows(inputs, parse_rules({"update": "day"}, "test"))
    for day in np.unique(TS // DAY_NS):
        assert len(set(rows["boost"][day == TS // DAY_NS].tolist())) == 1


def test_turn_and_esof() -> None:
    inputs = neutral_inputs(TS[:4])
    values = np.tile([0.0002, 0.0002, 40.0, 50.0, 60.0, 15.0, 1.2, 1.0, 9e4], (4, 1))
    values[1, FACTORS.index("vix")] = 40.0
    inputs = inputs._replace(values=values, ages=np.zeros((4, 9), np.int64), depth=np.array([1.0, 1.0, 0.9, 1.0]))
    rows = risk_rows(inputs, RiskRules())
    assert rows["turn"].tolist() == [0, 0, 1, 0] and rows["signals"].tolist() == [0.0, 1.0, 0.0, 0.0]
    doubled = risk_rows(inputs._replace(esof=np.full(4, 2.0)), RiskRules())
    assert doubled["signals"].tolist() == [0.0, 2.0, 0.0, 0.0]
