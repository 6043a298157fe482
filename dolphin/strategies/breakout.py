"""Donchian breakouts: stop orders a tick outside the channel, brackets that trail around what was filled.

Slot s trades asset s. The orders of the assets that are nearest to leaving their channel are in the market, no more
of them than positions may still be opened, each for one bar. Meant for the fill model ``bar_range``: under
``scan_price`` a stop fills at the close that is beyond it, which is later and worse.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dolphin.core.grid import lots_below, of_ticks, ticks_of
from dolphin.core.hooks import risk_at
from dolphin.core.jit import inline
from dolphin.core.rank import among, kth
from dolphin.core.records import APEX, BRACKET, CLOSE, HIBERNATE, STALKER
from dolphin.core.strategy import Strategy
from dolphin.core.wishes import ask_close, ask_open, ask_out, by_bracket, by_stop
from dolphin.indicators.rows import atr, extreme

REASONS = ("", "LIQUIDATION", "HIBERNATE_HALT", "BRACKET", "STOP_LOSS", "MAX_HOLD")
HIBERNATE_HALT, BRACKET_FILLED, STOP_LOSS, MAX_HOLD = range(2, 6)

# Memory per asset, for highs and then for lows: the channel's edge (0: not known), and for how many bars it lies in
# the channel yet.
EDGE, LEFT, PER_SIDE = 0, 1, 2
MEMORY = 2 * PER_SIDE


class BreakoutParams(BaseModel):
    """Parameters of ``breakout``: durations in bars, distances in average true ranges.

    ``risk`` is the share of the equity that a position loses at its first stop, ``max_share`` the most notional over
    equity that it may have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    direction: Literal["short_only", "long_only", "bidirectional"] = "bidirectional"
    channel: Annotated[int, Field(ge=2, le=100_000)] = 96
    range_bars: Annotated[int, Field(ge=1, le=10_000)] = 24
    risk: Annotated[float, Field(gt=0.0, le=1.0)] = 0.005
    max_share: Annotated[float, Field(gt=0.0, le=20.0)] = 0.5
    max_positions: Annotated[int, Field(ge=1, le=1_000)] = 5
    stop_atr: Annotated[float, Field(gt=0.0, le=1_000.0)] = 3.0
    target_atr: Annotated[float, Field(gt=0.0, le=1_000.0)] = 6.0
    trail_bars: Annotated[int, Field(ge=1, le=10_000_000)] = 12
    max_hold_bars: Annotated[int, Field(ge=1, le=10_000_000)] = 288
    max_stale_bars: Annotated[int, Field(ge=0)] = 5


@inline
def look(memory, m, values, side, j, channel, i):  # type: ignore[no-untyped-def]
    """Find the highest (side +1) or lowest (-1) of column ``j`` in the last ``channel`` rows; of equals the latest."""
    first = i - channel + 1
    memory[m + EDGE] = 0.0
    memory[m + LEFT] = 1.0
    if first < 0 or not values[first, j] > 0.0:  # once it has had a price a column is never NaN again
        return
    edge, last = extreme(values, i, j, channel, side)
    memory[m + EDGE] = edge
    memory[m + LEFT] = channel - (i - last)


@inline
def follow(memory, m, values, side, j, channel, i):  # type: ignore[no-untyped-def]
    """Take row ``i`` into the channel of column ``j``: rows are read again only when its edge has left it."""
    value, edge, left = values[i, j], memory[m + EDGE], memory[m + LEFT] - 1.0
    beyond = edge > 0.0 and side * (value - edge) >= 0.0
    memory[m + EDGE] = value if beyond else edge
    memory[m + LEFT] = channel if beyond else left
    if not beyond and left <= 0.0:
        look(memory, m, values, side, j, channel, i)


@inline
def nearer(high, low, price, params):  # type: ignore[no-untyped-def]
    """The side whose edge is nearer, of those that are allowed, and its distance over the price; side 0: none known."""
    # direction: short_only 0, long_only 1, bidirectional 2.
    up = high - price if params.direction != 0 and high > 0.0 else np.inf
    down = price - low if params.direction != 1 and low > 0.0 else np.inf
    near = up if up <= down else down
    if near == np.inf:
        return 0, np.nan
    return (1 if up <= down else -1), near / price


@inline
def score(state, params, market, i):  # type: ignore[no-untyped-def]
    """Take row ``i`` into the channels; into ``state.scratch`` how near each asset that may be entered is to its edge.

    The nearer, the higher; NaN for those that may not be entered. How many may.
    """
    memory, count = state.memory, 0
    for j in range(market.price.shape[1]):
        m = MEMORY * j
        if params.direction != 0:
            follow(memory, m, market.high, 1, j, params.channel, i)
        if params.direction != 1:
            follow(memory, m + PER_SIDE, market.low, -1, j, params.channel, i)
        nearness = np.nan
        if state.slots[j].side == 0 and 0 <= market.age[i, j] <= params.max_stale_bars:
            side, distance = nearer(memory[m + EDGE], memory[m + PER_SIDE + EDGE], market.price[i, j], params)
            if side != 0:
                nearness = -distance
                count += 1
        state.scratch[j] = nearness
    return count


@inline
def enter(state, j, params, market, i):  # type: ignore[no-untyped-def]
    """Ask for a stop order a tick outside the nearer edge of column ``j``, for the next bar."""
    m, price, instrument = MEMORY * j, market.price[i, j], market.instruments[j]
    high, low = state.memory[m + EDGE], state.memory[m + PER_SIDE + EDGE]
    side, _ = nearer(high, low, price, params)
    trigger = of_ticks(ticks_of(high if side > 0 else low, instrument) + side, instrument)
    width = atr(market, i, j, params.range_bars)
    if not width > 0.0 or not trigger > 0.0:
        return
    equity = state.account[0].equity
    qty = lots_below(
        min(params.risk * equity / (params.stop_atr * width), params.max_share * equity / price), instrument
    )
    if qty > 0.0 and qty * price >= instrument.min_notional:
        ask_open(state.intents[j], j, side, qty, qty * price / equity)
        by_stop(state.intents[j], trigger, 1)


@inline
def ticks_away(price, side, distance, instrument):  # type: ignore[no-untyped-def]
    """The number of ticks of ``price`` moved by ``side`` * ``distance``: a tick at least, and above 0."""
    ticks = ticks_of(price, instrument)
    away = side * max(ticks_of(distance, instrument), 1.0)
    return max(ticks + away, 1.0)


@inline
def guard(state, s, params, market, i):  # type: ignore[no-untyped-def]
    """Ask for what slot ``s``'s position needs: its end, its first bracket, or one that has moved after the price."""
    slot, working = state.slots[s], state.working[s]
    bracketed = working.action == CLOSE
    if bracketed and working.kind != BRACKET:
        return  # the rest of a market order is on its way
    late = i - slot.entry_bar
    if late >= params.max_hold_bars:
        ask_close(state, s, MAX_HOLD)
        return
    if bracketed and (late == 0 or late % params.trail_bars != 0):
        return
    instrument, price, side = market.instruments[s], market.price[i, s], slot.side
    width = atr(market, i, s, params.range_bars)
    if bracketed:
        trigger = of_ticks(ticks_away(price, -side, params.stop_atr * width, instrument), instrument)
        # It never moves back, nor to where there is no room between price and limit.
        ahead = side * (price - trigger) > 0.0 and side * (working.limit - trigger) > 0.0
        if ahead and side * (trigger - working.trigger) > 0.0:
            ask_close(state, s, BRACKET_FILLED)
            by_bracket(state.intents[s], working.limit, trigger, 0)
        return
    trigger = of_ticks(ticks_away(slot.entry_price, -side, params.stop_atr * width, instrument), instrument)
    limit = of_ticks(ticks_away(slot.entry_price, side, params.target_atr * width, instrument), instrument)
    if not side * (price - trigger) > 0.0 or not side * (limit - trigger) > 0.0:
        ask_close(state, s, STOP_LOSS)  # it fell through where the stop would be before there could be one
        return
    ask_close(state, s, BRACKET_FILLED)
    by_bracket(state.intents[s], limit, trigger, 0)


@inline
def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    """Guard what is held, and lay stop orders for what may still be opened; those of the bar before have expired."""
    assets, account, posture = market.price.shape[1], state.account[0], risk_at(state, market, i).posture
    count = score(state, params, market, i)
    if posture == HIBERNATE:
        ask_out(state, assets, HIBERNATE_HALT)
        return
    if account.open_positions > 0:
        for s in range(assets):
            if state.slots[s].side != 0:
                guard(state, s, params, market, i)
    room = min(params.max_positions - account.open_positions, count)
    if room <= 0 or account.equity <= 0.0 or posture not in (APEX, STALKER):
        return
    scores = state.scratch
    last = kth(scores, assets, 1, room)
    for j in range(assets):
        if scores[j] == scores[j] and among(scores, j, 1, last):
            enter(state, j, params, market, i)


def warmup_bars(params: BreakoutParams) -> int:
    """Rows of the channel, and of the average range with the close before it."""
    return max(params.channel, params.range_bars + 1)


BREAKOUT = Strategy(
    name="breakout",
    decide=decide,
    params=BreakoutParams,
    features=(),
    reasons=REASONS,
    warmup_bars=warmup_bars,
    # An entry's order works for one bar, the closing one may be filled a bar after its decision.
    horizon_bars=lambda params: params.max_hold_bars + 2,
    slots="assets",
    memory=lambda assets: 4 * assets,
    market_columns=("high", "low"),
    orders=("limit", "stop"),
    margin=True,
)
