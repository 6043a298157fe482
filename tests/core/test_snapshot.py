from __future__ import annotations

import numpy as np
import pytest
from reference.test_differential import FEW, declared
from thorough import thorough

from dolphin.core.engine import engine_for
from dolphin.core.snapshot import from_arrays, to_arrays
from dolphin.parity.slow.compiled_case import market_of, records_of
from dolphin.parity.slow.random_case import random_case
from dolphin.strategies.vel_div import VEL_DIV

ENGINE = engine_for(VEL_DIV)


@pytest.mark.parametrize("seed", thorough(range(9), fast=2))
def test_a_run_goes_on_from_its_arrays_with_the_same_bits(seed: int) -> None:
    case = declared(random_case(500 + seed), **FEW[seed % len(FEW)])
    engine, given, costs = records_of(case)
    market, assets = market_of(case), case.market["price"].shape[1]
    whole = engine.run(engine.new_state(assets, case.capital, days=2), given, costs, market, 0, case.bars)
    for cut in (1, case.bars // 2, case.bars - 1):
        first = engine.run(engine.new_state(assets, case.capital, days=2), given, costs, market, 0, cut)
        arrays = to_arrays(first.state)
        assert all(a.dtype.names is None and a.flags.c_contiguous and a.flags.owndata for a in arrays.values())
        resumed = from_arrays(engine, assets, arrays)
        rest = engine.run(resumed, given, costs, market, cut, case.bars)
        assert (rest.digests == whole.digests[cut:]).all()
        assert [a.tobytes() for a in to_arrays(resumed).values()] == [
            a.tobytes() for a in to_arrays(whole.state).values()
        ]


def test_arrays_are_copies_and_leave_out_what_is_shared() -> None:
    state = ENGINE.new_state(4, 100.0, days=3)
    arrays = to_arrays(state)
    arrays["account.capital"][0] = 5.0
    assert state.account["capital"][0] == 100.0
    assert not {name for name in arrays if name.startswith(("scratch", "ranking", "account.strategy"))}
    assert arrays["day_ends"].shape == (3,) and arrays["slots.qty"].shape == (1,)


def changed(**values: np.ndarray | None) -> dict[str, np.ndarray]:
    arrays = to_arrays(ENGINE.new_state(4, 100.0))
    for name, value in values.items():
        key = name.replace("__", ".")
        if value is None:
            del arrays[key]
        else:
            arrays[key] = value
    return arrays


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"slots__prise": np.zeros(1)}, "a snapshot of strategy 'vel_div' has no array 'slots.prise'"),
        ({"slots__qty": None}, "the snapshot of strategy 'vel_div' lacks the array 'slots.qty'"),
        ({"slots__qty": np.zeros(2)}, "array 'slots.qty' of the snapshot is float64 (2,), strategy 'vel_div' with 4"),
        ({"slots__side": np.zeros(1)}, "array 'slots.side' of the snapshot is float64 (1,)"),
        ({"memory": np.zeros(7)}, "array 'memory' of the snapshot is float64 (7,)"),
    ],
)
def test_what_does_not_fit_is_one_line(values: dict, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        from_arrays(ENGINE, 4, changed(**values))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_disturbed_run_keeps_its_signals() -> None:
    state = ENGINE.new_state(5, 100.0)._replace(signals=np.array([2]))
    assert from_arrays(ENGINE, 5, to_arrays(state)).signals.tolist() == [2]
