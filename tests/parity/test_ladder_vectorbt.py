"""Rung 1: vectorbt's own books of our orders, and that they find every sum that is another."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ladder_cases import CASES, RICH, case_of, rich_case
from strategies_for_tests import TWO_SLOTS
from thorough import thorough

from dolphin.parity.rungs_vectorbt import compare, run_vectorbt, unequal_orders, vectorbt_rung
from dolphin.strategies.breakout import BREAKOUT
from dolphin.strategies.cross_momentum import CROSS_MOMENTUM
from dolphin.strategies.vel_div import VEL_DIV


@pytest.mark.parametrize(("strategy", "timing"), CASES)
def test_orders_that_open_and_close(strategy, timing):
    case = case_of(strategy, timing)
    passed, detail, facts = vectorbt_rung(case)
    assert passed, detail
    assert facts["orders"] == len(case.trace.fills) > 30
    assert facts["largest_value_difference"] < 1e-12
    if strategy is TWO_SLOTS:
        # The slots hold one asset against each other, which vectorbt nets: orders and value are compared.
        assert facts["largest_pnl_difference"] is None and "nets" in facts["pnl_note"]
    else:
        assert facts["largest_pnl_difference"] < 1e-12


@pytest.mark.parametrize("timing", ["close", "next"])
@pytest.mark.parametrize("strategy", thorough(RICH), ids=lambda s: s.name)
def test_every_kind_of_order_with_maker_fees_and_funding(strategy, timing):
    for model in ("scan_price", "volume_share"):
        case = rich_case(strategy, timing, model, funded=True)
        passed, detail, facts = vectorbt_rung(case)
        assert passed, detail
        assert facts["orders"] == len(case.trace.fills) > 100
        assert facts["largest_value_difference"] < 1e-12
        assert case.batch.state.account["funding"][0] != 0.0


def test_leverage_is_lent():
    levered = case_of(VEL_DIV, "close", abs_cap=50.0, soft_cap=50.0, maintenance_margin=0.0)
    passed, detail, _ = vectorbt_rung(levered)
    assert passed, detail


def test_a_market_that_decides_otherwise_is_found_at_its_bar():
    case = case_of(VEL_DIV)
    row = int(case.trace.fills["bar"][0])
    features = case.market.features.copy()
    features[row, 0] += 1e-9
    passed, detail, facts = vectorbt_rung(case, case.market._replace(features=features))
    assert not passed
    assert (facts["first_bar"], facts["first_stage"]) == (row, "features")
    assert str(row) in detail


def test_an_order_that_is_another_is_named():
    case = case_of(VEL_DIV)
    orders = run_vectorbt(case, case.trace).orders.copy()
    assert unequal_orders(case, orders) is None
    orders["fees"][2] = np.nextafter(orders["fees"][2], 1.0)
    assert "fee of order 2" in unequal_orders(case, orders)
    assert "ours are" in unequal_orders(case, orders[1:])


def altered(case, **fields):
    """The case as if our books had said something else."""
    account = case.batch.state.account.copy()
    for name, change in fields.items():
        account[name] += change
    other = dataclasses.replace(case)
    batch = dataclasses.replace(case.batch, state=case.batch.state._replace(account=account))
    object.__setattr__(other, "batch", batch)
    object.__setattr__(other, "trace", case.trace)
    return other


def test_money_that_differs_is_named():
    case = rich_case(CROSS_MOMENTUM, funded=True)
    run = run_vectorbt(case, case.trace)
    assert compare(case, run, {})[0]
    for name, word in (("fees_paid", "fees"), ("funding", "funding")):
        passed, detail, _ = compare(altered(case, **{name: 0.01}), run, {})
        assert not passed and word in detail
    passed, detail, _ = compare(case, run._replace(held=run.held + 1.0), {})
    assert not passed and "holds" in detail
    value = run.value.copy()
    value[50] += 0.01
    passed, detail, _ = compare(case, run._replace(value=value), {})
    assert not passed and f"bar {case.start + 50}" in detail


@pytest.mark.parametrize("name", ["qty", "price", "direction", "asset", "passive"])
def test_a_fill_of_ours_that_is_another_moves_vectorbts_books(name):
    case = rich_case(BREAKOUT, funded=True)
    fills = case.trace.fills.copy()
    k = int(np.flatnonzero(fills["passive"])[0]) if name == "passive" else 5
    was = fills[name][k]
    others = {"qty": was * 2, "price": was * 1.001, "direction": -was, "asset": (was + 1) % 4, "passive": 0}
    fills[name][k] = others[name]
    run = run_vectorbt(case, case.trace._replace(fills=fills))
    assert not compare(case, run, {})[0]
