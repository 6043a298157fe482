"""Cross-sectional momentum: every so many bars the best assets long, the worst short, all of one size.

Slot s trades asset s. Between two rebalancings nothing is decided but a halt.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dolphin.core.book import open_pnl
from dolphin.core.grid import lots_below, lots_of, of_lots
from dolphin.core.hooks import risk_at
from dolphin.core.jit import inline
from dolphin.core.rank import among, kth
from dolphin.core.records import APEX, HIBERNATE, STALKER
from dolphin.core.strategy import Strategy
from dolphin.core.wishes import ask_close, ask_increase, ask_open, ask_out, ask_reduce, ask_reverse

REASONS = ("", "LIQUIDATION", "HIBERNATE_HALT", "LEFT_SET", "RESIZED", "REVERSED")
HIBERNATE_HALT, LEFT_SET, RESIZED, REVERSED = range(2, 6)

#: Memory: bars to wait until the next rebalancing.
WAIT = 0


class CrossMomentumParams(BaseModel):
    """Parameters of ``cross_momentum``: look-backs in bars, ``tolerance`` as a share of the wanted notional."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    direction: Literal["long_only", "bidirectional"] = "bidirectional"
    lookback: Annotated[int, Field(ge=1, le=100_000)] = 168
    rebalance_bars: Annotated[int, Field(ge=1, le=100_000)] = 24
    per_side: Annotated[int, Field(ge=1, le=1_000)] = 5
    gross_leverage: Annotated[float, Field(gt=0.0, le=20.0)] = 1.0
    tolerance: Annotated[float, Field(ge=0.0, le=10.0)] = 0.2
    max_stale_bars: Annotated[int, Field(ge=0)] = 5


@inline
def is_fresh(params, market, i, asset):  # type: ignore[no-untyped-def]
    """Whether the asset's last real price is young enough to be entered at."""
    return 0 <= market.age[i, asset] <= params.max_stale_bars


@inline
def score(state, params, market, i):  # type: ignore[no-untyped-def]
    """Log returns over the look-back into ``state.scratch``, NaN for those that take no part; how many do.

    A stale asset takes part only while it is held.
    """
    then, count = i - params.lookback, 0
    for j in range(market.price.shape[1]):
        gone = market.log_price[i, j] - market.log_price[then, j]
        if gone == gone and (is_fresh(params, market, i, j) or state.slots[j].side != 0):
            count += 1
        else:
            gone = np.nan
        state.scratch[j] = gone
    return count


@inline
def settle(state, s, wanted, notional, leverage, params, market, i):  # type: ignore[no-untyped-def]
    """Ask for what brings slot ``s`` to side ``wanted`` (0: flat) with ``notional``."""
    slot = state.slots[s]
    if wanted == 0 and slot.side == 0:
        return
    price, instrument, posture = market.price[i, s], market.instruments[s], risk_at(state, market, i).posture
    may_grow = is_fresh(params, market, i, s) and posture in (APEX, STALKER)
    qty = 0.0
    if wanted != 0:
        qty = lots_below(notional / price, instrument)
        if qty * price < instrument.min_notional:
            qty = 0.0
    if slot.side == 0:
        if may_grow and qty > 0.0:
            ask_open(state.intents[s], s, wanted, qty, leverage)
    elif qty == 0.0 or (wanted != slot.side and not may_grow):
        ask_close(state, s, LEFT_SET)
    elif wanted != slot.side:
        ask_reverse(state, s, qty, leverage, REVERSED)
    else:
        off, band = slot.qty * price - notional, params.tolerance * notional
        lots = lots_of(qty, instrument) - lots_of(slot.qty, instrument)
        if off > band and lots < 0.0:
            ask_reduce(state, s, of_lots(-lots, instrument), RESIZED)
        elif off < -band and lots > 0.0 and may_grow:
            more = of_lots(lots, instrument)
            if more * price >= instrument.min_notional:
                ask_increase(state, s, more)


@inline
def rebalance(state, params, market, i):  # type: ignore[no-untyped-def]
    """Rank all assets and bring every slot to its share."""
    assets = market.price.shape[1]
    sides = 1 + params.direction  # long_only 0, bidirectional 1
    count = score(state, params, market, i)
    per_side = min(params.per_side, count // sides)
    equity = open_pnl(state, assets, market, i)
    if per_side == 0 or equity <= 0.0:
        ask_out(state, assets, LEFT_SET)
        return
    scores = state.scratch
    best = kth(scores, assets, 1, per_side)
    worst = kth(scores, assets, -1, per_side) if sides == 2 else -1
    leverage = params.gross_leverage / (sides * per_side)
    for s in range(assets):
        wanted = 0
        if scores[s] == scores[s]:
            if among(scores, s, 1, best):
                wanted = 1
            elif sides == 2 and among(scores, s, -1, worst):
                wanted = -1
        settle(state, s, wanted, leverage * equity, leverage, params, market, i)


@inline
def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    """Count down to the next rebalancing; a halt closes everything and begins anew after it."""
    memory = state.memory
    if risk_at(state, market, i).posture == HIBERNATE:
        ask_out(state, market.price.shape[1], HIBERNATE_HALT)
        memory[WAIT] = 0.0
    elif memory[WAIT] > 0.0:
        memory[WAIT] -= 1.0
    elif i >= params.lookback:
        memory[WAIT] = params.rebalance_bars - 1.0
        rebalance(state, params, market, i)


CROSS_MOMENTUM = Strategy(
    name="cross_momentum",
    decide=decide,
    params=CrossMomentumParams,
    features=(),
    reasons=REASONS,
    warmup_bars=lambda params: params.lookback + 1,
    # The next rebalancing decides on every position anew, and its orders may be filled a bar later.
    horizon_bars=lambda params: params.rebalance_bars + 1,
    slots="assets",
    memory=1,
    resize=True,
    margin=True,
)
