"""A strategy of another kind than vel_div: two slots, memory, its own parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from dolphin.core.grid import lots_below
from dolphin.core.jit import inline
from dolphin.core.records import CLOSE, OPEN
from dolphin.core.strategy import Strategy


class TwoSlotParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lookback: Annotated[int, Field(ge=1)] = 10
    hold: Annotated[int, Field(ge=1)] = 7
    stretch: Annotated[float, Field(ge=0.0)] = 1.0
    share: Annotated[float, Field(gt=0.0, le=5.0)] = 0.8
    smooth: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    fade: Literal["winner", "loser"] = "winner"


@inline
def extreme(market, i, lookback, sign):  # type: ignore[no-untyped-def]
    """The fresh asset that moved most in the direction of ``sign``, or -1."""
    best, most = -1, 0.0
    if i < lookback:
        return best
    for j in range(market.price.shape[1]):
        move = sign * (market.log_price[i, j] - market.log_price[i - lookback, j])
        if market.age[i, j] == 0 and move > most:
            best, most = j, move
    return best


@inline
def enter(state, params, market, i, s, asset, side):  # type: ignore[no-untyped-def]
    """Ask for a position in slot ``s``."""
    capital = state.account[0].capital
    if asset < 0 or capital <= 0.0:
        return
    price = market.price[i, asset]
    instrument = market.instruments[asset]
    qty = lots_below(capital * params.share / price, instrument)
    if qty * price >= instrument.min_notional:
        intent = state.intents[s]
        intent.action, intent.reason, intent.asset, intent.side = OPEN, 0, asset, side
        intent.qty, intent.leverage = qty, params.share


@inline
def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    """Slot 0 rides the winner, slot 1 fades a stretched one, which may be the same asset."""
    for s in range(2):
        slot = state.slots[s]
        if slot.side != 0 and i - slot.entry_bar >= params.hold + s:
            intent = state.intents[s]
            intent.action, intent.reason, intent.asset, intent.side = CLOSE, 1 + s, slot.asset, slot.side
            intent.qty, intent.leverage = slot.qty, slot.leverage
    signal = market.features[i, 0]
    if signal == signal:
        state.memory[0] += params.smooth * (abs(signal) - state.memory[0])
    state.memory[1] += 1.0
    winner = extreme(market, i, params.lookback, 1.0)
    if state.slots[0].side == 0:
        enter(state, params, market, i, 0, winner, 1)
    if state.slots[1].side == 0 and abs(signal) > params.stretch * state.memory[0]:
        if params.fade == 0:
            enter(state, params, market, i, 1, winner, -1)
        else:
            enter(state, params, market, i, 1, extreme(market, i, params.lookback, -1.0), 1)


TWO_SLOTS = Strategy(
    name="two_slots",
    decide=decide,
    params=TwoSlotParams,
    features=("vel_div",),
    reasons=("", "RIDDEN", "FADED"),
    warmup_bars=lambda params: params.lookback + 1,
    slots=2,
    memory=2,
)
