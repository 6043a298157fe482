"""``vel_div`` in two sleeves under the capital arbiter (ENGINE section 5): slot 0 short, slot 1 long.

Each sleeve has its own position, P&L and share of the capital. The shares are set at the first bar
of every UTC day; what a sleeve wins or loses stays its own until the next day's.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dolphin.core.jit import inline
from dolphin.core.records import DAY_NS
from dolphin.core.strategy import Strategy
from dolphin.strategies.vel_div import (
    PRESETS,
    REASONS,
    VelDivParams,
    enter,
    features,
    horizon_bars,
    leave,
    signal_side,
    warmup_bars,
)

__all__ = ["PRESETS", "VEL_DIV_SLEEVES", "SleevesParams"]

#: Shares of the favoured and of the other sleeve, and of both when neither is.
FAVOURED, OTHER, EVEN = 0.7, 0.3, 0.5

# Memory: sum and number of today's values of vel_div; per sleeve, the capital that it began the day
# with and what its slot had realised by then.
SUM, COUNT, BASE, BEFORE, MEMORY = 0, 1, 2, 4, 6


class SleevesParams(VelDivParams):
    """Parameters of ``vel_div_sleeves``: those of ``vel_div``, both directions, and the arbiter's."""

    direction: Literal["bidirectional"] = "bidirectional"
    arbiter: Literal["weighted", "equal_weight"] = "weighted"
    arbiter_threshold: Annotated[float, Field(ge=0.0, le=10.0)] = 0.02


@inline
def favoured_side(mean, momentum, params):  # type: ignore[no-untyped-def]
    """The sleeve that gets more, -1 or +1, or 0; NaN compares false throughout."""
    if params.arbiter == 0:  # weighted 0, equal_weight 1
        if mean < -params.arbiter_threshold and momentum < 0.0:
            return -1
        if mean > params.arbiter_threshold and momentum > 0.0:
            return 1
    return 0


@inline
def allot(state, params, market, i):  # type: ignore[no-untyped-def]
    """Share the account's capital between the sleeves for the UTC day whose first bar is ``i``."""
    account, memory = state.account[0], state.memory
    # A day that the run did not see has no mean.
    follows = account.bars > 0 and market.ts[i] // DAY_NS == market.ts[i - 1] // DAY_NS + 1
    mean = memory[SUM] / memory[COUNT] if follows else 0.0
    favoured = favoured_side(mean, market.features[i, 2], params)
    for s in range(2):
        share = EVEN
        if favoured != 0:
            share = FAVOURED if favoured == 2 * s - 1 else OTHER
        memory[BASE + s] = account.capital * share
        memory[BEFORE + s] = state.slots[s].realised
    memory[SUM] = 0.0
    memory[COUNT] = 0.0


@inline
def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    """``vel_div`` per sleeve, with the sleeve's capital in place of the account's."""
    account, memory = state.account[0], state.memory
    if account.bars == 0 or market.ts[i] // DAY_NS != market.ts[i - 1] // DAY_NS:
        allot(state, params, market, i)
    vel_div = market.features[i, 0]
    if vel_div == vel_div:
        memory[SUM] += vel_div
        memory[COUNT] += 1.0
    side = signal_side(vel_div, market.features[i, 1], True, True, params)
    for s in range(2):
        capital = memory[BASE + s] + (state.slots[s].realised - memory[BEFORE + s])
        if state.slots[s].side != 0:
            leave(state, s, capital, params, market, i)
        elif side == 2 * s - 1 and account.capital > 0.0:
            enter(state, s, side, capital, params, market, i)


VEL_DIV_SLEEVES = Strategy(
    name="vel_div_sleeves",
    decide=decide,
    params=SleevesParams,
    features=lambda params: {**features(params), "reference_return": "reference_return"},
    reasons=REASONS,
    warmup_bars=warmup_bars,
    horizon_bars=horizon_bars,
    quantiles={"vol_p60": "vol"},
    slots=2,
    memory=MEMORY,
)
