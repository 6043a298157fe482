"""Fills booked and accounts marked (ENGINE sections 3 and 8): the books of every rung."""

from __future__ import annotations

from dolphin.core.grid import lots_of, of_lots
from dolphin.core.jit import inline
from dolphin.core.records import CLOSE, DAY_NS, NONE, REDUCE

#: One less some rounding: a product with it is never above the exact one.
LESS = 1.0 - 2.0**-50


@inline
def direction_of(order):  # type: ignore[no-untyped-def]
    """+1 if an order buys, -1 if it sells."""
    return -order.side if order.action == CLOSE or order.action == REDUCE else order.side


@inline
def copy_order(source, target):  # type: ignore[no-untyped-def]
    """Copy what is wanted; price and fee come from the fill."""
    target.action = source.action
    target.asset = source.asset
    target.side = source.side
    target.reason = source.reason
    target.qty = source.qty
    target.leverage = source.leverage
    target.kind = source.kind
    target.limit = source.limit
    target.trigger = source.trigger
    target.expires = source.expires
    target.post_only = source.post_only
    target.reduce_only = source.reduce_only
    target.bar = source.bar


@inline
def clear_terms(order):  # type: ignore[no-untyped-def]
    """Forget what an order says beside its action."""
    order.asset = 0
    order.side = 0
    order.reason = 0
    order.qty = 0.0
    order.leverage = 0.0
    order.kind = 0
    order.limit = 0.0
    order.trigger = 0.0
    order.expires = 0
    order.post_only = 0
    order.reduce_only = 0


@inline
def clear(orders, count):  # type: ignore[no-untyped-def]
    """Forget the first ``count`` orders."""
    for k in range(count):
        orders[k].action = NONE


@inline
def record_trade(state, s, fill, qty, pnl, funding, i, trades):  # type: ignore[no-untyped-def]
    """Count a closing of ``qty`` and append it to ``trades`` while there is room."""
    account, slot = state.account[0], state.slots[s]
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
        trade.qty = qty
        trade.entry_price = slot.entry_price
        trade.exit_price = fill.price
        trade.pnl = pnl
        trade.pnl_pct = pnl / (qty * slot.entry_price)
        trade.funding = funding
        trade.leverage = slot.leverage
        trade.capital_before = slot.capital_before
        trade.capital_after = account.capital
        trade.peak_before = slot.peak_before
        trade.drawdown_before = slot.drawdown_before
    account.trades = n + 1


@inline
def book_closing(state, s, fill, qty, fee, instrument, i, trades):  # type: ignore[no-untyped-def]
    """Realise ``qty`` of slot ``s`` at the fill's price, pro rata of its entry fee and funding."""
    account, slot = state.account[0], state.slots[s]
    share = qty / slot.qty
    gross = slot.side * qty * (fill.price - slot.entry_price)
    entry_fee, funding = slot.entry_fee * share, slot.funding * share
    account.capital += gross - fee
    slot.realised += gross - fee
    record_trade(state, s, fill, qty, gross - entry_fee - fee, funding, i, trades)
    if qty == slot.qty:
        account.open_positions -= 1
        slot.side = 0
        slot.funding = 0.0
    else:
        slot.qty = of_lots(lots_of(slot.qty, instrument) - lots_of(qty, instrument), instrument)
        slot.entry_fee -= entry_fee
        slot.funding -= funding


@inline
def book_opening(state, s, fill, qty, fee, direction, instrument, i):  # type: ignore[no-untyped-def]
    """Open slot ``s`` or add ``qty`` to it, at the average of the prices."""
    account, slot = state.account[0], state.slots[s]
    if slot.side == 0:
        slot.side = direction
        slot.asset = fill.asset
        slot.entry_bar = i
        slot.qty = qty
        slot.entry_price = fill.price
        slot.entry_fee = fee
        slot.leverage = fill.leverage
        slot.capital_before = account.capital
        slot.peak_before = account.peak_equity
        slot.drawdown_before = (account.peak_equity - account.equity) / account.peak_equity
        account.open_positions += 1
    else:
        total = of_lots(lots_of(slot.qty, instrument) + lots_of(qty, instrument), instrument)
        slot.entry_price = (slot.qty * slot.entry_price + qty * fill.price) / total
        slot.qty = total
        slot.entry_fee += fee
    account.capital -= fee
    slot.realised -= fee


@inline
def apply_fill(state, f, s, market, i, trades):  # type: ignore[no-untyped-def]
    """Book ``state.fills[f]`` on slot ``s``: what is against the position closes it, the rest opens."""
    account, slot, fill = state.account[0], state.slots[s], state.fills[f]
    direction, instrument = direction_of(fill), market.instruments[fill.asset]
    account.fees_paid += fill.fee
    account.traded += fill.qty * fill.price
    closing = 0.0
    if slot.side == -direction:
        closing = min(fill.qty, slot.qty)
    opening = fill.qty
    if closing > 0.0:
        opening = 0.0
        if closing < fill.qty:
            opening = of_lots(lots_of(fill.qty, instrument) - lots_of(closing, instrument), instrument)
    closing_fee = fill.fee * (closing / fill.qty)
    if closing > 0.0:
        book_closing(state, s, fill, closing, closing_fee, instrument, i, trades)
    if opening > 0.0:
        book_opening(state, s, fill, opening, fill.fee - closing_fee, direction, instrument, i)


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
def open_pnl(state, slots, market, i):  # type: ignore[no-untyped-def]
    """What the positions would bring at bar ``i``'s prices, fees aside, on top of capital: the equity."""
    equity = state.account[0].capital
    for s in range(slots):
        slot = state.slots[s]
        if slot.side != 0:
            equity += slot.side * slot.qty * (market.price[i, slot.asset] - slot.entry_price)
    return equity


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
        equity = open_pnl(state, slots, market, i)
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
