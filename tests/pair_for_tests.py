"""Strategies that name their symbols and read columns beside closes, and no feature at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dolphin.core.grid import lots_below
from dolphin.core.jit import inline
from dolphin.core.records import CLOSE, OPEN
from dolphin.core.strategy import Strategy
from dolphin.core.wishes import ask_close, ask_open


class PairParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    first: str = "BTCUSDT"
    second: str = "SYN01USDT"
    least_range: Annotated[float, Field(ge=0.0)] = 0.0005
    hold: Annotated[int, Field(ge=1)] = 7


@inline
def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    """Buy the first where its range is wide and it closed above its open, while the second is traded."""
    slot, intent = state.slots[0], state.intents[0]
    if slot.side != 0:
        if i - slot.entry_bar >= params.hold:
            intent.action, intent.reason, intent.asset, intent.side = CLOSE, 1, slot.asset, slot.side
            intent.qty, intent.leverage = slot.qty, slot.leverage
        return
    a, b = market.symbols[0].first, market.symbols[0].second
    price = market.price[i, a]
    wide = market.high[i, a] - market.low[i, a] >= params.least_range * price
    if wide and price >= market.open[i, a] and market.volume[i, b] > 0.0:
        qty = lots_below(state.account[0].capital / price, market.instruments[a])
        if qty * price >= market.instruments[a].min_notional:
            intent.action, intent.reason, intent.asset, intent.side = OPEN, 0, a, 1
            intent.qty, intent.leverage = qty, 1.0


PAIR = Strategy(
    name="pair",
    decide=decide,
    params=PairParams,
    features=(),
    reasons=("", "TIME_OUT"),
    warmup_bars=lambda params: 1,
    symbols=lambda params: {"first": params.first, "second": params.second},
    market_columns=("open", "high", "low", "volume"),
)


@inline
def by_quotes(state, params, market, i):  # type: ignore[no-untyped-def]
    """Buy the first while its spread is narrow and leans upward."""
    slot, a = state.slots[0], market.symbols[0].first
    price, bid, ask = market.price[i, a], market.bid[i, a], market.ask[i, a]
    if slot.side != 0:
        if i - slot.entry_bar >= params.hold:
            ask_close(state, 0, 1)
        return
    if ask - bid <= params.least_range * price and ask - price > price - bid:
        qty = lots_below(state.account[0].capital / price, market.instruments[a])
        if qty * price >= market.instruments[a].min_notional:
            ask_open(state.intents[0], a, 1, qty, 1.0)


BY_QUOTES = replace(PAIR, name="by_quotes", decide=by_quotes, market_columns=("bid", "ask"))
