"""Every rule of the suite finds the strategy that breaks it, and passes those that keep all."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel
from strategies_for_tests import TWO_SLOTS
from thorough import thorough
from wrong_strategies import FEATURES, PURE, RIGHT, SCALE, SWEEP, TOLD_A_PRICE, WRONG, may_enter

from dolphin.config import Account, Config, Friction
from dolphin.core.records import Market
from dolphin.core.strategy import Strategy
from dolphin.errors import DolphinError
from dolphin.parity.generated_markets import generated
from dolphin.parity.own_strategy import stretch
from dolphin.parity.strategy_conformance import Conformance, conform
from dolphin.strategies import load

RESEARCH = Path(__file__).resolve().parents[2] / "research"
BARS = 400
#: So that the fast suite has one of nearly every rule.
MIXED = WRONG[::3] + WRONG[1::3] + WRONG[2::3]


def config_of(strategy: Strategy, **params: object) -> Config:
    return Config(strategy, strategy.name, None, strategy.params(**params), Friction(), Account())


@cache
def walk(columns: int) -> Market:
    """Some bars of the generated walk, with the first columns of vel_div."""
    market = generated(config_of(replace(RIGHT, features=("vel_div", "vol"))))["walk"]
    return stretch(market, 0, BARS)._replace(features=market.features[:BARS, :columns].copy())


def short(strategy: Strategy, **params: object) -> Conformance:
    return conform(config_of(strategy, **params), {"walk": walk(len(strategy.columns))})


@pytest.mark.parametrize(
    ("strategy", "broken", "bar", "field"),
    thorough(MIXED, fast=2),
    ids=[f"{s.name}-{'-'.join(sorted(b))}" for s, b, *_ in MIXED],
)
def test_the_rule_that_is_broken_is_named(strategy: Strategy, broken: set, bar: int | None, field: str | None) -> None:
    found = short(strategy)
    assert set(found.broken) == broken, str(found)
    wrong = next(rule for rule in found.rules if not rule.passed)
    assert bar is None or wrong.bar == bar
    assert field is None or wrong.field == field
    if broken & {PURE}:
        assert f"at bar {bar}" in wrong.detail
    assert "\n" not in wrong.detail and "FAILED" in str(found)


def test_one_that_keeps_every_rule_passes() -> None:
    found = short(replace(RIGHT, may_enter=may_enter))
    assert found.passed and len(found.rules) == 12, str(found)
    assert found.as_dict()["passed"] and found.as_dict()["markets"] == ["walk"]


@pytest.mark.slow
def test_an_absolute_price_among_the_parameters_is_told() -> None:
    found = short(TOLD_A_PRICE, level=118.0)
    assert {rule.name: rule.detail for rule in found.rules}[SCALE] == "not tried: parameter 'level' is a price"
    assert set(found.broken) <= {SWEEP}


@pytest.mark.slow
def test_a_column_that_is_read_by_a_copied_row_is_found() -> None:
    wrong = next(strategy for strategy, broken, *_ in WRONG if broken == {FEATURES} and strategy.name != "right")
    assert FEATURES not in short(replace(wrong, features=("vel_div",))).broken


def test_parameters_without_a_default_want_a_config() -> None:
    class Required(BaseModel):
        pace: float

    with pytest.raises(DolphinError, match="has parameters without a default; check it with a config"):
        conform(replace(RIGHT, params=Required))


def test_generated_markets_have_what_real_ones_have() -> None:
    asked = ("open", "high", "low", "volume", "bid", "ask", "funding")
    markets = generated(config_of(replace(RIGHT, market_columns=asked)))
    again = generated(config_of(replace(RIGHT, market_columns=asked)))
    for name, market in markets.items():
        assert all(a.tobytes() == b.tobytes() for a, b in zip(market, again[name], strict=True))
        late = market.age < 0
        assert late.any() and (market.age > 3).any() and (market.price != market.price)[late].all()
        assert (market.low <= market.price)[~late].all() and (market.high >= market.price)[~late].all()
        assert (market.volume[market.age > 0] == 0.0).all() and (market.funding != 0.0).any()
        assert len({*(market.ts[1:] - market.ts[:-1])}) == 2 and len({*(market.ts // (86_400 * 10**9))}) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vel_div", "vel_div_sleeves", "pullback:PULLBACK", "dispersion:DISPERSED"])
def test_our_own_conform(name: str) -> None:
    found = conform(load(name, RESEARCH))
    assert found.passed and len(found.rules) == 12, str(found)


@pytest.mark.slow
def test_two_slots_with_memory_conform() -> None:
    found = conform(TWO_SLOTS)
    assert found.passed, str(found)
