"""One strategy that keeps every rule, and one for each way to break one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import BaseModel

from dolphin.core.grid import lots_below
from dolphin.core.jit import inline
from dolphin.core.records import CLOSE, OPEN
from dolphin.core.strategy import Strategy

HOLD = 4


class Params(BaseModel):
    """``level`` is a price where a strategy uses it; by default none does."""

    least: float = 0.004
    share: float = 0.5
    level: float = 0.0
    hold: int = HOLD


@inline
def signal(params, market, i):
    return market.features[i, 0] < -params.least and market.price[i, 0] > 0.0


@inline
def leave(state, params, i):
    """Close slot 0 when it was held long enough."""
    slot, intent = state.slots[0], state.intents[0]
    if slot.side != 0 and i - slot.entry_bar >= params.hold:
        intent.action, intent.reason, intent.asset, intent.side = CLOSE, 1, slot.asset, slot.side
        intent.qty, intent.leverage = slot.qty, slot.leverage


@inline
def enter(state, params, market, i):
    """Buy the first asset."""
    intent, price = state.intents[0], market.price[i, 0]
    if state.slots[0].side == 0 and price > 0.0:
        intent.action, intent.reason, intent.asset, intent.side = OPEN, 0, 0, 1
        intent.qty = lots_below(state.account[0].capital * params.share / price, market.instruments[0])
        intent.leverage = params.share


@inline
def right(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i):
        enter(state, params, market, i)


@inline
def may_enter(params, market, i):
    return signal(params, market, i)


@inline
def reads_an_asset_that_is_not(state, params, market, i):
    right(state, params, market, i)
    if market.price[i, 999] > 0.0:
        state.memory[0] += 1.0


@inline
def reads_a_slot_that_is_not(state, params, market, i):
    right(state, params, market, i)
    if state.slots[3].side != 0:
        state.memory[0] += 1.0


@inline
def far(market, i, j):
    return market.log_price[i, j + 40]


@inline
def reads_outside_in_a_helper(state, params, market, i):
    right(state, params, market, i)
    if far(market, i, 0) > 0.0:
        state.memory[0] += 1.0


@inline
def writes_the_account(state, params, market, i):
    right(state, params, market, i)
    if i == 20:
        state.account[0].peak_equity += 1.0


@inline
def writes_a_slot(state, params, market, i):
    right(state, params, market, i)
    if i == 20:
        state.slots[0].entry_bar = 3


@inline
def writes_the_market(state, params, market, i):
    right(state, params, market, i)
    if i == 20:
        market.features[i - 3, 0] = 1.0


@inline
def writes_the_parameters(state, params, market, i):
    right(state, params, market, i)
    if i == 20:
        params.hold = 9


@inline
def wants_part_of_a_lot(state, params, market, i):
    right(state, params, market, i)
    if state.intents[0].action == OPEN:
        state.intents[0].qty *= 1.0 + 1e-7


@inline
def wants_an_asset_that_is_not(state, params, market, i):
    right(state, params, market, i)
    if state.intents[0].action == OPEN and i % 3 == 0:
        state.intents[0].asset = -1


@inline
def gives_no_declared_reason(state, params, market, i):
    right(state, params, market, i)
    if state.intents[0].action == CLOSE:
        state.intents[0].reason = 2


@inline
def never_trades(state, params, market, i):
    if market.features[i, 0] > 1e9:
        enter(state, params, market, i)


@inline
def throws_dice(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and np.random.random() < 0.5:  # noqa: NPY002 - the mistake
        enter(state, params, market, i)


@inline
def reads_leftovers(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and state.scratch[0] > 3.0:
        enter(state, params, market, i)


@inline
def knows_tomorrow(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and market.price[i + 1, 0] > market.price[i, 0]:
        enter(state, params, market, i)


@inline
def counts_from_the_end(state, params, market, i):
    """In the first bars a negative row is one of the last."""
    leave(state, params, i)
    if signal(params, market, i) and market.price[i - 100, 0] > market.price[i, 0]:
        enter(state, params, market, i)


@inline
def looks_further_back(state, params, market, i):
    leave(state, params, i)
    if i >= 60 and signal(params, market, i) and market.price[i - 60, 0] > market.price[i, 0]:
        enter(state, params, market, i)


@inline
def even_bars(params, market, i):
    return signal(params, market, i) and i % 2 == 0


@inline
def counts_bars(state, params, market, i):
    right(state, params, market, i)
    state.memory[0] += 1.0


@inline
def counts_in_scratch(state, params, market, i):
    """Set at the first bar, so that a whole run is always the same."""
    if state.account[0].bars == 0:
        state.scratch[0] = 0.0
    state.scratch[0] += 1.0
    leave(state, params, i)
    if signal(params, market, i) and state.scratch[0] % 3.0 != 0.0:
        enter(state, params, market, i)


@inline
def knows_a_price(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and market.price[i, 0] > 118.0:
        enter(state, params, market, i)


@inline
def knows_a_log_price(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and market.log_price[i, 0] > 4.77:
        enter(state, params, market, i)


@inline
def is_told_a_price(state, params, market, i):
    leave(state, params, i)
    if signal(params, market, i) and market.price[i, 0] > params.level:
        enter(state, params, market, i)


@inline
def reads_a_copied_row(state, params, market, i):
    """The column is not named in the subscript: it must be seen to matter."""
    row = market.features[i]
    leave(state, params, i)
    if row[0] < -params.least:
        enter(state, params, market, i)


@inline
def trades_alone(state, params, market, i):
    """Where the combinations of a sweep share answers it does nothing."""
    leave(state, params, i)
    if signal(params, market, i) and state.ranking.shape[0] == 0:
        enter(state, params, market, i)


RIGHT = Strategy(
    name="right",
    decide=right,
    params=Params,
    features=("vel_div",),
    reasons=("", "HELD"),
    warmup_bars=lambda params: 1,
    memory=1,
)


def declared(decide, **others) -> Strategy:
    return replace(RIGHT, name=decide.py_func.__name__, decide=decide, **others)


INSIDE, PURE, ORDERS, SAME = "stays inside its arrays", "writes what it may", "orders that can be", "deterministic"
AHEAD, WARM, PROMISE = "no look-ahead", "warm-up is enough", "may_enter keeps its promise"
RESUME, SCALE = "resumes from a snapshot", "scale of quantities"
FEATURES, SWEEP = "reads the features that it declares", "a sweep is the single runs"

#: Strategy, the rules that it breaks, the first bar (None where any may be), the field.
WRONG = [
    (declared(reads_an_asset_that_is_not), {INSIDE}, 0, None),
    (declared(reads_a_slot_that_is_not), {INSIDE}, 0, None),
    (declared(reads_outside_in_a_helper), {INSIDE}, 0, None),
    (declared(writes_the_account), {PURE}, 20, "state.account.peak_equity"),
    (declared(writes_a_slot), {PURE}, 20, "state.slots.entry_bar"),
    (declared(writes_the_market), {PURE}, 20, "market.features"),
    (declared(writes_the_parameters), {PURE}, 20, "params.hold"),
    (declared(counts_bars, memory=0), {PURE}, 0, "state.memory, of which none is declared"),
    (declared(wants_part_of_a_lot), {ORDERS}, None, "state.refused"),
    (declared(wants_an_asset_that_is_not), {ORDERS}, None, "state.refused"),
    (declared(gives_no_declared_reason), {ORDERS}, None, "state.intents.reason"),
    (declared(never_trades), {ORDERS}, None, None),
    (declared(throws_dice), {SAME, AHEAD, WARM, RESUME, SCALE}, None, None),
    (declared(reads_leftovers), {SAME, RESUME}, None, None),
    (declared(knows_tomorrow), {AHEAD}, None, None),
    (declared(counts_from_the_end), {AHEAD, WARM}, None, None),
    (declared(looks_further_back), {WARM}, None, None),
    (declared(right, may_enter=even_bars), {PROMISE}, None, "state.intents"),
    (declared(counts_bars, may_enter=may_enter), {PROMISE}, None, "state.memory"),
    (declared(counts_in_scratch), {RESUME}, None, None),
    (declared(knows_a_price), {SCALE}, None, None),
    (declared(knows_a_log_price), {SCALE}, None, None),
    (declared(right, features=("vel_div", "vol")), {FEATURES}, None, "market.features[i, 1]"),
    (declared(reads_a_copied_row, features=("vel_div", "vol")), {FEATURES}, None, "market.features[i, 1]"),
    (declared(trades_alone), {SWEEP}, None, None),
]
TOLD_A_PRICE = declared(is_told_a_price)
