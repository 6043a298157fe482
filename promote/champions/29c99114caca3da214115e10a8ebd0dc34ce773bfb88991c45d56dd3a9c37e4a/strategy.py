"""Eigenvalue velocity divergence: the exits and entries of ENGINE section 3, one position slot."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dolphin.core.declaration import Events
from dolphin.core.grid import lots_below
from dolphin.core.hooks import risk_at
from dolphin.core.jit import inline
from dolphin.core.rank import most_efficient
from dolphin.core.records import APEX, DAY_NS, HIBERNATE, STALKER
from dolphin.core.strategy import Strategy
from dolphin.core.wishes import ask_close, ask_open

REASONS = (
    "",
    "LIQUIDATION",
    "HIBERNATE_HALT",
    "SUBDAY_ACB_NORMALIZATION",
    "STOP_LOSS",
    "FIXED_TP",
    "MAX_HOLD",
)
LIQUIDATION, HIBERNATE_HALT, ACB_TURN, STOP_LOSS, FIXED_TP, MAX_HOLD = range(1, 7)

#: By how much a price may miss an exit and still be looked at: far more than what rounding can do.
HAIR = 1e-9

#: The 60th percentile of ``vol`` on 5-second bars by which the gate was first set.
LEGACY_VOL_P60 = 0.000099


class VelDivParams(BaseModel):
    """Parameters of ``vel_div``; defaults are the specification's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    direction: Literal["short_only", "long_only", "bidirectional"] = "short_only"
    vel_div: Literal["v50-v750", "v50-v150"] = "v50-v750"
    short_threshold: Annotated[float, Field(ge=-10.0, lt=0.0)] = -0.02
    short_extreme: Annotated[float, Field(ge=-10.0, lt=0.0)] = -0.05
    long_threshold: Annotated[float, Field(ge=-10.0, le=10.0)] = 0.02
    long_extreme: Annotated[float, Field(gt=0.0, le=10.0)] = 0.05
    vol_gate_mode: Literal["min", "max", "off"] = "min"
    vol_p60: Annotated[float, Field(ge=0.0)] = LEGACY_VOL_P60
    vol_ewma: bool = False
    rank_lookback: Annotated[int, Field(ge=1, le=5_000)] = 50
    min_alignment: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.0
    base_leverage: Annotated[float, Field(ge=1.0, le=125.0)] = 1.0
    soft_cap: Annotated[float, Field(ge=1.0, le=125.0)] = 6.0
    abs_cap: Annotated[float, Field(ge=1.0, le=125.0)] = 6.0
    convexity: Annotated[int, Field(ge=1, le=3)] = 1
    fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    tp_pct: Annotated[float, Field(gt=0.0, le=10.0)] = 0.0095
    stop_pct: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    max_hold_bars: Annotated[int, Field(ge=1, le=10_000_000)] = 125
    adverse_turn_drop: Annotated[float, Field(ge=0.0)] = 0.2
    acb_day_reset: bool = False
    maintenance_margin: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.005
    max_stale_bars: Annotated[int, Field(ge=0)] = 5

    @model_validator(mode="after")
    def _whole(self) -> VelDivParams:
        if self.direction != "short_only" and self.long_threshold <= 0.0:
            raise ValueError(
                f"long_threshold must be above 0 when direction is {self.direction}, not {self.long_threshold}"
            )
        if self.short_extreme >= self.short_threshold:
            raise ValueError(
                f"short_extreme ({self.short_extreme}) must lie below short_threshold ({self.short_threshold})"
            )
        if self.direction != "short_only" and self.long_extreme <= self.long_threshold:
            raise ValueError(
                f"long_extreme ({self.long_extreme}) must lie above long_threshold ({self.long_threshold})"
            )
        if self.soft_cap < self.base_leverage:
            raise ValueError(f"soft_cap ({self.soft_cap}) must not lie below base_leverage ({self.base_leverage})")
        return self


PRESETS: dict[str, dict[str, float]] = {
    "champion_2026_03": {"soft_cap": 6.0, "abs_cap": 6.0},
    "v2_gold_fix": {"soft_cap": 8.0, "abs_cap": 9.0},
    "legacy_99": {"tp_pct": 0.0099},
}


@inline
def exit_reason(state, s, capital, params, market, i):  # type: ignore[no-untyped-def]
    """The first exit that holds for slot ``s``, which trades ``capital``, at bar ``i``; or 0."""
    slot = state.slots[s]
    price = market.price[i, slot.asset]
    move = slot.side * (price / slot.entry_price - 1.0)
    open_pnl = slot.side * slot.qty * (price - slot.entry_price)
    margin = params.maintenance_margin
    if margin > 0.0 and capital + open_pnl <= margin * slot.qty * price:
        return LIQUIDATION
    if risk_at(state, market, i).posture == HIBERNATE:
        return HIBERNATE_HALT
    if i > 0:
        if market.risk[i - 1].boost - market.risk[i].boost > params.adverse_turn_drop:
            return ACB_TURN
        if params.acb_day_reset and market.ts[i] // DAY_NS != market.ts[i - 1] // DAY_NS:
            return ACB_TURN
    if params.stop_pct > 0.0 and move <= -params.stop_pct:
        return STOP_LOSS
    if move >= params.tp_pct:
        return FIXED_TP
    if i - slot.entry_bar >= params.max_hold_bars:
        return MAX_HOLD
    return 0


@inline
def signal_side(vel_div, vol, shorts, longs, params):  # type: ignore[no-untyped-def]
    """-1, 0 or +1: threshold, the sides that are allowed, volatility gate. NaN compares false throughout."""
    if vol != vol:
        return 0
    # Choices are stored by position: vol_gate_mode min 0, max 1, off 2.
    if params.vol_gate_mode == 0 and vol < params.vol_p60:
        return 0
    if params.vol_gate_mode == 1 and vol > params.vol_p60:
        return 0
    if shorts and vel_div < params.short_threshold:
        return -1
    if longs and vel_div > params.long_threshold:
        return 1
    return 0


@inline
def leverage_for(vel_div, side, params, risk):  # type: ignore[no-untyped-def]
    """Notional over capital: signal strength to the power p, boosted, capped by Rm and posture."""
    threshold = params.short_threshold if side < 0 else params.long_threshold
    extreme = params.short_extreme if side < 0 else params.long_extreme
    strength = (abs(vel_div) - abs(threshold)) / (abs(extreme) - abs(threshold))
    strength = min(max(strength, 0.0), 1.0)
    power = strength
    if params.convexity > 1:
        power = power * strength
    if params.convexity > 2:
        power = power * strength
    leverage = params.base_leverage + (params.soft_cap - params.base_leverage) * power
    leverage = leverage * (1.0 + risk.beta * (risk.boost - 1.0))
    leverage = max(min(leverage, params.abs_cap * risk.rm), 1.0)
    if risk.posture == STALKER:
        leverage = min(leverage, 2.0)
    return leverage


@inline
def leave(state, s, capital, params, market, i):  # type: ignore[no-untyped-def]
    """Ask for the close of slot ``s`` if an exit holds."""
    reason = exit_reason(state, s, capital, params, market, i)
    if reason != 0:
        ask_close(state, s, reason)


@inline
def enter(state, s, side, capital, params, market, i):  # type: ignore[no-untyped-def]
    """Ask for a position of this side in slot ``s`` with ``capital``, if the other entry rules hold."""
    risk = risk_at(state, market, i)
    if (risk.posture != APEX and risk.posture != STALKER) or capital <= 0.0:
        return
    asset = most_efficient(state, market, i, side, params.rank_lookback, params.max_stale_bars, params.min_alignment)
    if asset < 0:
        return
    price = market.price[i, asset]
    leverage = leverage_for(market.features[i, 0], side, params, risk)
    instrument = market.instruments[asset]
    qty = lots_below(capital * params.fraction * leverage / price, instrument)
    if qty <= 0.0 or qty * price < instrument.min_notional:
        return
    ask_open(state.intents[s], asset, side, qty, leverage)


@inline
def signal(params, market, i):  # type: ignore[no-untyped-def]
    """The side that bar ``i`` calls for: -1, 0 or +1."""
    # direction: short_only 0, long_only 1, bidirectional 2.
    return signal_side(
        market.features[i, 0], market.features[i, 1], params.direction != 1, params.direction != 0, params
    )


@inline
def may_enter(params, market, i):  # type: ignore[no-untyped-def]
    """Without a signal a flat account wants nothing."""
    return signal(params, market, i) != 0


@inline
def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    """Exit first; enter only when flat, so that a bar that exits does not enter."""
    if state.slots[0].side != 0:
        leave(state, 0, state.account[0].capital, params, market, i)
        return
    # The rules are all of them conditions; the rarest is asked first.
    side = signal(params, market, i)
    if side != 0:
        enter(state, 0, side, state.account[0].capital, params, market, i)


@inline
def enters(params, low, high):  # type: ignore[no-untyped-def]
    """:func:`may_enter` of all bars whose features lie between ``low`` and ``high``."""
    if low[1] > high[1]:
        return False
    if params.vol_gate_mode == 0 and high[1] < params.vol_p60:
        return False
    if params.vol_gate_mode == 1 and low[1] > params.vol_p60:
        return False
    if params.direction != 1 and low[0] < params.short_threshold:
        return True
    return params.direction != 0 and high[0] > params.long_threshold


@inline
def stays(slot, capital, params):  # type: ignore[no-untyped-def]
    """The prices between which :func:`exit_reason` finds nothing, a hair inside, and the bar of MAX_HOLD."""
    side, entry, margin = slot.side, slot.entry_price, params.maintenance_margin
    gain = entry * (1.0 + side * (params.tp_pct - HAIR))
    loss = entry * (1.0 - side * (params.stop_pct - HAIR))
    floor, ceiling = (loss, gain) if side > 0 else (gain, loss)
    if params.stop_pct == 0.0:
        floor, ceiling = (-np.inf, gain) if side > 0 else (gain, np.inf)
    if margin > 0.0:
        # capital + side * qty * (price - entry) = margin * qty * price, solved for the price.
        own = capital / slot.qty
        ruin = (entry - side * own) / (1.0 - side * margin)
        far = HAIR * (entry + abs(own)) / (1.0 - side * margin)
        floor, ceiling = (max(floor, ruin + far), ceiling) if side > 0 else (floor, min(ceiling, ruin - far))
    return floor, ceiling, slot.entry_bar + params.max_hold_bars


def warmup_bars(params: VelDivParams) -> int:
    """Rows before the first decision: the longest window and its velocity, and the ranking's."""
    longest = 750 if params.vel_div == "v50-v750" else 150
    return max(longest + 2, params.rank_lookback + 1)


def features(params: VelDivParams) -> dict[str, str]:
    """The divergence and the volatility by the definitions that the parameters select."""
    return {"vel_div": params.vel_div, "vol": "vol_ewma" if params.vol_ewma else "vol"}


def horizon_bars(params: VelDivParams) -> int:
    """A position is over after its longest hold, and its order may have been filled a bar after the decision."""
    return params.max_hold_bars + 1


VEL_DIV = Strategy(
    name="vel_div",
    decide=decide,
    params=VelDivParams,
    features=features,
    reasons=REASONS,
    warmup_bars=warmup_bars,
    may_enter=may_enter,
    horizon_bars=horizon_bars,
    quantiles={"vol_p60": "vol"},
    events=Events(enters, stays),
    orderly=("SUBDAY_ACB_NORMALIZATION",),
)
