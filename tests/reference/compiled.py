"""A case of the slow engine through the compiled one."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel
from reference.slow_engine import Case

from dolphin.core.book import direction_of
from dolphin.core.engine import Engine, Recording
from dolphin.core.fill_models import BUNDLED
from dolphin.core.hooks import friction_of
from dolphin.core.records import NONE, Market, Records
from dolphin.core.strategy import Strategy


class CompiledRun(NamedTuple):
    """Per bar digest, capital, equity and refusals; every fill; the recording of the batch loop."""

    digests: Records
    capital: list[float]
    equity: list[float]
    refused: list[list[int]]
    fills: list[tuple]
    batch: Recording


@functools.cache
def engine_of(decide, slots, orders, resize, margin, memory, reasons, postures, orderly, columns) -> Engine:  # type: ignore[no-untyped-def]
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
            market_columns=columns,
        )
    )


def market_of(case: Case) -> Market:
    asked = {name: case.market[name] for name in case.columns}
    names = ("ts", "price", "log_price", "age", "features", "risk", "instruments")
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
    declared = (case.slots, case.orders, case.resize, case.margin, case.memory, case.reasons)
    declared += (case.postures, case.orderly)
    return engine_of(case.decide, *declared, tuple(name for name in case.columns if name == "funding"))


def records_of(case: Case) -> tuple[Engine, Records, Records]:
    """The engine of a case, its parameters and its friction."""
    return engine_of_case(case), params_of(case), friction_of_case(case)


def run_compiled(case: Case, engine: Engine | None = None, params: Records | None = None) -> CompiledRun:
    """One call per bar, and the batch loop, which must give the same digests.

    ``engine`` and ``params``: of a strategy that is already an engine, in place of the case's ``decide``.
    """
    engine = engine_of_case(case) if engine is None else engine
    params = params_of(case) if params is None else params
    market, assets, friction = market_of(case), case.market["price"].shape[1], friction_of_case(case)
    state = engine.new_state(assets, case.capital)
    run = CompiledRun(np.zeros(0), [], [], [], [], engine.run(
        engine.new_state(assets, case.capital), params, friction, market, 0, case.bars
    ))  # fmt: skip
    slots = len(state.slots)

    def on_bar(i: int, stages: Records) -> None:
        account = state.account[0]
        run.capital.append(float(account["capital"]))
        run.equity.append(float(account["equity"]))
        run.refused.append(state.refused.tolist())
        for f in np.flatnonzero(state.fills["action"] != NONE).tolist():
            fill = state.fills[f : f + 1].view(np.recarray)[0]
            run.fills.append((i, f % slots, int(direction_of.py_func(fill)), fill.qty, fill.price, fill.fee))

    digests = engine.run_per_bar(state, params, friction, market, 0, case.bars, on_bar)
    return run._replace(digests=digests)


def working_of(run: CompiledRun) -> list[tuple]:
    """The orders that are in the market at the end: None, or what they would trade and how."""
    return [
        (float(o["qty"]), int(o["kind"]), float(o["limit"]), float(o["trigger"])) if o["action"] != NONE else None
        for o in run.batch.state.working
    ]
