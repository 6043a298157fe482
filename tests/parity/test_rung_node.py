"""Rung 3 through a TradingNode in lockstep, rung 4 from its journal; and what a wrong feed looks like."""

from __future__ import annotations

from pathlib import Path

import pytest
from ladder_cases import RICH, case_of, rich_case
from strategies_for_tests import TWO_SLOTS

from dolphin.parity.case import Case
from dolphin.parity.ladder import ladder
from dolphin.parity.rung_node import node_rung
from dolphin.strategies.breakout import BREAKOUT
from dolphin.strategies.pair_reversion import PAIR_REVERSION
from dolphin.strategies.vel_div import VEL_DIV


def climb(case: Case, **more: object):
    return ladder(case.dataset, case.market, case.config, case.start, case.stop, rungs=(3, 4), **more)


@pytest.mark.parametrize(
    "case",
    [
        case_of(VEL_DIV),
        case_of(TWO_SLOTS, "next"),
        rich_case(PAIR_REVERSION, "close", "touch", funded=True, bars=120),
        rich_case(BREAKOUT, "close", "volume_share", funded=True, bars=120),
    ],
    ids=lambda case: f"{case.config.strategy_name}-{case.config.friction.fill_model}",
)
def test_a_node_decides_what_research_decides_and_its_journal_again(case):
    report = climb(case)
    assert [result.rung for result in report.results] == [3, 4]
    assert report.passed, [result.detail for result in report.results]
    assert report.results[0].facts["orders"] == len(case.trace.fills) > 0
    assert report.results[1].bars == case.bars


@pytest.mark.slow
@pytest.mark.parametrize("timing", ["close", "next"])
@pytest.mark.parametrize("strategy", RICH, ids=lambda s: s.name)
def test_orders_that_rest_fill_in_a_node_as_in_research(strategy, timing):
    model = "bar_range" if strategy is BREAKOUT else "scan_price"
    passed, sentence, _ = node_rung(rich_case(strategy, timing, model, funded=True, bars=120))
    assert passed, sentence


@pytest.mark.slow
@pytest.mark.parametrize("timing", ["close", "next"])
@pytest.mark.parametrize("strategy", RICH, ids=lambda s: s.name)
def test_a_node_fills_in_parts_and_its_journal_is_decided_again(strategy, timing):
    case = rich_case(strategy, timing, "volume_share", funded=True, bars=200)
    report = climb(case)
    assert report.passed, [result.detail for result in report.results]
    whole = rich_case(strategy, timing, "bar_range", funded=True, bars=200)
    assert len(case.trace.fills) > len(whole.trace.fills), "orders were filled in parts"


def test_a_price_that_the_node_saw_otherwise_is_named(tmp_path: Path):
    case = case_of(VEL_DIV)
    price = case.market.price.copy()
    price[100, 2] *= 1.01
    passed, sentence, facts = node_rung(case, case.market._replace(price=price))
    assert not passed and facts["first_bar"] == 100 and facts["first_stage"] == "data", sentence
