from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import polars as pl
import pytest
from ladder_cases import case_of, config_of, dataset_of, small_market
from strategies_for_tests import TWO_SLOTS

from dolphin.core.records import INCREASE, REDUCE, REVERSE
from dolphin.errors import DolphinError
from dolphin.parity.case import Case
from dolphin.strategies.cross_momentum import CROSS_MOMENTUM
from dolphin.strategies.vel_div import VEL_DIV
from dolphin.study.findings.books import books, frame, order_table, returns_frame
from dolphin.study.findings.peer import vectorbt
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.measure.run import run
from dolphin.study.sweep import read_study, sweep
from dolphin.study.trials.trials import trials_of


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


@pytest.mark.parametrize("timing", ["close", "next"])
def test_positions_that_change_size_have_the_orders_of_their_fills(timing):
    market = small_market()._replace(features=np.empty((240, 0)))
    config = config_of(CROSS_MOMENTUM, timing, lookback=5, rebalance_bars=4, per_side=2, tolerance=0.01)
    case = Case(dataset_of(market), market, config, 12, 240)
    ours, fills = run_of(case), case.trace.fills
    table = order_table(ours)
    names = ["bar", "asset", "direction", "qty", "price", "fee"]
    assert table[names].tolist() == fills[names].tolist()
    assert {INCREASE, REDUCE, REVERSE} < set(fills["action"].tolist())
    np.testing.assert_allclose(books(ours).value().to_numpy(), ours.recording.equity, rtol=1e-9, atol=0)


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


@pytest.mark.slow
@pytest.mark.parametrize("timing", ["close", "next"])
def test_vectorbt_measures_the_same(timing):
    ours = run_of(case_of(VEL_DIV, timing))
    portfolio, metrics = books(ours), ours.metrics
    trades = portfolio.exit_trades.closed
    same = {
        "trades": trades.count(),
        "win_rate": trades.win_rate(),
        "profit_factor": trades.profit_factor(),
        "roi": portfolio.total_return(),
        "max_drawdown": -portfolio.max_drawdown(),
        "final_equity": portfolio.final_value(),
        "fees_paid": portfolio.orders.fees.sum(),
        "turnover": (portfolio.orders.size.values * portfolio.orders.price.values).sum() / portfolio.init_cash,
        "open_position": portfolio.exit_trades.open.count() > 0,
        "bars": len(portfolio.wrapper.index),
    }
    for name, value in same.items():
        assert metrics[name] == pytest.approx(float(value), rel=1e-9, abs=1e-12), name
    assert metrics["trades"] > 20


def test_a_sweep_as_vectorbt_indexes_it(home, write_study):
    text = """dataset = "m"
sampler = "grid"
[config.params]
vol_gate_mode = "off"
short_threshold = -0.004
[search]
tp_pct = { choices = [0.002, 0.004, 0.01] }
"params.max_hold_bars" = { choices = [10, 20] }
fee_bps = { choices = [1.0, 2.0] }
"""
    study = read_study(write_study(text))
    sweep(home, study)
    trials = trials_of(home, "look")
    metrics = frame(trials)
    assert set(metrics.index.names) == {"tp_pct", "max_hold_bars", "fee_bps"} and metrics.shape == (
        12,
        len(ALL_METRICS),
    )
    row = trials.filter(pl.col("tp_pct") == 0.004, pl.col("max_hold_bars") == 20, pl.col("fee_bps") == 1.0).row(
        0, named=True
    )
    chosen = metrics.xs((0.004, 20, 1.0), level=("tp_pct", "max_hold_bars", "fee_bps")).iloc[0]
    found, expected = ([float(source[name]) for name in ALL_METRICS] for source in (chosen, row))
    np.testing.assert_array_equal(found, expected)
    returns = returns_frame(trials)
    assert returns.shape == (4, 12) and str(returns.index[0]) == "2024-12-31 00:00:00+00:00"
    assert returns.columns.equals(metrics.index) and (returns.iloc[:, 3] == trials["daily_returns"][3].to_list()).all()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert vectorbt().__version__  # registers the accessor
        sheet = metrics["sharpe_365"].xs(2.0, level="fee_bps").reorder_levels(["tp_pct", "max_hold_bars"])
        figure = sheet.vbt.heatmap(x_level="tp_pct", y_level="max_hold_bars")
        drawn = np.array(figure.data[0].z, dtype=float)
        assert drawn.shape == (2, 3)
        for x, tp in enumerate(figure.data[0].x):
            for y, hold in enumerate(figure.data[0].y):
                assert drawn[y, x] == sheet.loc[(float(tp), int(hold))]
        assert metrics["roi"].vbt.volume(x_level="tp_pct", y_level="max_hold_bars", z_level="fee_bps") is not None
        # Their Sharpe ratio and tail ratio of our daily returns are ours.
        accessor = returns.vbt.returns(freq="D", year_freq="365 days")
        sharpe, tails = accessor.sharpe_ratio(), accessor.tail_ratio()
    np.testing.assert_allclose(sharpe.to_numpy(), metrics["sharpe_365"].to_numpy(), rtol=1e-9)
    np.testing.assert_allclose(tails.to_numpy(), metrics["tail_ratio"].abs().to_numpy(), rtol=1e-9)


def test_what_cannot_be_a_frame_says_so(home, write_study):
    search = "[search]\ntp_pct = { choices = [0.0, 0.01] }\n"
    study = read_study(write_study(f'dataset = "m"\nsampler = "grid"\n{search}'))
    sweep(home, study)
    trials = trials_of(home, "look")
    assert frame(trials).index.names == ["trial"]
    with pytest.raises(DolphinError, match="there is no finished trial"):
        frame(trials.filter(pl.col("state") == "invalid"))
    with pytest.raises(DolphinError, match="the trials have no parameter 'tp'"):
        frame(trials, ["tp"])
    with pytest.raises(DolphinError, match="no study 'lock' is registered; did you mean 'look'"):
        trials_of(home, "lock")
