"""What lets a sweep pass many bars at once: extremes over short stretches of bars, and the bars where something turns.

A sweep reads its bars in blocks that all combinations pass before the next one. For each block it computes,
once for all of them, the extremes over :data:`STRETCH` bars each of the features, and of the prices that are
asked for. A combination then asks a stretch at a time whether it may be entered, or whether its position's
price may leave the band in which the strategy sits still (:class:`dolphin.core.strategy.Events`); the step
runs at the bars that remain. What is passed changes nothing but bars, days and marks, and a mark is monotone
in the price.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dolphin.core.book import LESS, close_day
from dolphin.core.hooks import enters_between, may_enter, stays_between
from dolphin.core.jit import inline
from dolphin.core.records import DAY_NS, HIBERNATE, Floats, Ints
from dolphin.core.trading import begin

#: Bars that all combinations pass before the next ones are read: they stay in the cache.
BLOCK = 2048

#: Bars of a stretch, of which a block has a whole number.
SHIFT = 4
STRETCH = 1 << SHIFT

#: Bars of a group of stretches; where groups and the whole block stand behind the stretches in the features' extremes.
GROUP_SHIFT = 3
GROUP = STRETCH << GROUP_SHIFT
GROUPS = BLOCK >> SHIFT
WHOLE = GROUPS + (BLOCK >> (SHIFT + GROUP_SHIFT))


class Passage(NamedTuple):
    """The index of one block, for F features and N assets: 120 kB for 50 assets.

    ``feature_low`` and ``feature_high`` (WHOLE + 1, F) leave NaN out (inf, -inf where nothing else is): a row per
    stretch, from GROUPS on one per group of them, at WHOLE the block's;
    ``price_low`` and ``price_high`` (BLOCK / STRETCH, N) are -inf and inf where one is NaN or infinite, and
    ``price_low`` is NaN where nobody has asked yet (few assets are held, see :func:`price_range`);
    ``turn`` (BLOCK,) int64 is the next bar, that bar included, at which the risk inputs are not those of
    the bar before, the posture is HIBERNATE, a UTC day begins, or the block.
    """

    feature_low: Floats
    feature_high: Floats
    price_low: Floats
    price_high: Floats
    turn: Ints


def new_passage(features: int, assets: int) -> Passage:
    """Room for one block."""
    stretches = BLOCK // STRETCH
    return Passage(
        np.empty((WHOLE + 1, features)),
        np.empty((WHOLE + 1, features)),
        np.empty((stretches, assets)),
        np.empty((stretches, assets)),
        np.empty(BLOCK, np.int64),
    )


@inline
def turns(market, i):  # type: ignore[no-untyped-def]
    """Whether bar ``i`` >= 1 may make a strategy leave whatever the price, or ends a day."""
    risk, before = market.risk[i], market.risk[i - 1]
    if risk.posture == HIBERNATE or risk.posture != before.posture:
        return True
    if not (risk.boost == before.boost and risk.beta == before.beta and risk.rm == before.rm):
        return True
    ts, earlier = market.ts[i], market.ts[i - 1]
    # A bar that closes at midnight ends its day for the books, and begins one on the clock.
    return ts // DAY_NS != earlier // DAY_NS or (ts - 1) // DAY_NS != (earlier - 1) // DAY_NS


@inline
def price_range(passage, market, low, b, asset):  # type: ignore[no-untyped-def]
    """Least and most price of an asset in stretch ``b`` of the block that begins at ``low``; computed once."""
    least, most = passage.price_low[b, asset], passage.price_high[b, asset]
    if least != least:
        least, most = np.inf, -np.inf
        first = low + (b << SHIFT)
        for i in range(first, first + STRETCH):
            price = market.price[i, asset]
            if not np.abs(price) < np.inf:
                least, most = -np.inf, np.inf
                break
            least, most = min(least, price), max(most, price)
        passage.price_low[b, asset] = least
        passage.price_high[b, asset] = most
    return least, most


@inline
def index_block(passage, market, low, high):  # type: ignore[no-untyped-def]
    """Fill ``passage`` for bars ``low`` to ``high``, at most BLOCK."""
    features = market.features
    columns = features.shape[1]
    for row in range(GROUPS, WHOLE + 1):
        for f in range(columns):
            passage.feature_low[row, f] = np.inf
            passage.feature_high[row, f] = -np.inf
    for first in range(low, high, STRETCH):
        stretch = (first - low) >> SHIFT
        last = min(first + STRETCH, high)
        for f in range(columns):
            least, most = np.inf, -np.inf
            for i in range(first, last):
                value = features[i, f]
                least = value if value < least else least
                most = value if value > most else most
            passage.feature_low[stretch, f] = least
            passage.feature_high[stretch, f] = most
            for row in (GROUPS + (stretch >> GROUP_SHIFT), WHOLE):
                passage.feature_low[row, f] = min(passage.feature_low[row, f], least)
                passage.feature_high[row, f] = max(passage.feature_high[row, f], most)
        for j in range(market.price.shape[1]):
            passage.price_low[stretch, j] = np.nan
    following = high
    for i in range(high - 1, low, -1):
        if turns(market, i):
            following = i
        passage.turn[i - low] = following
    passage.turn[0] = low


@inline
def next_entry(state, params, market, passage, low, start, stop):  # type: ignore[no-untyped-def]
    """The first bar from ``start`` on that may be entered, or ``stop``."""
    if start == low and not enters_between(state, params, passage.feature_low[WHOLE], passage.feature_high[WHOLE]):
        return stop
    i = start
    while i < stop:
        b = (i - low) >> SHIFT
        if (i - low) & (GROUP - 1) == 0:
            g = GROUPS + (b >> GROUP_SHIFT)
            if not enters_between(state, params, passage.feature_low[g], passage.feature_high[g]):
                i = min(i + GROUP, stop)
                continue
        after = min(low + ((b + 1) << SHIFT), stop)
        if enters_between(state, params, passage.feature_low[b], passage.feature_high[b]):
            while i < after:
                if may_enter(state, params, market, i):
                    return i
                i += 1
        i = after
    return stop


@inline
def pass_flat(state, params, market, passage, low, start, stop):  # type: ignore[no-untyped-def]
    """Pass the bars from ``start`` on at which an idle strategy cannot enter; the bar stopped at."""
    reached = next_entry(state, params, market, passage, low, start, stop)
    if reached == start:
        return start
    begin(state)
    state.refused[0] = 0
    account = state.account[0]
    i = passage.turn[start - low]
    while i < reached:
        if market.ts[i] > account.day_end:
            if account.bars + i > start:
                close_day(state)
            account.day_end = ((market.ts[i] - 1) // DAY_NS + 1) * DAY_NS
        i = passage.turn[i + 1 - low] if i + 1 < reached else reached
    account.bars += reached - start
    if account.capital <= 0.0:
        account.ruined = 1
    return reached


@inline
def pass_held(state, params, market, passage, low, start, stop):  # type: ignore[no-untyped-def]
    """Pass the bars from ``start`` on at which the open position stays as it is; the bar stopped at."""
    slot = state.slots[0]
    asset = slot.asset
    floor, ceiling, last = stays_between(state, params)
    stop = min(stop, min(last, passage.turn[start - low]))
    least, most = np.inf, -np.inf
    i = start
    while i < stop:
        if (i - low) & (STRETCH - 1) == 0 and i + STRETCH <= stop:
            b = (i - low) >> SHIFT
            lowest, highest = price_range(passage, market, low, b, asset)
            if floor < lowest and highest < ceiling:
                least, most = min(least, lowest), max(most, highest)
                i += STRETCH
                continue
        price = market.price[i, asset]
        if not (floor < price and price < ceiling):  # NaN is asked for, too
            break
        least, most = min(least, price), max(most, price)
        i += 1
    if i > start:
        begin(state)
        state.refused[0] = 0
        mark_held(state, market, start, i, least, most)
    return i


@inline
def equity_at(state, price):  # type: ignore[no-untyped-def]
    """What the account with its one position is worth at this price, by the operations of :func:`book.open_pnl`."""
    slot = state.slots[0]
    return state.account[0].capital + slot.side * slot.qty * (price - slot.entry_price)


@inline
def mark_held(state, market, start, stop, least, most):  # type: ignore[no-untyped-def]
    """:func:`dolphin.core.book.mark` for bars of one day through which one position is held.

    ``least`` and ``most`` are the extremes of its price there. Every operation of a mark is rounded, but none
    turns the order of two prices round: the best and worst equity are those of the extremes.
    """
    account, slot = state.account[0], state.slots[0]
    bars = stop - start
    account.bars += bars
    account.exposed_bars += bars
    if account.capital <= 0.0:
        account.ruined = 1
    one, other = equity_at(state, least), equity_at(state, most)
    worst, best = min(one, other), max(one, other)
    account.equity = equity_at(state, market.price[stop - 1, slot.asset])
    peak = account.peak_equity
    if best <= peak:
        fall = peak - worst
        if fall > account.max_drawdown * peak * LESS:
            account.max_drawdown = max(account.max_drawdown, fall / peak)
        return
    # No bar falls further than from the best equity to the worst, nor from a lower peak than the one before.
    account.peak_equity = best
    if best - worst > account.max_drawdown * peak * LESS:
        for i in range(start, stop):
            equity = equity_at(state, market.price[i, slot.asset])
            peak = max(peak, equity)
            fall = peak - equity
            if fall > account.max_drawdown * peak * LESS:
                account.max_drawdown = max(account.max_drawdown, fall / peak)
