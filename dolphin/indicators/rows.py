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
def further(newer, older, side):  # type: ignore[no-untyped-def]
    """The higher (side +1) or lower (-1) of two values, of equals the newer; an older NaN does not count."""
    if side > 0:
        return older if older > newer else newer
    return older if older < newer else newer


@inline
def extreme(values, i, asset, n, side):  # type: ignore[no-untyped-def]
    """The highest (side +1) or lowest (-1) of an asset's last ``n`` <= i + 1 rows, and its row: of equals the latest.

    Rows before an asset's first value do not count. Eight rows at a time: what is compared to what does not wait.
    """
    first, k = i - n + 1, i
    found, at = values[i, asset], i
    while k - 7 >= first:
        one = further(
            further(values[k, asset], values[k - 1, asset], side),
            further(values[k - 2, asset], values[k - 3, asset], side),
            side,
        )
        other = further(
            further(values[k - 4, asset], values[k - 5, asset], side),
            further(values[k - 6, asset], values[k - 7, asset], side),
            side,
        )
        best = further(one, other, side)
        if side * (best - found) > 0.0:
            found, at = best, k
        k -= 8
    while k >= first:
        if side * (values[k, asset] - found) > 0.0:
            found, at = values[k, asset], k
        k -= 1
    if found == found:
        while values[at, asset] != found:  # it is one of the eight
            at -= 1
    return found, at


@inline
def highest(values, i, asset, n):  # type: ignore[no-untyped-def]
    """The highest of the last ``n`` rows of an asset."""
    if i < n - 1:
        return math.nan
    return extreme(values, i, asset, n, 1)[0]


@inline
def lowest(values, i, asset, n):  # type: ignore[no-untyped-def]
    """The lowest of the last ``n`` rows of an asset."""
    if i < n - 1:
        return math.nan
    return extreme(values, i, asset, n, -1)[0]


@inline
def atr(market, i, asset, n):  # type: ignore[no-untyped-def]
    """Average true range: the mean of the last ``n`` true ranges; takes ``market_columns=("high", "low")``."""
    if i < n:
        return math.nan
    total = 0.0
    for k in range(i - n + 1, i + 1):
        before = market.price[k - 1, asset]
        total += further(before, market.high[k, asset], 1) - further(before, market.low[k, asset], -1)
    return total / n
