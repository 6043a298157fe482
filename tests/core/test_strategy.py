"""Which engine a strategy gets: the digest sees everything that can change a decision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import strategies_for_tests
from markets import friction, random_market
from pydantic import BaseModel
from strategies_for_tests import TWO_SLOTS

from dolphin.config import params_records
from dolphin.core.declaration import Events
from dolphin.core.engine import Engine, engine_for
from dolphin.core.jit import inline
from dolphin.core.records import CLOSE, OPEN
from dolphin.core.strategy import Strategy
from dolphin.strategies.vel_div import VEL_DIV

HOLD = 3


@inline
def held(slot, i):
    return i - slot.entry_bar


@inline
def long_first(state, params, market, i):
    slot, intent = state.slots[0], state.intents[0]
    if slot.side == 0:
        intent.action, intent.asset, intent.side, intent.qty = OPEN, 0, 1, 1.0
    elif held(slot, i) >= HOLD:
        intent.action, intent.asset, intent.side, intent.qty, intent.reason = CLOSE, 0, 1, slot.qty, 1


@inline
def short_first(state, params, market, i):
    slot, intent = state.slots[0], state.intents[0]
    if slot.side == 0:
        intent.action, intent.asset, intent.side, intent.qty = OPEN, 0, -1, 1.0


def strategy(decide) -> Strategy:
    return Strategy("own", decide, TWO_SLOTS.params, ("vel_div",), ("", "HELD"), lambda p: 1)


def positions(chosen: Strategy) -> np.ndarray:
    engine, market = Engine(chosen), random_market(1, bars=20)
    params = params_records([chosen.params()])
    return engine.run(engine.new_state(5, 25_000.0), params, friction(), market, 0, 20).position


@pytest.mark.slow
def test_two_strategies_of_one_file_are_two_engines():
    one, other = strategy(long_first), strategy(short_first)
    assert one.digest != other.digest
    assert positions(one)[1] == 1 and positions(other)[1] == -1


def test_a_constant_is_part_of_the_digest(monkeypatch: pytest.MonkeyPatch):
    before = strategy(long_first).digest
    monkeypatch.setitem(long_first.py_func.__globals__, "HOLD", 4)
    assert strategy(long_first).digest != before


def test_a_called_function_elsewhere_is_part_of_the_digest(monkeypatch: pytest.MonkeyPatch):
    before = strategy(long_first).digest
    monkeypatch.setitem(long_first.py_func.__globals__, "held", strategies_for_tests.extreme)
    assert strategy(long_first).digest != before


@pytest.mark.parametrize(
    "change", [{"slots": 3}, {"memory": 9}, {"features": ("vol",)}, {"name": "x"}, {"reasons": ("",)}]
)
def test_sizes_and_names_are_part_of_the_digest(change):
    assert replace(TWO_SLOTS, **change).digest != TWO_SLOTS.digest


def test_an_engine_is_made_once_and_its_digest_is_stable():
    assert engine_for(VEL_DIV) is engine_for(VEL_DIV)
    assert Engine(VEL_DIV).digest == engine_for(VEL_DIV).digest == Engine(replace(VEL_DIV)).digest


class Required(BaseModel):
    pace: float


class Odd(BaseModel):
    weights: list[float] = []


@inline
def three(state, params, market):
    pass


def plain(state, params, market, i):
    pass


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"decide": plain}, "has a decide that is not decorated with dolphin.core.jit.inline"),
        ({"decide": three}, "has a decide of 3 arguments, not 4"),
        ({"may_enter": long_first}, "has a may_enter of 4 arguments, not 3"),
        ({"events": VEL_DIV.events}, "has events, which take may_enter, one slot, market orders that open and close"),
        ({"events": (three, three)}, "has events that are no Events but ("),
        (
            {"events": Events(long_first, three)},
            "has events whose enters is no function of 3 arguments, decorated with",
        ),
        ({"params": {"a": 1.0}}, "has params that are no pydantic model but {'a': 1.0}"),
        ({"params": Odd}, "has a parameter 'weights' that is no float, int, bool, str or Literal"),
        ({"features": "vol"}, "has features that are no tuple but 'vol'"),
        ({"features": lambda p: ("vol",)}, "has features that give no mapping by role but"),
        ({"features": lambda p: {"v": p.nothing}}, "has features that raise AttributeError: "),
        ({"features": lambda p: {"v": 3.0}}, "declares a float as a feature, not a name or a Feature"),
        ({"features": lambda p: {3: "vol"}}, "declares a column 3 whose role is no text"),
        ({"features": ("vol", "vol")}, "has two features named 'vol'"),
        ({"params": Required, "features": lambda p: {"v": "vol"}}, "and parameters without a default"),
        ({"reasons": ["", "HELD"]}, "has reasons that are no tuple of texts"),
        ({"warmup_bars": 50}, "has warmup_bars or horizon_bars that are no function of the parameters"),
        ({"horizon_bars": 50}, "has warmup_bars or horizon_bars that are no function of the parameters"),
        ({"slots": 0}, "has 0 slots: a whole number from 1 on"),
        ({"market_columns": ("open", "close")}, "asks for market_columns ('open', 'close'), which are a tuple of open"),
        ({"quantiles": ("stretch",)}, "has quantiles that are no mapping but ('stretch',)"),
        ({"quantiles": {"hold": "vel_div"}}, "has a quantile for 'hold', which is no float parameter"),
        ({"quantiles": {"stretch": "vol"}}, "has 'stretch' as a quantile of 'vol', which is no column: vel_div"),
        ({"symbols": "BTCUSDT"}, "has symbols that are no tuple but 'BTCUSDT'"),
        ({"symbols": lambda p: {"first": 3}}, "names 3 as a symbol or its role, which is no text"),
    ],
)
def test_a_declaration_that_cannot_hold_is_one_line(change, said):
    with pytest.raises(TypeError) as caught:
        replace(TWO_SLOTS, **change)
    assert str(caught.value).startswith("strategy 'two_slots' ") and said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tuple_is_a_mapping_of_each_name_to_itself():
    assert TWO_SLOTS.features_by_role() == {"vel_div": "vel_div"} and TWO_SLOTS.symbols_by_role() == {}
    assert replace(TWO_SLOTS, symbols=("BTCUSDT",)).symbols_by_role() == {"BTCUSDT": "BTCUSDT"}
    assert VEL_DIV.features_by_role(VEL_DIV.params(vel_div="v50-v150", vol_ewma=True)) == {
        "vel_div": "v50-v150", "vol": "vol_ewma",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"features": lambda p: {"vel_div": "v50-v150"}},
        {"symbols": ("BTCUSDT",)},
        {"symbols": lambda p: {"first": "BTCUSDT"}},
        {"market_columns": ("open",)},
    ],
)
def test_what_it_reads_is_part_of_the_digest(change):
    assert replace(TWO_SLOTS, **change).digest != TWO_SLOTS.digest


def test_constants_of_a_declaring_function_are_part_of_the_digest():
    found = {replace(TWO_SLOTS, features=declaring(name)).digest for name in ("v50_vel", "v150_vel", "v50_vel")}
    assert len(found) == 2


def declaring(name):
    return lambda params: {"vel_div": name}
