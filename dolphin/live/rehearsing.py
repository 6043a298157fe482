"""A bar before the first one, on an account that is thrown away: no row waits for a compiler."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from dolphin.core.digest import STAGES
from dolphin.core.engine import NO_TRADES, Engine
from dolphin.core.mistakes import StrategyError
from dolphin.core.records import Market, Records


def rehearse(engine: Engine, params: Records, friction: Records, market: Market, bar: int) -> None:
    """Have every kernel that a session calls compiled, or read from the disk.

    Parameters
    ----------
    engine, params, friction, market
        Those of the session: kernels are compiled for the types of what they are given.
    bar : int
        A row that is known, with as many before it as the strategy reads.
    """
    state, kernels = engine.new_state(market.price.shape[1], 1.0), engine.kernels
    with suppress(StrategyError):  # what is wrong is told where it happens
        kernels.begin_bar(state, market, bar)
        kernels.call_margin(state, friction, market, bar)
        kernels.decide_bar(state, params, friction, market, bar)
        kernels.place_bar(state, market, bar)
        kernels.book_fill(state, 0, 0, market, bar, NO_TRADES)
        kernels.end_bar(state, market, bar, np.zeros(len(STAGES), np.uint64))
