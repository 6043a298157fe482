"""Fills and accounting (ENGINE section 3): the fill model of research, the books of every rung."""

from __future__ import annotations

import numpy as np

from dolphin.core.jit import inline, kernel
from dolphin.core.records import CLOSE, DAY_NS, NONE, OPEN

#: A hair in units of ticks or lots, so that a price that is on the grid stays where it is.
HAIR = 1e-9

#: The same for millions of ticks, where rounding of the quotient alone exceeds HAIR (4 half-ulps).
RELATIVE_HAIR = 2.0**-51

#: One less some rounding: a product with it is never above the exact one.
LESS = 1.0 - 2.0**-50


@inline
def hair(steps):  # type: ignore[no-untyped-def]
    """How far from a whole number of steps still counts as whole."""
    return max(HAIR, steps * RELATIVE_HAIR)


@inline
def round_against(price, side, instrument):  # type: ignore[no-untyped-def]
    """``price`` moved to the tick grid, up for a buy (side +1) and down for a sell (side -1)."""
    ticks = price / instrument.tick
    ticks = np.ceil(ticks - hair(ticks)) if side > 0 else np.floor(ticks + hair(ticks))
    return ticks * instrument.tick_num / instrument.tick_den


@inline
def slipped(price, side, slippage, instrument):  # type: ignore[no-untyped-def]
    """What a buy (side +1) or sell (-1) at ``price`` is filled at: moved, then rounded, against us."""
    return round_against(price * (1.0 + side * slippage), side, instrument)


@kernel(_nrt=False)
def slipped_price(price, side, slippage, instruments):  # type: ignore[no-untyped-def]
    """:func:`slipped` for callers outside the step; ``instruments`` is an array of one record."""
    return slipped(price, side, slippage, instruments[0])


@inline
def lots_below(quantity, instrument):  # type: ignore[no-untyped-def]
    """The largest multiple of the lot step that is not above ``quantity``."""
    lots = quantity / instrument.lot
    lots = np.floor(lots + hair(lots))
    return lots * instrument.lot_num / instrument.lot_den


@inline
def copy_order(source, target):  # type: ignore[no-untyped-def]
    """Copy what is wanted; price and fee come from the fill."""
    target.action = source.action
    target.asset = source.asset
    target.side = source.side
    target.reason = source.reason
    target.qty = source.qty
    target.leverage = source.leverage


@inline
def fill_from_model(state, order, s, friction, market, i):  # type: ignore[no-untyped-def]
    """Fill ``order`` of slot ``s`` at bar ``i``'s price, slipped and rounded against us."""
    fill = state.fills[s]
    copy_order(order, fill)
    direction = order.side if order.action == OPEN else -order.side
    instrument = market.instruments[order.asset]
    fill.price = slipped(market.price[i, order.asset], direction, friction.slippage, instrument)
    fill.fee = friction.fee * (order.qty * fill.price)


@inline
def apply_fill(state, s, i, trades):  # type: ignore[no-untyped-def]
    """Book the fill of slot ``s``; a closed trade is appended to ``trades`` while it has room."""
    account = state.account[0]
    slot = state.slots[s]
    fill = state.fills[s]
    if fill.action == OPEN:
        slot.side = fill.side
        slot.asset = fill.asset
        slot.entry_bar = i
        slot.qty = fill.qty
        slot.entry_price = fill.price
        slot.entry_fee = fill.fee
        slot.leverage = fill.leverage
        slot.capital_before = account.capital
        slot.peak_before = account.peak_equity
        slot.drawdown_before = (account.peak_equity - account.equity) / account.peak_equity
        account.capital -= fill.fee
        slot.realised -= fill.fee
        account.fees_paid += fill.fee
        account.traded += fill.qty * fill.price
        account.open_positions += 1
    elif fill.action == CLOSE:
        gross = slot.side * slot.qty * (fill.price - slot.entry_price)
        pnl = gross - slot.entry_fee - fill.fee
        account.capital += gross - fill.fee
        slot.realised += gross - fill.fee
        account.fees_paid += fill.fee
        account.traded += fill.qty * fill.price
        if 0 <= fill.reason < state.exits.shape[0]:
            state.exits[fill.reason] += 1
        if pnl > 0.0:
            account.wins += 1
            account.gross_win += pnl
        else:
            account.gross_loss -= pnl
        n = account.trades
        if n < trades.shape[0]:
            trade = trades[n]
            trade.entry_bar = slot.entry_bar
            trade.exit_bar = i
            trade.asset = slot.asset
            trade.side = slot.side
            trade.reason = fill.reason
            trade.open_positions = account.open_positions
            trade.qty = slot.qty
            trade.entry_price = slot.entry_price
            trade.exit_price = fill.price
            trade.pnl = pnl
            trade.pnl_pct = pnl / (slot.qty * slot.entry_price)
            trade.leverage = slot.leverage
            trade.capital_before = slot.capital_before
            trade.capital_after = account.capital
            trade.peak_before = slot.peak_before
            trade.drawdown_before = slot.drawdown_before
        account.trades = n + 1
        account.open_positions -= 1
        slot.side = 0


@inline
def close_day(state):  # type: ignore[no-untyped-def]
    """Keep the equity of the day that just ended; fold its return into the running mean and variance."""
    account = state.account[0]
    if account.day < state.day_ends.shape[0]:
        state.day_ends[account.day] = account.equity
    account.day += 1
    if account.day_equity > 0.0:
        daily = account.equity / account.day_equity - 1.0
        account.days += 1
        delta = daily - account.day_mean
        account.day_mean += delta / account.days
        account.day_m2 += delta * (daily - account.day_mean)
    account.day_equity = account.equity


@inline
def mark(state, slots, market, i):  # type: ignore[no-untyped-def]
    """Mark to bar ``i``'s prices: equity, peak, drawdown, day returns, exposure."""
    account = state.account[0]
    ts = market.ts[i]
    if ts > account.day_end:  # a bar that closes at midnight ends its day (ENGINE section 5)
        if account.bars > 0:
            close_day(state)
        account.day_end = ((ts - 1) // DAY_NS + 1) * DAY_NS
    equity = account.capital
    if account.open_positions > 0:
        account.exposed_bars += 1
        for s in range(slots):
            slot = state.slots[s]
            if slot.side != 0:
                equity += slot.side * slot.qty * (market.price[i, slot.asset] - slot.entry_price)
    account.bars += 1
    if account.capital <= 0.0:
        account.ruined = 1
    if equity == account.equity:  # most flat bars: neither peak nor drawdown can be new
        return
    account.equity = equity
    if equity > account.peak_equity:
        account.peak_equity = equity
    # The product spares most bars the division; the hair keeps it from missing a new maximum.
    fall = account.peak_equity - equity
    if fall > account.max_drawdown * account.peak_equity * LESS:
        account.max_drawdown = max(account.max_drawdown, fall / account.peak_equity)


@inline
def mark_flat(state, market, start, stop):  # type: ignore[no-untyped-def]
    """:func:`mark` for bars ``start`` to ``stop`` of an account that is flat throughout: days and bars move on."""
    account = state.account[0]
    if market.ts[stop - 1] > account.day_end:
        for i in range(start, stop):
            if market.ts[i] > account.day_end:
                if account.bars + i > start:
                    close_day(state)
                account.day_end = ((market.ts[i] - 1) // DAY_NS + 1) * DAY_NS
    account.bars += stop - start
    if account.capital <= 0.0:
        account.ruined = 1


@inline
def clear(orders, slots):  # type: ignore[no-untyped-def]
    """Forget the orders of all slots."""
    for s in range(slots):
        orders[s].action = NONE
