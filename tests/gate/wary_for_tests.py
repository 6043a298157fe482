"""A strategy without an edge that knows shifted signals when it sees them; copied into a workspace's research folder.

One of its features is the price of a row. Where it is not the price beside it, somebody has shifted the signals, and
the strategy loses what it can. On the market it sells every ``every`` bars, for no reason.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from dolphin.core.grid import lots_below
from dolphin.core.jit import inline
from dolphin.core.records import CLOSE, OPEN
from dolphin.core.strategy import Strategy
from dolphin.features import Feature


class WaryParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    direction: Literal["short_only", "bidirectional"] = "short_only"
    every: Annotated[int, Field(ge=2)] = 97
    hold: Annotated[int, Field(ge=1)] = 15


@inline
def echoed(state, bar, out):  # type: ignore[no-untyped-def]
    """The price of the first asset."""
    out[0] = bar.price[0]


@inline
def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    """Short now and then; where the signals are shifted, in and out as fast as it goes."""
    slot, shifted = state.slots[0], market.features[i, 0] != market.price[i, 0]
    intent = state.intents[0]
    if slot.side != 0:
        if shifted or i - slot.entry_bar >= params.hold:
            intent.action, intent.reason, intent.asset, intent.side = CLOSE, 1, slot.asset, slot.side
            intent.qty, intent.leverage = slot.qty, slot.leverage
        return
    account = state.account[0]
    if not (shifted or i % params.every == 0) or market.age[i, 0] != 0 or account.capital <= 0.0:
        return
    price, instrument = market.price[i, 0], market.instruments[0]
    qty = lots_below(account.capital * 0.5 / price, instrument)
    if qty * price >= instrument.min_notional:
        intent.action, intent.reason, intent.asset, intent.side = OPEN, 0, 0, -1
        intent.qty, intent.leverage = qty, 0.5


ECHO = Feature("echo", echoed, 0, 1)
WARY = Strategy(
    name="wary",
    decide=decide,
    params=WaryParams,
    features=(ECHO,),
    reasons=("", "HELD"),
    warmup_bars=lambda params: 2,
)
