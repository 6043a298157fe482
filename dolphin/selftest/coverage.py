"""That a digest covers what it should: a field that counts, changed alone, changes its stage's word and the chain."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from pydantic import BaseModel

from dolphin.core.digest import STAGES
from dolphin.core.engine import engine_for
from dolphin.core.jit import inline, kernel
from dolphin.core.kernels import fold
from dolphin.core.records import LIMIT, OPEN, Market, State
from dolphin.core.strategy import Strategy
from dolphin.selftest.detectors import Finding
from dolphin.selftest.markets import small_market

BAR, ASSET = 40, 2

#: What counts of an order, a fill, a position, the account and the risk inputs.
ORDER = (
    "action",
    "asset",
    "side",
    "reason",
    "qty",
    "leverage",
    "kind",
    "limit",
    "trigger",
    "expires",
    "post_only",
    "reduce_only",
)
FILL = ("action", "asset", "side", "reason", "qty", "leverage", "price", "fee", "kind", "passive")
SLOT = ("side", "asset", "entry_bar", "qty", "entry_price", "leverage", "entry_fee", "funding", "realised")
ACCOUNT = ("capital", "peak_equity", "equity", "trades")
RISK = ("boost", "beta", "rm", "posture")


@inline
def _idle(state, params, market, i):  # type: ignore[no-untyped-def]
    pass


class _NoParams(BaseModel):
    pass


WATCHED = Strategy(
    name="watched", decide=_idle, params=_NoParams, features=("vel_div", "vol"), reasons=("",),
    warmup_bars=lambda params: 0, slots=2, memory=2, orders=("limit", "stop"), resize=True,
)  # fmt: skip


@kernel(_nrt=False)
def folded(state, market, i, stages):  # type: ignore[no-untyped-def]
    """Fold bar ``i``; the stage words in order."""
    stages[0], stages[1], stages[2], stages[3], stages[4], stages[5] = fold(state, market, i)


def digest_covers() -> Finding | None:
    """The first field that can change unseen, or is seen in the wrong stage."""
    state, market = _busy_state(), small_market()
    _, before, digest = _fold(state, market)
    for what, stage, change in _changes():
        other = State._make(np.array(values) for values in state)
        copies: dict[str, Any] = {name: np.array(getattr(market, name)) for name in ("risk", "features", "price", "ts")}
        near = market._replace(**copies)
        change(other, near)
        _, after, chained = _fold(other, near)
        differ = [STAGES[k] for k in np.flatnonzero(before != after).tolist()]
        if stage == "chain":
            differ = ["chain"] if chained != digest else []
        if stage not in differ:
            seen = f"it changes {', '.join(differ)}" if differ else "no word changes"
            return Finding(stage, BAR, f"{what} changes and its stage word {stage} does not ({seen})")
        if chained == digest:
            return Finding("chain", BAR, f"{what} changes and the digest does not")
        # A position's asset and side, an order's asset: what the row says of them is data of the bar.
        if set(differ) - {stage, "data", "chain"}:
            return Finding(stage, BAR, f"{what} changes the words {', '.join(differ)}")
    return None


def _fold(state: State, market: Market) -> tuple[State, Any, int]:
    copy, stages = State._make(np.array(values) for values in state), np.zeros(len(STAGES), np.uint64)
    folded(copy, market._replace(risk=np.array(market.risk)), BAR, stages)
    return copy, stages, int(copy.account["digest"][0])


def _busy_state() -> State:
    """One slot holds a position, wishes something, was filled and has an order in the market."""
    state = engine_for(WATCHED).new_state(small_market().price.shape[1], 25_000.0)
    slot, assets = state.slots[0], ASSET
    slot["side"], slot["asset"], slot["entry_bar"], slot["qty"], slot["entry_price"] = 1, assets, 30, 0.5, 61_000.0
    slot["leverage"], slot["entry_fee"], slot["funding"], slot["realised"] = 1.5, 9.0, 0.25, -9.0
    for orders in (state.intents, state.working, state.fills):
        order = orders[0]
        order["action"], order["asset"], order["side"], order["qty"], order["kind"] = OPEN, assets, 1, 0.25, LIMIT
        order["limit"], order["trigger"], order["leverage"], order["price"], order["fee"] = 60e3, 62e3, 1.0, 6e4, 3.0
    return state


def _changes() -> Iterator[tuple[str, str, Callable[[State, Market], None]]]:
    def of(where: str, name: str) -> Callable[[State, Market], None]:
        def change(state: State, market: Market) -> None:
            values = getattr(state, where)[name]
            values[0] = _nudged(values[0])

        return change

    for name in ORDER:
        yield f"intents.{name}", "intent", of("intents", name)
        yield f"working.{name}", "state", of("working", name)
    for name in FILL:
        yield f"fills.{name}", "fill", of("fills", name)
    for name in SLOT:
        yield f"slots.{name}", "state", of("slots", name)
    for name in ACCOUNT:
        yield f"account.{name}", "state", of("account", name)
    yield "the digest of the bar before", "chain", of("account", "digest")

    def row(column: Callable[[Market], Any]) -> Callable[[State, Market], None]:
        def change(state: State, market: Market) -> None:
            _nudge(column(market), BAR)

        return change

    def refused(state: State, market: Market) -> None:
        state.refused[0] = 5

    def remembered(state: State, market: Market) -> None:
        state.memory[1] += 1.0

    yield "refused", "intent", refused
    yield "memory", "state", remembered
    for name in RISK:
        yield f"risk.{name}", "risk", row(functools.partial(_of_risk, name))
    for f in range(2):
        yield f"feature {f}", "features", row(functools.partial(_of_features, f))
    yield "the held asset's price", "data", row(lambda market: market.price[:, ASSET])
    yield "bar time", "data", row(lambda market: market.ts)


def _of_risk(name: str, market: Market) -> Any:
    return market.risk[name]


def _of_features(column: int, market: Market) -> Any:
    return market.features[:, column]


def _nudge(values: Any, at: int) -> None:
    values[at] = _nudged(values[at])


def _nudged(value: Any) -> Any:
    """The next number: one more, or the next float."""
    return np.nextafter(value, np.inf) if isinstance(value, np.floating) else value + type(value)(1)
