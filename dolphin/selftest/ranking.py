"""That the answers which the combinations of a sweep remember for each other are those that each would find alone."""

from __future__ import annotations

from itertools import product

import numpy as np

from dolphin.core.engine import NOT_RANKED, engine_for
from dolphin.core.jit import kernel
from dolphin.core.rank import most_efficient
from dolphin.core.records import RANKED
from dolphin.selftest.detectors import Finding
from dolphin.selftest.markets import VEL_DIV, small_market

#: So few that different questions meet in one place.
PLACES = 64


@kernel(_nrt=False)
def asked(state, market, i, side, lookback, max_stale):  # type: ignore[no-untyped-def]
    """The best column of bar ``i``."""
    return most_efficient(state, market, i, side, lookback, max_stale, -1.0)


def answers_are_ones_own() -> Finding | None:
    """Both sides, several look-backs and ages of every bar, asked twice: with a memory and without."""
    market = small_market()
    alone = engine_for(VEL_DIV).new_state(market.price.shape[1], 25_000.0)
    together = alone._replace(ranking=np.full(PLACES, NOT_RANKED, RANKED))
    for i in range(30, 300):
        for _, lookback, stale, side in product(range(2), (5, 12, 21), (0, 5), (1, -1)):
            ours, theirs = (int(asked(state, market, i, side, lookback, stale)) for state in (alone, together))
            if ours != theirs:
                what = f"side {side}, look-back {lookback}, at most {stale} bars old"
                return Finding("intent", i, f"{what}: column {theirs} is remembered, {ours} is best")
    return None
