"""An example of a strategy of one's own: buy the asset that lags most while the market is broad.

Use it in a config as ``strategy = "pullback:PULLBACK"``. Nothing in the framework knows of it, and it
gets sweeps, the parity ladder, the checks and the gate like the bundled one. It is an example of the
form, not a claim that it earns anything.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dolphin.core.grid import lots_below
from dolphin.core.jit import inline
from dolphin.core.rank import most_efficient
from dolphin.core.strategy import Strategy
from dolphin.core.wishes import ask_close, ask_open

TAKE_PROFIT, TIME_OUT = 1, 2


class PullbackParams(BaseModel):
    """Every field becomes a field of ``params`` in ``decide``; bounds are checked when a config is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    least_breadth: Annotated[float, Field(ge=0.0, le=100.0)] = 70.0
    lookback: Annotated[int, Field(ge=2, le=5_000)] = 50
    hold_bars: Annotated[int, Field(ge=1)] = 60
    take_profit: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01
    share: Annotated[float, Field(gt=0.0, le=5.0)] = 1.0


@inline
def decide(state, params, market, i):
    """Write ``state.intents[0]``; read rows up to ``i`` only."""
    slot = state.slots[0]
    if slot.side != 0:
        move = market.price[i, slot.asset] / slot.entry_price - 1.0
        late = i - slot.entry_bar >= params.hold_bars
        if move >= params.take_profit or late:
            ask_close(state, 0, TAKE_PROFIT if move >= params.take_profit else TIME_OUT)
        return
    capital = state.account[0].capital
    # A breadth that is not yet known is NaN and compares false.
    if not market.features[i, 0] >= params.least_breadth or capital <= 0.0:
        return
    asset = most_efficient(state, market, i, -1, params.lookback, 5, 0.0)
    if asset < 0:
        return
    instrument, price = market.instruments[asset], market.price[i, asset]
    qty = lots_below(capital * params.share / price, instrument)
    if qty > 0.0 and qty * price >= instrument.min_notional:
        ask_open(state.intents[0], asset, 1, qty, params.share)


PULLBACK = Strategy(
    name="pullback",
    decide=decide,
    params=PullbackParams,
    features=("bull_pct",),
    reasons=("", "TAKE_PROFIT", "TIME_OUT"),
    warmup_bars=lambda params: params.lookback + 1,
    horizon_bars=lambda params: params.hold_bars + 1,  # an order may be filled a bar after the decision
)
