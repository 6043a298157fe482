"""A case of the slow engine through the compiled one."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from pydantic import BaseModel

from dolphin.core.engine import Engine, Recording
from dolphin.core.fill_models import BUNDLED
from dolphin.core.hooks import friction_of
from dolphin.core.records import Market, Records
from dolphin.core.strategy import Strategy
from dolphin.parity.slow.agreement import CompiledRun, run_compiled
from dolphin.parity.slow.engine import Case


@functools.cache
def engine_of(decide, slots, orders, resize, margin, memory, reasons, postures, orderly, drawdown, columns) -> Engine:  # type: ignore[no-untyped-def]
    return Engine(
        Strategy(
            name="random",
            decide=decide,
            params=BaseModel,
            features=(),
            reasons=reasons,
            warmup_bars=lambda params: 0,
            slots=slots,
            memory=memory,
            orders=orders,
            resize=resize,
            margin=margin,
            postures=postures,
            orderly=orderly,
            drawdown=drawdown,
            market_columns=columns,
        )
    )


def market_of(case: Case) -> Market:
    asked = {name: case.market[name] for name in case.columns}
    names: tuple[str, ...] = ("ts", "price", "log_price", "age", "features", "risk", "instruments")
    names += tuple(name for name in ("symbols",) if name in case.market)
    return Market(**{name: case.market[name] for name in names}, **asked)


def params_of(case: Case) -> Records:
    params = np.zeros(1, np.dtype([(name, "f8" if isinstance(v, float) else "i8") for name, v in case.params.items()]))
    for name, value in case.params.items():
        params[name] = value
    return params


def friction_of_case(case: Case) -> Records:
    friction = np.zeros(1, friction_of(BUNDLED[case.friction.fill_model]))
    friction["slippage"], friction["fee"] = case.friction.slippage, case.friction.taker
    friction["maker_fee"], friction["maintenance"] = case.friction.maker, case.friction.maintenance
    friction["volume_share"], friction["fill_next"] = case.friction.volume_share, case.friction.timing == "next"
    return friction


def engine_of_case(case: Case) -> Engine:
    declared: tuple[Any, ...] = (case.slots, case.orders, case.resize, case.margin, case.memory, case.reasons)
    declared += (case.postures, case.orderly, case.drawdown)
    return engine_of(case.decide, *declared, tuple(name for name in case.columns if name == "funding"))


def records_of(case: Case) -> tuple[Engine, Records, Records]:
    """The engine of a case, its parameters and its friction."""
    return engine_of_case(case), params_of(case), friction_of_case(case)


def run_case(case: Case, engine: Engine | None = None, params: Records | None = None) -> CompiledRun:
    """The whole case, one call per bar.

    ``engine`` and ``params``: of a strategy that is already an engine, in place of the case's ``decide``.
    """
    engine = engine_of_case(case) if engine is None else engine
    params = params_of(case) if params is None else params
    return run_compiled(engine, params, friction_of_case(case), market_of(case), case.capital, 0, case.bars)


def run_batch(case: Case, engine: Engine | None = None, params: Records | None = None) -> Recording:
    """The whole case through the batch loop."""
    engine = engine_of_case(case) if engine is None else engine
    params = params_of(case) if params is None else params
    market = market_of(case)
    state = engine.new_state(market.price.shape[1], case.capital)
    return engine.run(state, params, friction_of_case(case), market, 0, case.bars)
