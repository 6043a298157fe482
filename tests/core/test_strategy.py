"""Which engine a strategy gets: the digest sees everything that can change a decision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import strategies_for_tests
from markets import friction, random_market
from strategies_for_tests import TWO_SLOTS

from dolphin.config import params_records
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
