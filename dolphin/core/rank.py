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


@inline
def below(score, bound, found):  # type: ignore[no-untyped-def]
    """``score`` where it is below ``bound`` and above ``found``, else ``found``; NaN is neither."""
    candidate = score if score < bound else -np.inf
    return candidate if candidate > found else found


@inline
def next_below(scores, count, side, bound):  # type: ignore[no-untyped-def]
    """The highest of ``side`` * score that is below ``bound``; -inf if there is none.

    Four columns side by side: a maximum does not wait for the one before.
    """
    a = b = c = d = -np.inf
    n = 0
    while n + 3 < count:
        a = below(side * scores[n], bound, a)
        b = below(side * scores[n + 1], bound, b)
        c = below(side * scores[n + 2], bound, c)
        d = below(side * scores[n + 3], bound, d)
        n += 4
    while n < count:
        a = below(side * scores[n], bound, a)
        n += 1
    return max(max(a, b), max(c, d))


@inline
def kth(scores, count, side, k):  # type: ignore[no-untyped-def]
    """The column of the ``k``-th highest (side +1) or lowest (side -1) of ``count`` scores; NaN takes no part.

    Of equal scores the lower column counts as the higher, so that the highest and the lowest never share a column
    while there are enough of them. ``k`` is from 1 to the number of scores that are no NaN.
    """
    best, left = np.inf, k
    while True:
        value, equal = side * best, 0
        for j in range(count):
            equal += scores[j] == value
        if equal >= left or best == -np.inf:
            break
        left -= equal
        best = next_below(scores, count, side, best)
    j, last = (0 if side > 0 else count - 1), -1
    for _ in range(count):
        if scores[j] == value:
            last = j
            left -= 1
            if left == 0:
                break
        j += side
    return last


@inline
def among(scores, j, side, last):  # type: ignore[no-untyped-def]
    """Whether column ``j`` is column ``last`` or comes before it, from the highest (side +1) or lowest (-1) on."""
    gap = side * (scores[j] - scores[last])
    return gap > 0.0 or (gap == 0.0 and side * (j - last) <= 0)
