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
def engine_of(decide, slots, orders, resize, margin, memory, reasons) -> Engine:  # type: ignore[no-untyped-def]
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
        )
    )


def market_of(case: Case) -> Market:
    asked = {name: case.market[name] for name in case.columns}
    names = ("ts", "price", "log_price", "age", "features", "risk", "instruments")
    return Market(**{name: case.market[name] for name in names}, **asked)


def records_of(case: Case) -> tuple[Engine, Records, Records]:
    """The engine of a case, its parameters and its friction."""
    resize = case.resize
    engine = engine_of(case.decide, case.slots, case.orders, resize, case.margin, case.memory, case.reasons)
    params = np.zeros(1, np.dtype([(name, "f8" if isinstance(v, float) else "i8") for name, v in case.params.items()]))
    for name, value in case.params.items():
        params[name] = value
    friction = np.zeros(1, friction_of(BUNDLED[case.friction.fill_model]))
    friction["slippage"], friction["fee"] = case.friction.slippage, case.friction.taker
    friction["maker_fee"], friction["maintenance"] = case.friction.maker, case.friction.maintenance
    friction["volume_share"], friction["fill_next"] = case.friction.volume_share, case.friction.timing == "next"
    return engine, params, friction


def run_compiled(case: Case) -> CompiledRun:
    """One call per bar, and the batch loop, which must give the same digests."""
    engine, params, friction = records_of(case)
    market, assets = market_of(case), case.market["price"].shape[1]
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
