"""Sums and returns of a tear sheet agree with the run's own metrics."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dolphin.report.run_folder import read_run
from dolphin.report.summaries import period_returns, return_histogram, thin, totals, trades_by


@pytest.mark.parametrize("every", ["1d", "1mo", "1y"])
def test_period_returns_compound_to_the_roi(make_run, every):
    run = read_run(make_run(bars=24 * 500, spacing=3_600 * 10**9, leverage=2.0))

    periods = period_returns(run, every)

    assert math.prod(1.0 + r for r in periods["ret"]) - 1.0 == pytest.approx(run.metrics["roi"], rel=1e-9)
    assert periods["period"].is_sorted() and periods["period"].n_unique() == periods.height


def test_a_bar_at_midnight_ends_its_day(make_run):
    run = read_run(make_run(bars=3 * 288, spacing=300 * 10**9))  # closes 00:05 of 1 January to 00:00 of the 4th

    assert [str(day) for day in period_returns(run, "1d")["period"]] == [
        "2024-01-01", "2024-01-02", "2024-01-03",
    ]  # fmt: skip


def test_no_return_from_a_ruined_base(make_run):
    run = read_run(make_run(gap_at=3))
    days = period_returns(run, "1d")
    ruined = days["equity"].to_numpy() <= 0

    assert ruined.any()
    first = int(np.argmax(ruined))
    assert days["ret"][first] < -1.0
    assert days["ret"][first + 1 :].null_count() == days.height - first - 1


@pytest.mark.parametrize("key", ["asset", "exit_reason", "side"])
def test_groups_sum_to_the_metrics(make_run, key):
    folder = make_run(bars=8_000)
    run = read_run(folder)
    metrics = json.loads((folder / "metrics.json").read_text())

    groups = trades_by(run.trades, key)

    assert groups["trades"].sum() == metrics["trades"]
    assert groups["wins"].sum() / groups["trades"].sum() == pytest.approx(metrics["win_rate"])
    assert (groups["longs"] + groups["shorts"]).to_list() == groups["trades"].to_list()
    # The generator closes every position, so the P&L of the trades is the whole gain.
    assert groups["pnl"].sum() == pytest.approx(metrics["final_equity"] - run.initial_capital, rel=1e-9)
    assert groups["pnl"].is_sorted(descending=True)
    assert totals(run.trades)["pnl"] == pytest.approx(groups["pnl"].sum(), rel=1e-12)


@given(hnp.arrays(np.float64, st.integers(1, 300), elements=st.floats(-3.0, 3.0, allow_nan=False, width=32)))
def test_the_histogram_counts_every_trade_and_splits_at_zero(returns):
    bins = return_histogram(returns)

    assert bins.counts.sum() == len(returns)
    assert 0.0 in bins.edges
    assert len(bins.counts) <= 90
    assert bins.counts[bins.edges[:-1] < 0].sum() == (returns < 0).sum()


def test_a_thinned_scatter_keeps_the_extremes():
    trades = pl.DataFrame({"pnl_pct": np.random.default_rng(3).normal(size=5_000)})

    drawn = thin(trades, 400)

    assert drawn.height <= 400
    ordered = trades["pnl_pct"].sort()
    kept = set(drawn["pnl_pct"])
    assert set(ordered.head(100)) <= kept and set(ordered.tail(100)) <= kept
    assert thin(trades, 5_000) is trades
