"""Which asset: directional efficiency over a look-back (ENGINE section 3, entry 4)."""

from __future__ import annotations

import numpy as np

from dolphin.core.jit import inline

#: Moves added per pass over the columns.
ROWS = 5

#: Places between the remembered answers of two neighbouring look-backs.
SPREAD = 1031


@inline
def most_efficient(state, market, i, side, lookback, max_stale, least):  # type: ignore[no-untyped-def]
    """The column with the highest ``side * net log move / path length``, or -1.

    Ties go to the lower column. A column with NaN or no movement in the window, or whose last
    real price is older than ``max_stale`` bars, takes no part; nor does one below ``least``.

    The combinations of a sweep remember their answers for each other in ``state.ranking``: an answer
    depends on nothing but the market, ``i``, ``side``, ``lookback`` and ``max_stale``.
    """
    places = state.ranking.shape[0]
    key = 2 * i + (1 if side > 0 else 0)
    place = (key + SPREAD * lookback) & (places - 1)
    if places > 0:
        known = state.ranking[place]
        if known.key == key and known.lookback == lookback and known.max_stale == max_stale:
            return known.asset if known.efficiency >= least else -1
    asset, efficiency = rank(market, i, side, lookback, max_stale, state.scratch)
    if places > 0:
        known = state.ranking[place]
        known.key = key
        known.lookback = lookback
        known.max_stale = max_stale
        known.asset = asset
        known.efficiency = efficiency
    return asset if efficiency >= least else -1


@inline
def rank(market, i, side, lookback, max_stale, path):  # type: ignore[no-untyped-def]
    """Column and efficiency of the most efficient one; -1 and NaN if there is none. ``path`` (N,) is scratch."""
    first = i - lookback
    if first < 0:
        return -1, np.nan
    logs = market.log_price
    assets = logs.shape[1]
    for j in range(assets):
        path[j] = 0.0
    # Columns inside, so that they run in SIMD; each column's sum goes in bar order, whatever the
    # number of rows at a time.
    k = first
    while k + ROWS <= i:
        for j in range(assets):
            a = logs[k, j]
            b = logs[k + 1, j]
            c = logs[k + 2, j]
            d = logs[k + 3, j]
            e = logs[k + 4, j]
            f = logs[k + 5, j]
            path[j] = path[j] + abs(b - a) + abs(c - b) + abs(d - c) + abs(e - d) + abs(f - e)
        k += ROWS
    for row in range(k, i):
        for j in range(assets):
            path[j] += abs(logs[row + 1, j] - logs[row, j])
    best = -1
    best_efficiency = np.nan
    for j in range(assets):
        if path[j] > 0.0 and 0 <= market.age[i, j] <= max_stale:
            efficiency = side * (logs[i, j] - logs[first, j]) / path[j]
            if best < 0 or efficiency > best_efficiency:
                best = j
                best_efficiency = efficiency
    return best, best_efficiency
