"""Bundled strategies on random markets: through the compiled engine, and as plain Python through the slow one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import PCG64, Generator
from pydantic import BaseModel
from reference.identity import check

from dolphin.config import params_records
from dolphin.core.engine import Engine, engine_for
from dolphin.core.records import MARKET_COLUMNS, RISK, State
from dolphin.core.strategy import Strategy
from dolphin.parity.slow.agreement import CompiledRun, first_difference
from dolphin.parity.slow.compiled_case import friction_of_case, market_of, run_case
from dolphin.parity.slow.engine import Case, SlowRun, run_slow
from dolphin.parity.slow.fills import Friction
from dolphin.parity.slow.plain_case import case_of as plain_case_of
from dolphin.parity.slow.random_case import _market

CAPITAL = 25_000.0


def random_market(seed: int, bars: int = 360, assets: int = 5) -> dict[str, np.ndarray]:
    """Columns by name: late listings, gaps, halts, stretches without a real price, in which the last one stands."""
    market = _market(Generator(PCG64(seed)), bars, assets, CAPITAL, 0.2)
    for name in ("open", "high", "low"):
        market[name] = np.where(np.isnan(market[name]), market["price"], market[name])
    return market


def hand_market(prices: Any, *, wide: float = 0.0, age: Any = None) -> dict[str, np.ndarray]:
    """Columns by name from closes (T, N) on ticks of 0.01; high and low ``wide`` above and below the close."""
    price = np.array(prices, np.float64)
    filler = random_market(0, 60, price.shape[1])
    market = {name: x if name == "instruments" else x[: len(price)] for name, x in filler.items()}
    records = market["instruments"]
    records["tick"], records["tick_num"], records["tick_den"] = 0.01, 1.0, 100.0
    records["lot"], records["lot_num"], records["lot_den"] = 0.001, 1.0, 1000.0
    records["min_notional"] = 5.0
    risk = np.zeros(len(price), RISK)
    risk["boost"], risk["rm"] = 1.0, 1.0
    opened = np.vstack([price[:1], price[:-1]])
    return market | {
        "price": price,
        "log_price": np.log(price),
        "open": opened,
        "high": np.maximum(opened, price) + wide,
        "low": np.minimum(opened, price) - wide,
        "age": np.zeros(price.shape, np.int32) if age is None else np.array(age, np.int32),
        "risk": risk,
    }


def case_of(strategy: Strategy, params: BaseModel, market: dict[str, np.ndarray], friction: Friction) -> Case:
    """The strategy as a case of the slow engine, on the columns that it and the fill model ask for."""
    ranged = () if friction.fill_model == "scan_price" else ("open", "high", "low")
    volume = ("volume",) if friction.fill_model == "volume_share" else ()
    asked = {*strategy.market_columns, *ranged, *volume}
    kept = {name: x for name, x in market.items() if name in asked or name not in MARKET_COLUMNS}
    return plain_case_of(strategy, params_records([params]), kept, friction, CAPITAL)


def run_both(
    strategy: Strategy, params: BaseModel, market: dict[str, np.ndarray], friction: Friction
) -> tuple[Case, SlowRun, CompiledRun]:
    """Both engines, which must agree in every bit, and whose money and quantities must add up."""
    case = case_of(strategy, params, market, friction)
    slow, fast = run_slow(case), run_case(case, engine_for(strategy), params_records([params]))
    found = first_difference(case, slow, fast)
    assert found is None, found
    assert [float(x) for x in fast.state.memory] == slow.memory
    check(case, slow)
    return case, slow, fast


def assert_one_run(strategy: Strategy, params: BaseModel, case: Case) -> None:
    """Cut short, resumed in the middle and within a sweep, the run is the same."""
    engine, market, bars = engine_for(strategy), market_of(case), case.bars
    record, friction, assets = params_records([params]), friction_of_case(case), case.market["price"].shape[1]

    def fresh() -> State:
        return engine.new_state(assets, CAPITAL)

    whole = engine.run(fresh(), record, friction, market, 0, bars)
    half = bars // 2 + 3
    cut = market_of(case.first(half))
    assert (engine.run(fresh(), record, friction, cut, 0, half).digests == whole.digests[:half]).all()
    state = fresh()
    engine.run(state, record, friction, market, 0, half)
    assert (engine.run(state, record, friction, market, half, bars).digests == whole.digests[half:]).all()
    _assert_swept(engine, params, case, whole.state)


def _assert_swept(engine: Engine, params: BaseModel, case: Case, alone: State) -> None:
    """Our combination among others ends as it does alone."""
    values = params.model_dump()
    other = type(params)(**(values | {"max_stale_bars": values["max_stale_bars"] + 1}))
    records = params_records([other, params, other, params])
    friction = np.repeat(friction_of_case(case), 4)
    friction["fee"][::2] *= 1.5
    states = engine.new_states(case.market["price"].shape[1], np.full(4, CAPITAL))
    engine.run_many(states, records, friction, market_of(case), 0, case.bars, threads=2, chunk=2)
    for k in (1, 3):
        for part in ("slots", "working", "memory"):
            assert getattr(states, part)[k].tobytes() == getattr(alone, part).tobytes(), part
        for name in ("capital", "equity", "max_drawdown", "trades", "fees_paid", "traded"):
            assert states.account[name][k, 0] == alone.account[name][0], name


def assert_warm(strategy: Strategy, params: BaseModel, case: Case, start: int) -> None:
    """A run that begins at row ``start`` trades the same with no more history than the strategy asks for."""
    engine, record, friction = engine_for(strategy), params_records([params]), friction_of_case(case)
    market, assets = market_of(case), case.market["price"].shape[1]
    first = start + 1 - strategy.warmup_bars(params)
    assert first > 0
    rows = {name: values[first:] for name, values in market.by_row().items()}
    whole = engine.run(engine.new_state(assets, CAPITAL), record, friction, market, start, case.bars)
    short = engine.run(
        engine.new_state(assets, CAPITAL), record, friction, market._replace(**rows), start - first, case.bars - first
    )
    assert len(whole.trades) > 3
    assert short.equity.tobytes() == whole.equity.tobytes()
    for name in ("qty", "entry_price", "exit_price", "pnl", "reason", "asset", "side"):
        assert short.trades[name].tobytes() == whole.trades[name].tobytes(), name
