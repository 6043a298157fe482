"""Each mistake in a strategy is one line with its file, its line and what to do about it."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
from markets import friction, random_market
from strategies_for_tests import TWO_SLOTS

from dolphin.config import params_records
from dolphin.core.engine import Engine
from dolphin.core.mistakes import StrategyError
from dolphin.core.strategy import Strategy

HEAD = """\
import numpy as np
from dolphin.core.jit import inline

def plain(x):
    return x + 1.0

TABLE = {"a": 1.0}

@inline
def helper(slot, i):
    return slot.price + i

@inline
def fine(slot, i):
    return slot.qty + i

@inline
def decide(state, params, market, i):
    intent = state.intents[0]
    """
LINE = HEAD.count("\n") + 1

MISTAKES = [
    ("if params.strech > 0.0: intent.action = 1", LINE, "params has no field 'strech'; did you mean 'stretch'?"),
    ("intent.qty = state.slots[0].price", LINE, "state.slots[s] has no field 'price'; did you mean 'entry_price'?"),
    ("intent.qty = market.prise[i, 0]", LINE, "market has no field 'prise'; did you mean 'price'?"),
    ("intent.qty = state.acount[0].capital", LINE, "state has no field 'acount'; did you mean 'account'?"),
    ("intent.qty = state.account[0].captal", LINE, "state.account[0] has no field 'captal'; did you mean 'capital'?"),
    ("intent.qty = market.risk[i].bost", LINE, "market.risk[i] has no field 'bost'; did you mean 'boost'?"),
    ("intent.quantity = 1.0", LINE, "an order (state.intents[s]) has no field 'quantity'; did you mean 'qty'?"),
    ("intent.qty = helper(state.slots[0], i)", 11, "state.slots[s] has no field 'price'; did you mean 'entry_price'?"),
    ("intent.qty = plain(1.0)", LINE, "calls 'plain', which is a plain Python function; decorate it with dolphin.core"),
    ("intent.qty = TABLE['a']", LINE, "reads 'TABLE', a dict, which compiled code cannot; numbers, tuples"),
    ("intent.qty = fin(state.slots[0], i)", LINE, "name 'fin' is not defined; did you mean 'fine'?"),
    (
        "intent.qty = fine(state.slots[0])",
        LINE,
        "calls a function with the wrong arguments: missing a required argumen",
    ),
    ("intent.qty = 'many'", LINE, "puts the text 'many' where a number belongs"),
    ("intent.qty = params.stretch + 'a'", LINE, "'+' does not take a number and the text 'a'"),
    ("intent.qty = market.price[i]", LINE, "takes an array of 1 dimension for one value; read one of its elements"),
    ("intent.qty = 1.0 if market.price[i] > 3 else 2.0", LINE, "takes an array of 1 dimension for one value; read one"),
    ("intent.qty = market.price[i, 0, 0]", LINE, "gives 3 indices to an array of 2 dimensions"),
    ("intent.qty = market.price(i, 0)", LINE, "calls an array; its elements are read with [ ]"),
    ("for k in params.stretch: intent.qty = k", LINE, "goes through a number, which has no elements"),
    ("intent.qty = params.stretch(1)", LINE, "calls a number like a function"),
    ("intent.qty = params.stretch.lot", LINE, "a number has no attribute 'lot'"),
    ("intent.qty = market.close[i, 0]", LINE, "market has no field 'close'; did you mean 'price'?"),
    ("intent.qty = max(params.stretch, intent)", LINE, "'max' does not take a number and a record"),
    ("state.intents.qty = 1.0", LINE, "gives an array where a record with 'qty' belongs, such as state.intents[0]"),
    ("import math; intent.qty = math.pi", LINE, "imports within a function; import above it, in the module"),
    ("intent.qty = np.nothing(3.0)", LINE, "numpy has no 'nothing'"),
    ("intent.qty = market.price[i, 'BTCUSDT']", LINE, "uses the text 'BTCUSDT' as an index; name it in Strategy(symb"),
    ("intent.qty = market.price[i, 0.5]", LINE, "uses a float64 as an index; an index is a whole number"),
    ("intent.qty = np.zeros(3)[0]", LINE, "allocates memory; kernels allocate nothing"),
    ("state.slots = 3", LINE, "assigns to state.slots; write into its elements"),
    ("x = 1 if i > 3 else 'a'; intent.qty = x", LINE, "a value is both "),
]


def engine_of(folder: Path, line: str) -> tuple[Engine, Path]:
    file = folder / f"own_{abs(hash(line))}.py"
    file.write_text(f"{HEAD}{line}\n")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    strategy = Strategy("own", module.decide, TWO_SLOTS.params, ("vel_div",), ("", "HELD"), lambda params: 1)
    return Engine(strategy), file


def run(engine: Engine) -> None:
    params = params_records([engine.strategy.params()])
    engine.run(engine.new_state(5, 25_000.0), params, friction(), random_market(1, bars=20), 0, 20)


@pytest.mark.parametrize(("line", "where", "said"), MISTAKES, ids=[line for line, *_ in MISTAKES])
def test_a_mistake_is_one_line(line: str, where: int, said: str, tmp_path: Path) -> None:
    engine, file = engine_of(tmp_path, line)
    for _ in range(2):  # and the next call says it again
        with pytest.raises(StrategyError) as caught:
            run(engine)
        assert str(caught.value).startswith(f"{file}:{where}: ") and said in str(caught.value)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_sweep_says_the_same(tmp_path: Path) -> None:
    engine, _ = engine_of(tmp_path, "intent.qty = market.prise[i, 0]")
    params = np.repeat(params_records([engine.strategy.params()]), 3)
    states = engine.new_states(5, np.full(3, 25_000.0))
    with pytest.raises(StrategyError, match="market has no field 'prise'"):
        engine.run_many(states, params, np.repeat(friction(), 3), random_market(1, bars=20), 0, 20, threads=2)


def test_what_decide_raises_is_told_with_its_line(tmp_path: Path) -> None:
    engine, file = engine_of(tmp_path, "\n    if i > 3:\n        raise ValueError('no bar')")
    params, state, market = (
        params_records([engine.strategy.params()]),
        engine.new_state(5, 25_000.0),
        random_market(1, 9),
    )
    engine.kernels.decide_bar(state, params, friction(), market, 3)
    with pytest.raises(StrategyError) as caught:
        engine.kernels.decide_bar(state, params, friction(), market, 4)
    assert str(caught.value) == f"{file}:{LINE + 2}: raised ValueError: no bar"


def test_a_mistake_goes_from_process_to_process() -> None:
    error = StrategyError("a.py", 3, "is wrong", "mend it")
    again = pickle.loads(pickle.dumps(error))
    assert (again.file, again.line, again.reason, again.mend) == ("a.py", 3, "is wrong", "mend it")
    assert str(again) == str(error) == "a.py:3: is wrong; mend it"
