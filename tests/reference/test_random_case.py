"""The generator: what it draws is what the engine promises to its strategies, and reaches every rule."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np
import pytest
from reference.identity import check

from dolphin.core.records import RISK
from dolphin.parity.slow.compiled_case import engine_of_case
from dolphin.parity.slow.engine import Case, run_slow
from dolphin.parity.slow.random_case import random_case

SEEDS = range(160)


def bits(case: Case) -> list[bytes]:
    return [case.market[name].tobytes() for name in sorted(case.market)]


def test_a_seed_is_a_case() -> None:
    one, same, other = random_case(5), random_case(5), random_case(6)
    assert bits(one) == bits(same) != bits(other)
    assert replace(one, market={}) == replace(same, market={})


@pytest.mark.parametrize("seed", range(12))
def test_the_market_is_one_that_could_be(seed: int) -> None:
    market = random_case(seed).market
    real = market["age"] == 0
    assert (np.isnan(market["price"]) == (market["age"] == -1)).all()
    assert (np.isfinite(market["high"]) == real).all()
    for name in ("open", "price"):
        assert (market["low"][real] <= market[name][real]).all()
        assert (market[name][real] <= market["high"][real]).all()
    assert (market["volume"][~real] == 0.0).all()
    instruments = market["instruments"]
    for name in ("price", "open", "high", "low"):
        ticks = np.floor(market[name] / instruments["tick"] + 0.5)
        on_grid = ticks * instruments["tick_num"] / instruments["tick_den"]
        assert (on_grid[real] == market[name][real]).all()
    aged = market["age"] > 0
    assert (market["price"][1:][aged[1:]] == market["price"][:-1][aged[1:]]).all()


@pytest.mark.slow
def test_every_rule_and_every_model_is_reached_and_the_money_adds_up() -> None:
    codes: Counter[int] = Counter()
    fills: Counter[tuple[str, str]] = Counter()
    liquidations = partial = ruined = funded = 0
    for seed in SEEDS:
        case = random_case(seed)
        run = run_slow(case)
        check(case, run)
        codes.update(code for row in run.refused for code in row)
        fills[case.friction.fill_model, case.friction.timing] += len(run.fills)
        liquidations += sum(case.reasons[trade.reason] == "LIQUIDATION" for trade in run.trades)
        partial += sum(order.action != 0 and order.kind == 0 for order in run.working)
        ruined += run.account.ruined
        funded += bool(run.payments)
    assert {code for code, count in codes.items() if count >= 10} == set(range(19))
    assert len(fills) == 8 and min(fills.values()) > 500, fills
    assert min(liquidations, ruined, funded) > 10 and partial > 0, (liquidations, partial, ruined, funded)


class Records(NamedTuple):
    """A state as the compiled function sees it."""

    account: np.ndarray
    slots: np.ndarray
    intents: np.ndarray
    working: np.ndarray
    refused: np.ndarray
    memory: np.ndarray
    in_force: np.ndarray


@functools.cache
def tagged(drawdown: bool) -> np.ndarray:
    """An account of a strategy that weighs its drawdown, or does not: compiled code tells them by its type."""
    return engine_of_case(replace(random_case(0), postures=True, drawdown=drawdown)).new_state(1, 1.0).account


def filled(array: np.ndarray, items: list) -> np.ndarray:
    """What the objects hold of the fields of an array, one record for each."""
    found = np.zeros(len(items), array.dtype)
    for record, item in zip(found, items, strict=True):
        for name in array.dtype.names or ():
            record[name] = getattr(item, name, 0)
    return found


def records_of(items: list) -> np.ndarray:
    """Objects of one dataclass as aligned records: integers where it holds integers."""
    kind = type(items[0])
    names = [field.name for field in fields(kind)]
    whole = {"int": "i8", "float": "f8"}
    dtype = np.dtype([(field.name, whole[str(field.type)]) for field in fields(kind)], align=True)
    return np.array([tuple(getattr(item, name) for name in names) for item in items], dtype)


@pytest.mark.slow
def test_compiled_wishes_are_pythons_bit_by_bit() -> None:
    wishes = 0
    for seed in range(25):
        case = random_case(seed)
        names = [name for name in case.market if name != "log_price"]
        market = NamedTuple("Arrays", [(name, np.ndarray) for name in names])(*(case.market[name] for name in names))
        values = tuple(case.params.values())
        types = [(name, "i8" if isinstance(x, int) else "f8") for name, x in case.params.items()]
        params = np.array([values], np.dtype(types, align=True))
        compiled, plain = case.decide, case.decide.py_func

        def both(
            state,
            _params,
            _market,
            i,
            seed=seed,
            case=case,
            compiled=compiled,
            plain=plain,
            market=market,
            params=params,
        ):
            arrays = Records(
                filled(tagged(case.drawdown), state.account),
                records_of(state.slots),
                records_of(state.intents),
                records_of(state.working),
                np.array(state.refused, np.int64),
                np.array(state.memory),
                filled(np.zeros(0, RISK), state.in_force),
            )
            compiled(arrays, params[0], market, i)
            plain(state, _params, _market, i)
            nonlocal wishes
            wishes += sum(intent.action != 0 for intent in state.intents)
            stored = records_of([intent.stored(0) for intent in state.intents])
            assert stored.tobytes() == arrays.intents.tobytes(), (seed, i)
            assert np.array(state.memory, np.float64).tobytes() == arrays.memory.tobytes()

        run_slow(replace(case, decide=both))
    assert wishes > 5_000
