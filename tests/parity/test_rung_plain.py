"""Rung R sees what the rungs that share the kernels cannot."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ladder_cases import CASES, RICH, case_of, rich_case

from dolphin.parity.rung_plain import plain_rung, stretches
from dolphin.strategies.vel_div import VEL_DIV


@pytest.mark.parametrize(("strategy", "timing"), CASES)
def test_plain_python_decides_the_same(strategy, timing):
    case = case_of(strategy, timing)
    passed, detail, facts = plain_rung(case)
    assert passed, detail
    assert facts["fills"] == len(case.trace.fills) > 30


@pytest.mark.parametrize("model", ["scan_price", "volume_share"])
@pytest.mark.parametrize("strategy", RICH, ids=lambda s: s.name)
def test_every_kind_of_order_by_hand(strategy, model):
    case = rich_case(strategy, "close", model, funded=True)
    passed, detail, facts = plain_rung(case)
    assert passed, detail
    assert facts["fills"] == len(case.trace.fills) > 100


def test_two_stretches_of_a_long_run_one_of_them_where_the_orders_are():
    case = case_of(VEL_DIV)
    busiest, drawn = stretches(case, 50)
    assert busiest.bars == drawn.bars == 50
    assert (busiest.start, busiest.stop) == (case.excerpt(50).start, case.excerpt(50).stop)
    assert case.start <= drawn.start <= case.stop - 50
    assert stretches(case, case.bars) == [case]
    assert [part.start for part in stretches(case_of(VEL_DIV), 50)] == [busiest.start, drawn.start]


@pytest.mark.parametrize("column", ["price", "features"])
def test_another_market_is_found(column):
    case = case_of(VEL_DIV)
    row = int(case.trace.fills["bar"][0])
    values = getattr(case.market, column).copy()
    values[row] *= 1.5
    passed, detail, _ = plain_rung(case, case.market._replace(**{column: values}))
    assert not passed and f"bar {row}" in detail


def test_a_book_that_charges_otherwise_is_found():
    case = case_of(VEL_DIV)
    friction = case.friction.copy()
    friction["fee"] = np.nextafter(friction["fee"], 1.0)
    other = dataclasses.replace(case)
    object.__setattr__(other, "friction", friction)
    passed, detail, _ = plain_rung(other)
    assert not passed and "stage fill" in detail
