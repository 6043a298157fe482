"""Indicators of any asset inside ``decide``, from the market's own rows: one line each, nothing to declare but columns.

    from dolphin.indicators import rows
    if market.price[i, asset] > rows.highest(market.high, i - 1, asset, 20): ...

``values`` is ``market.price``, or ``market.high``, ``market.low``, ... where the strategy asks for them in
``market_columns``. Each reads the last ``n`` rows up to ``i``, and is NaN where there are not so many.
"""

from __future__ import annotations

import math

from dolphin.core.jit import inline


@inline
def mean(values, i, asset, n):  # type: ignore[no-untyped-def]
    """The mean of the last ``n`` rows of an asset."""
    if i < n - 1:
        return math.nan
    total = 0.0
    for k in range(i - n + 1, i + 1):
        total += values[k, asset]
    return total / n


@inline
def highest(values, i, asset, n):  # type: ignore[no-untyped-def]
    """The highest of the last ``n`` rows of an asset."""
    if i < n - 1:
        return math.nan
    found = values[i, asset]
    for k in range(i - n + 1, i):
        found = max(found, values[k, asset])
    return found


@inline
def lowest(values, i, asset, n):  # type: ignore[no-untyped-def]
    """The lowest of the last ``n`` rows of an asset."""
    if i < n - 1:
        return math.nan
    found = values[i, asset]
    for k in range(i - n + 1, i):
        found = min(found, values[k, asset])
    return found


@inline
def atr(market, i, asset, n):  # type: ignore[no-untyped-def]
    """Average true range: the mean of the last ``n`` true ranges; takes ``market_columns=("high", "low")``."""
    if i < n:
        return math.nan
    total = 0.0
    for k in range(i - n + 1, i + 1):
        before = market.price[k - 1, asset]
        total += max(market.high[k, asset], before) - min(market.low[k, asset], before)
    return total / n
