"""vectorbt's simulation is compiled anew for every strategy and process, some ten seconds each: all of this is slow."""

from __future__ import annotations

import numpy as np
import pytest
from ladder_cases import case_of
from strategies_for_tests import TWO_SLOTS

from dolphin.parity.rungs_vectorbt import run_vectorbt, unequal_orders, vectorbt_rung
from dolphin.strategies.vel_div import VEL_DIV


@pytest.mark.slow
def test_vectorbt_gives_the_same_bits_and_finds_the_bar_that_differs():
    # One test for both timings and the counter-example, because they share the compiled simulation.
    for timing in ("close", "next"):
        case = case_of(VEL_DIV, timing)
        passed, detail, facts = vectorbt_rung(case)
        assert passed, detail
        assert facts["orders"] == len(case.trace.fills) > 30
        assert facts["largest_value_difference"] < 1e-12
        assert facts["largest_pnl_difference"] < 1e-12
    row = int(case.trace.fills["bar"][0])
    features = case.market.features.copy()
    features[row, 0] += 1e-9
    passed, detail, facts = vectorbt_rung(case, case.market._replace(features=features))
    assert not passed
    assert (facts["first_bar"], facts["first_stage"]) == (row, "features")
    assert str(row) in detail
    levered = case_of(VEL_DIV, "close", abs_cap=50.0, soft_cap=50.0, maintenance_margin=0.0)
    passed, detail, facts = vectorbt_rung(levered)
    assert passed, detail
    # More orders than there is room for: vectorbt stops, and the bar is named all the same.
    idle = case_of(VEL_DIV, short_threshold=-9.0, short_extreme=-9.5, direction="short_only", max_hold_bars=1)
    features = np.full_like(idle.market.features, -9.4)
    passed, detail, facts = vectorbt_rung(idle, idle.market._replace(features=features))
    assert not passed and "vectorbt stopped" in detail
    assert facts["first_bar"] == idle.start
    orders = run_vectorbt(case, case.market).orders.copy()
    assert unequal_orders(case, orders) is None
    orders["fees"][2] = np.nextafter(orders["fees"][2], 1.0)
    assert "fee of order 2" in unequal_orders(case, orders)
    assert "ours are" in unequal_orders(case, orders[1:])


@pytest.mark.slow
@pytest.mark.parametrize("timing", ["close", "next"])
def test_two_slots_in_vectorbt(timing):
    case = case_of(TWO_SLOTS, timing)
    passed, detail, facts = vectorbt_rung(case)
    assert passed, detail
    assert facts["orders"] == len(case.trace.fills) > 30
    # The slots hold one asset against each other, which vectorbt nets: orders and value are compared.
    assert facts["largest_pnl_difference"] is None and "nets" in facts["pnl_note"]
