"""An example of a feature of one's own: how far apart the assets have gone, and a strategy that reads it.

``DISPERSION`` has two columns: the cross-sectional standard deviation of the assets' 50-bar log returns, and
the share of assets above their price 50 bars ago, smoothed over 10 bars. ``DISPERSED`` sells the asset that
ran furthest while the market is far apart and the scanner's volatility is known. Use it in a config as
``strategy = "dispersion:DISPERSED"``, and check the feature with ``dolphin check feature
dispersion:DISPERSION DATASET``. It is an example of the form, not a claim that it earns anything.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dolphin.core.grid import lots_below
from dolphin.core.jit import inline
from dolphin.core.rank import most_efficient
from dolphin.core.records import CLOSE, OPEN
from dolphin.core.strategy import Strategy
from dolphin.features import Feature

LOOKBACK = 50  # bars of a return
ALPHA = 2.0 / 11.0  # of the smoothed breadth, 10 bars
SETTLED = 100  # bars after which less than 2e-9 is left of where the smoothing began


@inline
def update(state, bar, out):
    """state: rows taken in, smoothed breadth, then a ring of LOOKBACK rows of log prices."""
    assets = bar.log_price.size
    row = int(state[0])
    ring = 2 + (row % LOOKBACK) * assets
    count, total, above = 0, 0.0, 0
    for j in range(assets):
        move = bar.log_price[j] - state[ring + j]  # LOOKBACK rows ago, overwritten below
        if move == move:
            count += 1
            total += move
            above += move > 0.0
    if row >= LOOKBACK and count >= 2:
        mean, square = total / count, 0.0
        for j in range(assets):
            gap = bar.log_price[j] - state[ring + j] - mean
            if gap == gap:
                square += gap * gap
        breadth = above / count
        state[1] = breadth if row == LOOKBACK else state[1] + ALPHA * (breadth - state[1])
        out[0], out[1] = math.sqrt(square / count), state[1]
    for j in range(assets):
        state[ring + j] = bar.log_price[j]
    state[0] = row + 1


DISPERSION = Feature(
    name="dispersion",
    update=update,
    memory=lambda assets: 2 + LOOKBACK * assets,
    warmup_bars=LOOKBACK + SETTLED,
    columns=("width", "breadth"),
    tolerance=1e-8,
)


class DispersedParams(BaseModel):
    """Bounds are checked when a config is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    least_width: Annotated[float, Field(ge=0.0)] = 0.01
    most_breadth: Annotated[float, Field(ge=0.0, le=1.0)] = 0.6
    lookback: Annotated[int, Field(ge=2, le=5_000)] = 50
    hold_bars: Annotated[int, Field(ge=1)] = 24
    share: Annotated[float, Field(gt=0.0, le=5.0)] = 1.0


@inline
def decide(state, params, market, i):
    """Columns of ``market.features``: vol, dispersion_width, dispersion_breadth."""
    slot, intent = state.slots[0], state.intents[0]
    if slot.side != 0:
        if i - slot.entry_bar >= params.hold_bars:
            intent.action, intent.reason = CLOSE, 1
            intent.asset, intent.side = slot.asset, slot.side
            intent.qty, intent.leverage = slot.qty, slot.leverage
        return
    capital = state.account[0].capital
    known = market.features[i, 0] > 0.0  # what is not yet known is NaN and compares false
    apart = market.features[i, 1] >= params.least_width and market.features[i, 2] <= params.most_breadth
    if not (known and apart) or capital <= 0.0:
        return
    asset = most_efficient(state, market, i, 1, params.lookback, 5, 0.0)
    if asset < 0:
        return
    instrument, price = market.instruments[asset], market.price[i, asset]
    qty = lots_below(capital * params.share / price, instrument)
    if qty > 0.0 and qty * price >= instrument.min_notional:
        intent.action, intent.reason = OPEN, 0
        intent.asset, intent.side = asset, -1
        intent.qty, intent.leverage = qty, params.share


DISPERSED = Strategy(
    name="dispersed",
    decide=decide,
    params=DispersedParams,
    features=("vol", DISPERSION),
    reasons=("", "TIME_OUT"),
    warmup_bars=lambda params: params.lookback + 1,
    horizon_bars=lambda params: params.hold_bars + 1,  # an order may be filled a bar after the decision
)
