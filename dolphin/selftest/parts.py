"""Orders that fill in parts, in Nautilus; a run in chunks; a strategy that knows the data by heart."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel

from dolphin.config import Account, Config, Friction, columns_needed
from dolphin.core.grid import lots_below
from dolphin.core.jit import inline
from dolphin.core.records import CLOSE, OPEN, Floats, Market
from dolphin.core.strategy import Strategy
from dolphin.parity.case import Case
from dolphin.parity.outside import RULE
from dolphin.selftest.detectors import Finding, found
from dolphin.selftest.markets import FIRST, VEL_DIV_SLEEVES, case_of, dataset_of, small_market
from dolphin.strategies.breakout import BREAKOUT

#: Channels and ranges of a few bars: entries, stops, targets and trailing stops all the time.
OFTEN = {"channel": 6, "range_bars": 4, "stop_atr": 1.0, "target_atr": 1.5, "trail_bars": 3, "max_hold_bars": 30}


def thin_case() -> Case:
    """Breakout where a bar has less volume than its orders want, and now and then none."""
    friction = {"slippage_bps": 2.0, "fee_bps": 3.0, "maker_fee_bps": 1.0, "fill_model": "volume_share"}
    config = Config(
        strategy=BREAKOUT,
        strategy_name=BREAKOUT.name,
        preset=None,
        params=BREAKOUT.params(**OFTEN),
        friction=Friction.model_validate(friction | {"volume_share": 0.1}),
        account=Account(),
    )
    market = small_market()
    columns = _columns(market)
    asked: dict[str, Any] = {name: columns[name] for name in columns_needed(config)}
    market = market._replace(features=np.empty((len(market.ts), 0)), **asked)
    return Case(dataset_of(market), market, config, FIRST, len(market.ts))


def _columns(market: Market) -> dict[str, Floats]:
    """Open, high, low and volume that belong to the market's closes."""
    rng, price, records = np.random.default_rng(5), market.price, market.instruments
    real = market.age == 0
    opened = np.vstack([price[:1], price[:-1]])
    opened = np.where(np.isnan(opened) | ~real, price, opened)
    wide = np.floor(rng.exponential(0.002, price.shape) * price / records["tick"])

    def on_ticks(values: Floats) -> Floats:
        grid: Floats = np.floor(values / records["tick"] + 0.5) * records["tick_num"] / records["tick_den"]
        return grid

    high = on_ticks(np.maximum(opened, price) + wide * records["tick"])
    low = on_ticks(np.minimum(opened, price) - wide * records["tick"])
    volume = rng.exponential(60_000.0, price.shape) / price * (rng.random(price.shape) > 0.1)
    return {
        "open": opened,
        "high": np.where(real, np.maximum(high, np.maximum(opened, price)), price),
        "low": np.where(real, np.minimum(low, np.minimum(opened, price)), price),
        "volume": np.where(real, volume, 0.0),
    }


def parts_agree_in_nautilus() -> Finding | None:
    """Rung 2 where orders fill in parts."""
    from dolphin.parity.rungs_nautilus import fast_rung

    return found(fast_rung(thin_case()))


def parts_agree_in_node() -> Finding | None:
    """Rung 3 where orders fill in parts: what is left of one is sent and laid again from a node."""
    from dolphin.parity.rung_node import node_rung

    return found(node_rung(thin_case()))


def chunks_are_one_run() -> Finding | None:
    """Rung 2b of vel_div's two sleeves."""
    from dolphin.parity.rungs_nautilus import node_chunks_rung

    return found(node_chunks_rung(case_of(VEL_DIV_SLEEVES)))


class _Params(BaseModel):
    pass


#: Closing times of the generated walk at which the price is about to rise: what no strategy can know.
DATES = tuple(1_735_689_600_000_000_000 + 240_000_000_000 * k for k in range(1_310, 2_400, 37))


@inline
def _by_heart(state, params, market, i):  # type: ignore[no-untyped-def]
    slot, intent, price = state.slots[0], state.intents[0], market.price[i, 0]
    if slot.side != 0:
        intent.action, intent.reason, intent.asset, intent.side = CLOSE, 1, slot.asset, slot.side
        intent.qty, intent.leverage = slot.qty, slot.leverage
        return
    for date in DATES:
        if market.ts[i] == date and price > 0.0:
            intent.action, intent.reason, intent.asset, intent.side = OPEN, 0, 0, 1
            intent.qty = lots_below(state.account[0].capital * 0.5 / price, market.instruments[0])
            intent.leverage = 0.5


BY_HEART = Strategy(
    name="by_heart",
    decide=_by_heart,
    params=_Params,
    features=("vel_div",),
    reasons=("", "HELD"),
    warmup_bars=lambda params: 1,
)


def memory_is_seen() -> Finding | None:
    """The rule about inputs of a strategy that has a table of dates: it must not pass."""
    from dolphin.parity.strategy_conformance import tried

    rule = tried(BY_HEART, RULE)
    return Finding("decision", None, "a table of dates passes for an input") if rule.passed else None
