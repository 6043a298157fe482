from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from ladder_cases import CASES, RICH, case_of, config_of, dataset_of, rich_case, risky_case, small_market
from strategies_for_tests import TWO_SLOTS
from thorough import thorough

from dolphin.config.config import NO_RISK
from dolphin.core.logarithm import ln_array
from dolphin.core.records import State
from dolphin.errors import DolphinError
from dolphin.journal import Journal, replay
from dolphin.parity.case import unequal_fills, utc
from dolphin.parity.ladder import LadderReport, RungResult, ladder
from dolphin.parity.rungs_core import core_rung, state_difference
from dolphin.parity.rungs_nautilus import (
    compare,
    default_full_bars,
    fast_rung,
    full_rung,
    node_chunks_rung,
    quoted_rung,
)
from dolphin.strategies.breakout import BREAKOUT
from dolphin.strategies.cross_momentum import CROSS_MOMENTUM
from dolphin.strategies.pair_reversion import PAIR_REVERSION
from dolphin.strategies.vel_div import VEL_DIV
from dolphin.strategies.vel_div_sleeves import VEL_DIV_SLEEVES


def repriced(market, row, column, ticks=40):
    """The market with one price moved by some ticks, everything else as it was."""
    price = market.price.copy()
    price[row, column] += ticks * market.instruments["tick"][column]
    return market._replace(price=price, log_price=ln_array(price))


def first_order(case):
    return case.trace.fills[0]


@pytest.mark.parametrize(("strategy", "timing"), CASES)
def test_the_core_agrees_with_itself(strategy, timing):
    case = case_of(strategy, timing)
    passed, detail, facts = core_rung(case)
    assert passed, detail
    assert facts["trades"] == len(case.batch.trades) > 15
    assert facts["final_digest"] == f"{int(case.batch.digests[-1]):016x}"


@pytest.mark.parametrize(("strategy", "timing"), CASES)
@pytest.mark.parametrize("rung", thorough([fast_rung, full_rung, quoted_rung, node_chunks_rung], fast=2))
def test_nautilus_gives_the_same_bits(rung, strategy, timing):
    case = case_of(strategy, timing)
    passed, detail, facts = rung(case)
    assert passed, detail
    assert facts["orders"] == len(case.trace.fills) > 30
    assert facts["trades"] == len(case.batch.trades)
    assert abs(facts["account_difference"]) < 1e-6
    assert facts["refused_orders"] == 0


def test_the_two_slots_do_hold_one_asset_against_each_other():
    # Otherwise the cases above would not show that hedged positions are kept apart.
    trades = case_of(TWO_SLOTS).batch.trades
    overlap = [
        (a["asset"] == b["asset"]) & (a["side"] != b["side"])
        & (a["entry_bar"] < b["exit_bar"]) & (b["entry_bar"] < a["exit_bar"])
        for k, a in enumerate(trades) for b in trades[k + 1 :]
    ]  # fmt: skip
    assert any(overlap)


@pytest.mark.parametrize("rung", [core_rung, fast_rung, full_rung])
def test_one_other_price_is_found_at_its_bar(rung):
    case = case_of(VEL_DIV)
    order = first_order(case)
    row = int(order["bar"])
    passed, detail, facts = rung(case, repriced(case.market, row, int(order["asset"])))
    assert not passed
    # The price of the asset that is traded there is data; what is decided from it comes after.
    assert (facts["first_bar"], facts["first_stage"]) == (row, "data")
    assert str(row) in detail and utc(case.market.ts[row]) in detail and "data" in detail


@pytest.mark.parametrize("rung", [core_rung, fast_rung])
def test_another_feature_is_found_at_its_stage(rung):
    case = case_of(TWO_SLOTS)
    features = case.market.features.copy()
    features[100, 0] = np.nextafter(features[100, 0], 1.0)
    passed, _, facts = rung(case, case.market._replace(features=features))
    assert not passed
    assert (facts["first_bar"], facts["first_stage"]) == (100, "features")


def test_another_risk_input_is_found_at_its_stage():
    case = case_of(VEL_DIV)
    risk = case.market.risk.copy()
    risk["rm"][60] = 0.5
    passed, _, facts = fast_rung(case, case.market._replace(risk=risk))
    assert not passed
    assert (facts["first_bar"], facts["first_stage"]) == (60, "risk")


@pytest.mark.parametrize(("values", "stage"), [({"friction.slippage_bps": 9.0}, "fill"), ({"fraction": 0.5}, "intent")])
def test_a_nautilus_with_another_config_is_found_at_the_first_order(values, stage):
    case = case_of(VEL_DIV)
    passed, detail, facts = compare(
        case, backtest_of(dataclasses.replace(case, config=case.config.with_values(values)))
    )
    assert not passed
    assert (facts["first_bar"], facts["first_stage"]) == (int(first_order(case)["bar"]), stage), detail


def test_a_fill_or_an_account_that_digests_do_not_show_is_found():
    case = case_of(VEL_DIV)
    run = backtest_of(case)
    fills = run.fills.copy()
    fills["price"][3] += 0.5
    passed, detail, _ = compare(case, dataclasses.replace(run, fills=fills))
    assert not passed and "order 3" in detail and "price" in detail
    passed, detail, _ = compare(case, dataclasses.replace(run, fills=run.fills[:-1]))
    assert not passed and "orders were filled" in detail
    passed, detail, _ = compare(case, dataclasses.replace(run, account_total=run.account_total + 2e-6))
    assert not passed and "account" in detail
    realized = run.realized.copy()
    realized[0] += 2e-6
    passed, detail, _ = compare(case, dataclasses.replace(run, realized=realized))
    assert not passed and "P&L" in detail
    passed, detail, _ = compare(case, dataclasses.replace(run, realized=run.realized[1:]))
    assert not passed and "closed" in detail


def test_an_account_that_nautilus_cannot_hold_fails_in_words():
    case = case_of(VEL_DIV)
    config = case.config.with_values({"initial_capital": 1e14})
    passed, detail, _ = fast_rung(dataclasses.replace(case, config=config))
    assert not passed and "1e+14 USDT" in detail


def test_an_account_below_zero_ends_the_same_everywhere():
    case = case_of(VEL_DIV, abs_cap=100.0, soft_cap=100.0, base_leverage=60.0, maintenance_margin=0.0,
                   tp_pct=0.5, max_hold_bars=40)  # fmt: skip
    assert case.batch.state.account["ruined"][0] and case.batch.capital.min() < 0.0
    for rung in (core_rung, fast_rung, full_rung):
        passed, detail, _ = rung(case)
        assert passed, detail


def backtest_of(case):
    from dolphin.live.backtest import run_backtest

    dataset = case.dataset
    return run_backtest(
        case.engine, dataset.instruments, dataset.spacing_ns, case.market, case.params, case.friction,
        case.capital, case.start, case.stop,
    )  # fmt: skip


def test_a_sweep_that_ends_elsewhere_names_the_field():
    state = case_of(TWO_SLOTS).batch.state
    copy = State(*(field.copy() for field in state))
    assert state_difference(state, copy) is None
    copy.account["digest"] = 0
    assert state_difference(state, copy) is None
    copy.memory[1] += 1.0
    assert state_difference(state, copy) == "memory"
    copy.account["fees_paid"] = np.nextafter(copy.account["fees_paid"], 0.0)
    assert state_difference(state, copy) == "account.fees_paid"


def test_unequal_orders_in_words():
    fills = case_of(VEL_DIV).trace.fills
    assert unequal_fills(fills, fills.copy()) is None
    assert "orders were filled" in unequal_fills(fills, fills[:-1])


def test_the_report():
    market = small_market()
    said = []
    report = ladder(
        dataset_of(market), market, config_of(VEL_DIV), 12, 200,
        rungs=(2, 0), full_bars=50, progress=lambda *step: said.append(step),
    )  # fmt: skip
    assert report.passed, report
    assert [(r.rung, r.bars) for r in report.results] == [(0, 188), (2, 188), *[(2, 50)] * 3]
    assert [step[:2] for step in said] == [(k, 5) for k in range(5)]
    document = json.loads(json.dumps(report.as_dict()))
    assert document["passed"] is True and len(document["rungs"]) == 5
    assert document["rungs"][0]["detail"] == report.results[0].detail
    failed = RungResult(0, "x", False, 1, 0.0, "no", {})
    assert not LadderReport((*report.results, failed)).passed


def test_what_cannot_be_climbed():
    market = small_market(50)
    arguments = dataset_of(market), market, config_of(VEL_DIV)
    with pytest.raises(DolphinError, match="rung 7"):
        ladder(*arguments, 0, 50, rungs=(0, 7))
    with pytest.raises(DolphinError, match="no rung"):
        ladder(*arguments, 0, 50, rungs=())
    with pytest.raises(DolphinError, match="window"):
        ladder(*arguments, 10, 51, rungs=(0,))
    with pytest.raises(DolphinError, match="full_bars"):
        ladder(*arguments, 0, 50, rungs=(0,), full_bars=0)


def test_the_full_run_is_a_day_or_thirty_thousand_events():
    case = case_of(VEL_DIV)
    assert default_full_bars(case) == case.bars
    many = dataclasses.replace(case, stop=10**6)
    assert default_full_bars(many) == 30_000 // 7


def test_an_excerpt_is_where_the_orders_are():
    case = case_of(TWO_SLOTS)
    bars = case.trace.fills["bar"]
    part = case.excerpt(30)
    counts = [int(((bars >= s) & (bars < s + 30)).sum()) for s in range(case.start, case.stop - 29)]
    assert part.bars == 30
    assert int(((bars >= part.start) & (bars < part.stop)).sum()) == max(counts)
    assert case.excerpt(case.bars) is case
    passed, detail, facts = full_rung(part)
    assert passed and facts["orders"] > 0, detail


def test_times_are_told_to_the_needed_digit():
    assert utc(1_735_689_600_000_000_000) == "2025-01-01T00:00:00Z"
    assert utc(1_735_689_600_250_000_000) == "2025-01-01T00:00:00.25Z"


@pytest.mark.slow
def test_nothing_heavy_is_imported_before_a_rung_runs():
    code = (
        "import sys, dolphin.parity, dolphin.parity.ladder, dolphin.parity.rungs_core, dolphin.live; "
        "from dolphin.parity import rungs_vectorbt, rungs_nautilus; "
        "assert not {'vectorbt', 'nautilus_trader', 'pandas'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("strategy", "timing", "model"),
    thorough(
        [
            (BREAKOUT, "close", "bar_range"),
            (BREAKOUT, "next", "scan_price"),
            (CROSS_MOMENTUM, "close", "scan_price"),
            (PAIR_REVERSION, "next", "scan_price"),
            (PAIR_REVERSION, "close", "touch"),
        ]
    ),
)
def test_nautilus_matches_every_kind_of_order(strategy, timing, model):
    case = rich_case(strategy, timing, model, funded=True)
    passed, detail, facts = fast_rung(case)
    assert passed, detail
    assert facts["orders"] == len(case.trace.fills) > 100
    assert abs(facts["account_difference"]) < 1e-5 and facts["refused_orders"] == 0
    if strategy is not CROSS_MOMENTUM:
        assert case.trace.fills["passive"].sum() > 20


@pytest.mark.slow
@pytest.mark.parametrize("timing", ["close", "next"])
@pytest.mark.parametrize("strategy", thorough([VEL_DIV, PAIR_REVERSION]), ids=lambda s: s.name)
def test_every_rung_obeys_postures(strategy, timing):
    case = risky_case(strategy, timing)
    report = ladder(case.dataset, case.market, case.config, case.start, case.stop)
    assert report.passed, [r.detail for r in report.results if not r.passed]
    fills, reasons = case.trace.fills, list(case.config.strategy.reasons)
    assert fills["passive"].sum() > 10  # entries of STALKER and orderly exits, which the strategy knows nothing of
    assert case.batch.state.exits[reasons.index("HIBERNATE_HALT")] > 0
    neutral = dataclasses.replace(case, config=dataclasses.replace(case.config, risk=NO_RISK))
    assert strategy is PAIR_REVERSION or len(neutral.trace.fills) != len(fills)  # which obeys by itself


@pytest.mark.slow
def test_every_rung_weighs_the_account_s_drawdown(tmp_path):
    case = dataclasses.replace(risky_case(VEL_DIV, weighed=True), journals=tmp_path)
    report = ladder(case.dataset, case.market, case.config, case.start, case.stop, journals=tmp_path)
    assert report.passed, [r.detail for r in report.results if not r.passed]
    assert case.batch.state.stress["rm5"][0] < 1.0 and len(case.trace.fills) > 10
    without = dataclasses.replace(case, config=case.config.with_values({"risk.account": False}))
    assert len(without.trace.fills) != len(case.trace.fills)
    found = replay(Journal(tmp_path / "nautilus-scan.arrow"), config=case.config)
    assert found.equal and found.bars == case.bars, found.sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "timing", "weighed"),
    [
        (VEL_DIV_SLEEVES, "close", True),
        (CROSS_MOMENTUM, "next", True),
        (BREAKOUT, "close", True),
        (BREAKOUT, "next", False),
        (PAIR_REVERSION, "next", True),
    ],
)
def test_every_other_strategy_obeys_postures_too(strategy, timing, weighed):
    case = risky_case(strategy, timing, funded=strategy in RICH, weighed=weighed)
    report = ladder(case.dataset, case.market, case.config, case.start, case.stop)
    assert report.passed, [r.detail for r in report.results if not r.passed]


# Each strategy with both timings, each fill model with both, funded and not: each pair once, not each combination.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "timing", "model", "funded"),
    [
        (BREAKOUT, "close", "bar_range", True),
        (BREAKOUT, "next", "touch", False),
        (CROSS_MOMENTUM, "next", "bar_range", True),
        (CROSS_MOMENTUM, "close", "scan_price", False),
        (PAIR_REVERSION, "close", "touch", True),
        (PAIR_REVERSION, "next", "scan_price", False),
    ],
)
def test_the_whole_ladder_of_every_bundled_strategy(strategy, timing, model, funded):
    case = rich_case(strategy, timing, model, funded=funded, bars=700)
    report = ladder(case.dataset, case.market, case.config, case.start, case.stop)
    assert report.passed, [r.detail for r in report.results if not r.passed]
    assert {r.rung for r in report.results} == {0, "R", 1, 2}
    assert {(r.rung, r.name) for r in report.not_run}.isdisjoint((r.rung, r.name) for r in report.results)


@pytest.mark.slow
@pytest.mark.parametrize("rung", [fast_rung, quoted_rung])
def test_another_price_in_nautilus_market_moves_a_limit(rung):
    case = rich_case(PAIR_REVERSION)
    order = case.trace.fills[np.flatnonzero(case.trace.fills["passive"])[3]]
    passed, _, facts = rung(case, repriced(case.market, int(order["bar"]), int(order["asset"]), ticks=4000))
    assert not passed and facts["first_bar"] <= int(order["bar"])


@pytest.mark.parametrize(
    ("strategy", "timing"), thorough([(BREAKOUT, "close"), (CROSS_MOMENTUM, "next"), (PAIR_REVERSION, "close")])
)
def test_nautilus_fills_in_parts(strategy, timing, tmp_path):
    case = dataclasses.replace(rich_case(strategy, timing, "volume_share", funded=True), journals=tmp_path)
    passed, detail, facts = fast_rung(case)
    assert passed, detail
    assert facts["orders"] == len(case.trace.fills) > 200 and facts["refused_orders"] == 0
    whole = rich_case(strategy, timing, "bar_range", funded=True)
    assert facts["orders"] > len(whole.trace.fills)  # orders were filled in parts
    if strategy is not CROSS_MOMENTUM:
        assert case.trace.fills["passive"].sum() > 20
    found = replay(Journal(tmp_path / "nautilus-scan.arrow"), config=case.config)
    assert found.equal and found.bars == case.bars, found.sentence


def test_what_a_catalog_loses_is_found(monkeypatch):
    from dolphin.live import catalog_run

    case = case_of(VEL_DIV)
    whole = catalog_run._write_files
    monkeypatch.setattr(catalog_run, "_write_files", lambda catalog, objects: whole(catalog, objects[:-1]))
    passed, detail, _ = node_chunks_rung(case)
    assert not passed, detail


@pytest.mark.slow
def test_ways_of_a_rung_that_do_not_know_a_configuration_are_said_and_the_others_climbed():
    case = rich_case(CROSS_MOMENTUM, "close", "volume_share")
    arguments = case.dataset, case.market, case.config, case.start, case.stop
    report = ladder(*arguments, rungs=[0, "R", 2])
    assert [(r.rung, r.passed) for r in report.results] == [(0, True), ("R", True), (2, True)], report
    assert report.results[0].facts["trades"] > 30
    document = json.loads(json.dumps(report.as_dict()))
    assert [rung["rung"] for rung in document["not_run"]] == [2, 2, 2]
    assert "'volume_share' reads more of a bar than its close" in document["not_run"][0]["reason"]
    assert ladder(*arguments, rungs=[0]).not_run == ()
