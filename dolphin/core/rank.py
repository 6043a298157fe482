"""Which asset: directional efficiency over a look-back (ENGINE section 3, entry 4)."""

from __future__ import annotations

import numpy as np

from dolphin.core.jit import inline


@inline
def most_efficient(market, i, side, lookback, max_stale, least, path):  # type: ignore[no-untyped-def]
    """The column with the highest ``side * net log move / path length``, or -1.

    Ties go to the lower column. A column with NaN or no movement in the window, or whose last
    real price is older than ``max_stale`` bars, takes no part; nor does one below ``least``.
    ``path`` (N,) is scratch.
    """
    first = i - lookback
    if first < 0:
        return -1
    logs = market.log_price
    assets = logs.shape[1]
    for j in range(assets):
        path[j] = 0.0
    # Row by row, so that the inner loop runs over contiguous columns in SIMD, each column's sum in
    # bar order.
    for k in range(first + 1, i + 1):
        for j in range(assets):
            path[j] += np.abs(logs[k, j] - logs[k - 1, j])
    best = -1
    best_efficiency = 0.0
    for j in range(assets):
        if path[j] > 0.0 and 0 <= market.age[i, j] <= max_stale:
            efficiency = side * (logs[i, j] - logs[first, j]) / path[j]
            if efficiency >= least and (best < 0 or efficiency > best_efficiency):
                best = j
                best_efficiency = efficiency
    return best
