"""Fill models: what the market of a bar gives for an order (ENGINE section 8; docs/engine.md has the table).

A model is a hook of the step like ``decide``. ``match(order, direction, friction, market, i)`` returns quantity (0:
nothing fills), price, and whether the fill gave liquidity; ``direction`` is +1 for a buy. It reads row ``i`` only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dolphin.core import fingerprint
from dolphin.core.grid import lots_below, of_ticks, ticks_of
from dolphin.core.jit import inline
from dolphin.core.records import BRACKET, LIMIT, MARKET, STOP
from dolphin.core.taking import taken_at


@dataclass(frozen=True)
class FillModel:
    """A named fill model.

    Parameters
    ----------
    name : str
        In configs.
    match : callable
        Decorated with :func:`dolphin.core.jit.inline`; see the module.
    columns : tuple of str
        Market columns that it reads beside the scan price.
    partial : bool
        Whether it may fill less than the whole order.
    """

    name: str
    match: Callable[..., Any]
    columns: tuple[str, ...] = ()
    partial: bool = False

    @property
    def key(self) -> str:
        """SHA-256 of what can change a fill."""
        reached = fingerprint.of_functions([self.match])
        return hashlib.sha256(repr((self.name, self.columns, self.partial, reached)).encode()).hexdigest()


@inline
def through(limit, direction, instrument):  # type: ignore[no-untyped-def]
    """The price that trades through a limit: one tick beyond it."""
    return of_ticks(ticks_of(limit, instrument) - direction, instrument)


@inline
def scan_price(order, direction, friction, market, i):  # type: ignore[no-untyped-def]
    """The scan price is all that is known of a bar: limits fill when it trades through them."""
    asset = order.asset
    price, instrument = market.price[i, asset], market.instruments[asset]
    if order.kind == MARKET:
        return order.qty, taken_at(price, direction, asset, friction, market, i), False
    if (order.kind & STOP) != 0 and direction * (price - order.trigger) >= 0.0:
        return order.qty, taken_at(price, direction, asset, friction, market, i), False
    if (order.kind & LIMIT) != 0 and direction * (price - through(order.limit, direction, instrument)) <= 0.0:
        return order.qty, order.limit, True
    return 0.0, 0.0, False


@inline
def in_range(order, direction, friction, market, i, touches):  # type: ignore[no-untyped-def]
    """Limits and stops against the bar's low and high; a bar that reaches both of a bracket fills the stop."""
    asset = order.asset
    if order.kind == MARKET:
        return order.qty, taken_at(market.price[i, asset], direction, asset, friction, market, i), False
    low, high = market.low[i, asset], market.high[i, asset]
    worst, best = (high, low) if direction > 0 else (low, high)
    if (order.kind & STOP) != 0 and direction * (worst - order.trigger) >= 0.0:
        opened = market.open[i, asset]
        price = opened if direction * (opened - order.trigger) > 0.0 else order.trigger
        return order.qty, taken_at(price, direction, asset, friction, market, i), False
    if (order.kind & LIMIT) != 0:
        limit = order.limit if touches else through(order.limit, direction, market.instruments[asset])
        if direction * (best - limit) <= 0.0:
            return order.qty, order.limit, True
    return 0.0, 0.0, False


@inline
def bar_range(order, direction, friction, market, i):  # type: ignore[no-untyped-def]
    """Limits fill when the bar trades through them, stops when it reaches them."""
    return in_range(order, direction, friction, market, i, False)


@inline
def touch(order, direction, friction, market, i):  # type: ignore[no-untyped-def]
    """Limits fill when the bar touches them: flattering, for sensitivity."""
    return in_range(order, direction, friction, market, i, True)


@inline
def volume_share(order, direction, friction, market, i):  # type: ignore[no-untyped-def]
    """As :func:`bar_range`, but at most a share of the bar's volume."""
    qty, price, passive = in_range(order, direction, friction, market, i, False)
    if qty > 0.0:
        most = lots_below(friction.volume_share * market.volume[i, order.asset], market.instruments[order.asset])
        qty = min(qty, most)
    return qty, price, passive


_RANGE = ("open", "high", "low")

SCAN_PRICE = FillModel("scan_price", scan_price)
BAR_RANGE = FillModel("bar_range", bar_range, _RANGE)
TOUCH = FillModel("touch", touch, _RANGE)
VOLUME_SHARE = FillModel("volume_share", volume_share, (*_RANGE, "volume"), partial=True)

#: By name. Adding one is a function and a line here.
BUNDLED = {model.name: model for model in (SCAN_PRICE, BAR_RANGE, TOUCH, VOLUME_SHARE)}

assert BRACKET == LIMIT | STOP
