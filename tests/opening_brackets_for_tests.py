"""A strategy that wants to open a position by a bracket in every row."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from dolphin.core.grid import lots_below, of_ticks, ticks_of
from dolphin.core.jit import inline
from dolphin.core.strategy import Strategy
from dolphin.core.wishes import ask_open, by_bracket

HERE, OPENING = Path(__file__).resolve().parent, "opening_brackets_for_tests:BRACKETS"


class Nothing(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@inline
def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    if state.slots[0].side == 0:
        price, instrument = market.price[i, 0], market.instruments[0]
        qty = lots_below(state.account[0].equity * 0.1 / price, instrument)
        ask_open(state.intents[0], 0, 1, qty, 0.1)
        ticks = ticks_of(price, instrument)
        by_bracket(state.intents[0], of_ticks(ticks - 50.0, instrument), of_ticks(ticks + 50.0, instrument), 0)


BRACKETS = Strategy(
    name="opening_brackets", decide=decide, params=Nothing, features=(), reasons=("",), warmup_bars=lambda params: 1,
    market_columns=("high", "low"), orders=("limit", "stop"),
)  # fmt: skip
