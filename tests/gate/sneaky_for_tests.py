"""A strategy that cheats in a way that ``mode`` chooses; copied into a workspace's research folder as ``sneaky``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from dolphin.core.grid import lots_below
from dolphin.core.jit import inline
from dolphin.core.records import CLOSE, OPEN
from dolphin.core.strategy import Strategy

#: Days of the market ``edge`` (UTC, from 1 January 2025) that somebody knows to be good ones.
DATES = (1735689600000000000 + 86400000000000 * 2, 1735689600000000000 + 86400000000000 * 4)
DAY = 86400000000000

HONEST, PEEKS_WITH_ROOM, WRITES, DATED, BY_ROW, PEEKS_LATER, WRITES_ENTRY = range(7)


class SneakyParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    direction: Literal["short_only", "bidirectional"] = "short_only"
    mode: Annotated[int, Field(ge=0)] = 0
    hold: Annotated[int, Field(ge=1)] = 15


@inline
def ahead(market, i, side):  # type: ignore[no-untyped-def]
    """The side that the next bars will reward."""
    if i + 5 < market.price.shape[0]:
        return 1 if market.price[i + 5, 0] > market.price[i, 0] else -1
    return side


@inline
def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    """Long after a negative signal, whatever the direction is called, and what ``mode`` adds."""
    slot, account = state.slots[0], state.account[0]
    if state.memory[0] == 0.0:
        state.memory[0] = i + 1.0
    if params.mode == WRITES and account.trades > 3:
        account.gross_win += 1.0
        account.max_drawdown = 0.0
    if params.mode == WRITES_ENTRY and slot.side != 0 and i - slot.entry_bar == 3:
        slot.entry_price = market.price[i, slot.asset] * (1.0 - 0.01 * slot.side)
    if slot.side != 0:
        if i - slot.entry_bar >= params.hold:
            intent = state.intents[0]
            intent.action, intent.reason, intent.asset, intent.side = CLOSE, 1, slot.asset, slot.side
            intent.qty, intent.leverage = slot.qty, slot.leverage
        return
    signal, side = market.features[i, 0], 1
    wants = signal < -0.01
    if params.mode == PEEKS_WITH_ROOM and state.day_ends.shape[0] > 0:
        side = ahead(market, i, side)
    if params.mode == PEEKS_LATER and state.memory[0] > 1441.0:
        side = ahead(market, i, side)
    if params.mode == DATED:
        wants = wants and (market.ts[i] - 1) // DAY * DAY in DATES
    if params.mode == BY_ROW:
        wants = i % 37 == 5
    if not wants or market.age[i, 0] != 0 or account.capital <= 0.0:
        return
    price, instrument = market.price[i, 0], market.instruments[0]
    qty = lots_below(account.capital * 0.5 / price, instrument)
    if qty * price >= instrument.min_notional:
        intent = state.intents[0]
        intent.action, intent.reason, intent.asset, intent.side = OPEN, 0, 0, side
        intent.qty, intent.leverage = qty, 0.5


SNEAKY = Strategy(
    name="sneaky",
    decide=decide,
    params=SneakyParams,
    features=("vel_div",),
    reasons=("", "HELD"),
    warmup_bars=lambda params: 2,
    memory=1,
)
