from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ladder_cases import case_of
from strategies_for_tests import TWO_SLOTS

from dolphin.strategies.vel_div import VEL_DIV
from dolphin.study.books import books, order_table
from dolphin.study.run import run


def run_of(case):
    return run(case.dataset, case.market, case.config, case.start, case.stop)


@pytest.mark.parametrize("strategy", [VEL_DIV, TWO_SLOTS])
@pytest.mark.parametrize("timing", ["close", "next"])
def test_the_orders_are_those_that_the_kernel_filled(strategy, timing):
    case = case_of(strategy, timing)
    table, fills = order_table(run_of(case)), case.trace.fills
    names = ["bar", "asset", "direction", "qty", "price", "fee"]
    assert np.sort(table, order=names)[names].tolist() == np.sort(fills, order=names)[names].tolist()
    assert (np.diff(table["bar"]) >= 0).all()


def test_vectorbt_values_are_ours():
    case = case_of(VEL_DIV)
    # Stop at a bar that holds a position, so that the books have one open.
    held = int(np.flatnonzero(case.batch.position)[-1])
    case = dataclasses.replace(case, stop=case.start + held + 1)
    ours = run_of(case)
    assert ours.metrics["open_position"]
    portfolio = books(ours)
    value = portfolio.value()
    np.testing.assert_allclose(value.to_numpy(), ours.recording.equity, rtol=1e-9, atol=0)
    assert value.index[0].value == case.market.ts[case.start]
    trades = portfolio.exit_trades.values
    closed = trades[trades["status"] == 1]
    np.testing.assert_allclose(
        np.sort(closed["pnl"]), np.sort(ours.recording.trades["pnl"]), rtol=0, atol=1e-9 * case.capital
    )
    assert len(trades) == len(closed) + 1

    hedged = run_of(case_of(TWO_SLOTS))
    np.testing.assert_allclose(books(hedged).value().to_numpy(), hedged.recording.equity, rtol=1e-9, atol=0)

    idle = run_of(case_of(VEL_DIV, short_threshold=-9.0, short_extreme=-9.5, direction="short_only"))
    assert len(idle.recording.trades) == 0
    assert (books(idle).value() == case.capital).all()
