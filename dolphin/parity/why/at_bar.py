"""One bar decided again in plain Python from the state that the compiled engine has before it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from dolphin.config import Config
from dolphin.core.records import Market, State
from dolphin.parity.slow.book import REVERSE, Account, Order, Slot
from dolphin.parity.slow.engine import SlowEngine, SlowRun
from dolphin.parity.slow.plain_case import plain_case
from dolphin.parity.why.tracing import Frame, Tracer, traced

#: What the slow engine calls otherwise than the records do.
_ACCOUNT = {"funding_paid": "funding"}
_ORDER = {"decided": "bar"}


@dataclass(frozen=True)
class Decided:
    """What one bar did: the decision as it was traced, and the slow engine's account of wishes, refusals and fills."""

    frame: Frame
    run: SlowRun


def decide_again(config: Config, market: Market, before: State, row: int) -> Decided:
    """Bar ``row`` from the state ``before`` it, through the slow engine with the strategy's own traced source."""
    tracer = Tracer()
    case = replace(plain_case(config, market), decide=traced(config.engine.strategy.decide, tracer))
    engine = SlowEngine(case)
    _load(engine, before)
    engine.step(row)
    assert tracer.root is not None
    return Decided(tracer.root, engine.result())


def _load(engine: SlowEngine, before: State) -> None:
    """The compiled engine's state into the slow one's."""
    _take(engine.account, Account, before.account[0], _ACCOUNT)
    for slot, row in zip(engine.slots, before.slots, strict=True):
        _take(slot, Slot, row, {})
    for s, (order, row) in enumerate(zip(engine.working, before.working, strict=True)):
        _take(order, Order, row, _ORDER)
        if order.action == REVERSE:  # the record holds what is to be traded, the slow engine the new position
            order.qty = engine.instruments[order.asset].lot.subtract(order.qty, engine.slots[s].qty)
    engine.refused[:] = before.refused.tolist()
    engine.memory[:] = before.memory.tolist()[: len(engine.memory)]


def _take(target: Any, kind: Any, row: Any, renamed: dict[str, str]) -> None:
    for one in fields(kind):
        name = renamed.get(one.name, one.name)
        setattr(target, one.name, row[name].item())
