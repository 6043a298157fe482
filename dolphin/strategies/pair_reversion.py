"""Two symbols whose price ratio comes back: limit orders on both legs when it is far out.

Slot 0 trades the first symbol, slot 1 the second. The z-score is computed from the rows of its window at every bar:
nothing is carried from bar to bar, so no bit depends on when a run began.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dolphin.core.grid import lots_below, round_against
from dolphin.core.hooks import risk_at
from dolphin.core.jit import inline
from dolphin.core.records import APEX, HIBERNATE, NONE, STALKER
from dolphin.core.strategy import Strategy
from dolphin.core.wishes import ask_open, ask_out, by_limit

REASONS = ("", "LIQUIDATION", "HIBERNATE_HALT", "ONE_LEG", "STOP_LOSS", "REVERTED", "MAX_HOLD")
HIBERNATE_HALT, ONE_LEG, STOP_LOSS, REVERTED, MAX_HOLD = range(2, 7)


class PairReversionParams(BaseModel):
    """Parameters of ``pair_reversion``: durations in bars, ``leverage`` of both legs together over capital."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    first: str = "ETHUSDT"
    second: str = "BTCUSDT"
    window: Annotated[int, Field(ge=3, le=100_000)] = 200
    entry_z: Annotated[float, Field(gt=0.0, le=100.0)] = 2.0
    exit_z: Annotated[float, Field(ge=-100.0, le=100.0)] = 0.5
    stop_z: Annotated[float, Field(gt=0.0, le=1_000.0)] = 4.0
    max_hold_bars: Annotated[int, Field(ge=1, le=10_000_000)] = 200
    leverage: Annotated[float, Field(gt=0.0, le=20.0)] = 1.0
    offset_bps: Annotated[float, Field(ge=0.0, lt=1_000.0)] = 1.0
    expires: Annotated[int, Field(ge=1, le=10_000)] = 3
    max_stale_bars: Annotated[int, Field(ge=0)] = 5

    @model_validator(mode="after")
    def _whole(self) -> PairReversionParams:
        if self.first == self.second:
            raise ValueError(f"first and second are both {self.first}: a pair has two symbols")
        if not self.exit_z < self.entry_z < self.stop_z:
            raise ValueError(
                f"exit_z ({self.exit_z}), entry_z ({self.entry_z}) and stop_z ({self.stop_z}) must rise in this order"
            )
        return self


@inline
def z_score(market, i, a, b, window):  # type: ignore[no-untyped-def]
    """How many population deviations the log price ratio a/b is above its mean over ``window`` rows; NaN if unknown."""
    first = i - window + 1
    if first < 0:
        return np.nan
    logs = market.log_price
    now = logs[i, a] - logs[i, b]
    # From the present value on, so that no digits are lost; four sums, so that additions need not wait.
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    q0, q1, q2, q3 = 0.0, 0.0, 0.0, 0.0
    k = first
    while k + 3 <= i:
        d0 = logs[k, a] - logs[k, b] - now
        d1 = logs[k + 1, a] - logs[k + 1, b] - now
        d2 = logs[k + 2, a] - logs[k + 2, b] - now
        d3 = logs[k + 3, a] - logs[k + 3, b] - now
        s0, s1, s2, s3 = s0 + d0, s1 + d1, s2 + d2, s3 + d3
        q0, q1, q2, q3 = q0 + d0 * d0, q1 + d1 * d1, q2 + d2 * d2, q3 + d3 * d3
        k += 4
    while k <= i:
        d0 = logs[k, a] - logs[k, b] - now
        s0, q0 = s0 + d0, q0 + d0 * d0
        k += 1
    mean = ((s0 + s1) + (s2 + s3)) / window
    variance = ((q0 + q1) + (q2 + q3)) / window - mean * mean
    return -mean / np.sqrt(variance) if variance > 0.0 else np.nan


@inline
def is_alive(state, s):  # type: ignore[no-untyped-def]
    """Whether slot ``s`` holds a position or has an order in the market."""
    return state.slots[s].side != 0 or state.working[s].action != NONE


@inline
def exit_reason(state, z, params, i):  # type: ignore[no-untyped-def]
    """The first exit that holds for what is held of the pair, or 0; a z-score that is unknown compares false."""
    side, since = 0, i
    for s in range(2):
        slot = state.slots[s]
        if slot.side != 0:
            side = slot.side if s == 0 else -slot.side
            since = min(since, slot.entry_bar)
    if side == 0:
        return 0
    out = -side * z  # how far out, on the side that was entered on
    if out >= params.stop_z:
        return STOP_LOSS
    if out <= params.exit_z:
        return REVERTED
    return MAX_HOLD if i - since >= params.max_hold_bars else 0


@inline
def is_tradable(params, market, i, asset):  # type: ignore[no-untyped-def]
    """Whether the asset has a price that is young enough to be entered at."""
    return 0 <= market.age[i, asset] <= params.max_stale_bars


@inline
def quantity(capital, params, market, i, asset):  # type: ignore[no-untyped-def]
    """Base units of one leg: half of the leverage; 0 where that is less than can be ordered."""
    price, instrument = market.price[i, asset], market.instruments[asset]
    qty = lots_below(0.5 * params.leverage * capital / price, instrument)
    return qty if qty * price >= instrument.min_notional else 0.0


@inline
def enter(state, s, asset, side, qty, params, market, i):  # type: ignore[no-untyped-def]
    """Ask for one leg: a limit order at the scan price, bettered by the offset and rounded for us."""
    better = market.price[i, asset] * (1.0 - side * (params.offset_bps / 1e4))
    intent = state.intents[s]
    ask_open(intent, asset, side, qty, 0.5 * params.leverage)
    by_limit(intent, round_against(better, -side, market.instruments[asset]), params.expires)


@inline
def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    """Both legs or none: what is alone, once the other leg's order is gone, goes too."""
    posture, capital = risk_at(state, market, i).posture, state.account[0].capital
    if posture == HIBERNATE:
        ask_out(state, 2, HIBERNATE_HALT)
        return
    legs = is_alive(state, 0) + is_alive(state, 1)
    if legs == 1:
        ask_out(state, 2, ONE_LEG)
        return
    a, b = market.symbols[0].first, market.symbols[0].second
    if legs == 2:
        if state.slots[0].side != 0 or state.slots[1].side != 0:
            reason = exit_reason(state, z_score(market, i, a, b, params.window), params, i)
            if reason != 0:
                ask_out(state, 2, reason)
        return
    if posture not in (APEX, STALKER) or capital <= 0.0:
        return
    if not (is_tradable(params, market, i, a) and is_tradable(params, market, i, b)):
        return
    z = z_score(market, i, a, b, params.window)
    if abs(z) > params.entry_z and abs(z) < params.stop_z:
        first, second = quantity(capital, params, market, i, a), quantity(capital, params, market, i, b)
        if first > 0.0 and second > 0.0:
            side = -1 if z > 0.0 else 1
            enter(state, 0, a, side, first, params, market, i)
            enter(state, 1, b, -side, second, params, market, i)


PAIR_REVERSION = Strategy(
    name="pair_reversion",
    decide=decide,
    params=PairReversionParams,
    features=(),
    reasons=REASONS,
    warmup_bars=lambda params: params.window,
    # Orders may be filled until they expire, and the closing ones a bar after the decision.
    horizon_bars=lambda params: params.expires + params.max_hold_bars + 1,
    slots=2,
    symbols=lambda params: {"first": params.first, "second": params.second},
    orders=("limit",),
    margin=True,
)
