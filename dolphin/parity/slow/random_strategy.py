"""A strategy that wants anything: every action and kind, mostly what can be, sometimes what cannot.

It draws from columns of ``market.features`` that hold uniform random numbers: WIDTH columns per slot. One
function, which Python runs on plain objects and numba compiles, with the same operations in the same order.
"""

from __future__ import annotations

import math

import numpy as np

from dolphin.core.hooks import risk_at
from dolphin.core.jit import inline

NONE, OPEN, CLOSE, INCREASE, REDUCE, REVERSE, CANCEL = range(7)
MARKET, LIMIT, STOP, BRACKET = range(4)
HIBERNATE = 3

WIDTH = 13
REASONS = ("", "HELD", "HIBERNATE_HALT", "DRAWN", "LIQUIDATION")
MEMORY = 3

#: Integer 0 or 1: ``resize``, ``limits``, ``stops`` (what is declared). Probabilities: ``activity`` of a
#: wish per slot and bar, ``mistakes`` in a wish. ``size``: notional of an order over capital. ``reach``:
#: the longest distance of limits and triggers from the price, a fraction of it. ``hold``: bars.
PARAMS = ("activity", "mistakes", "size", "reach", "hold", "resize", "limits", "stops")


@inline
def decide(state, params, market, i):  # type: ignore[no-untyped-def]
    """Every slot's wish, if the bar's numbers draw one."""
    assets = market.price.shape[1]
    account = state.account[0]
    for s in range(len(state.intents)):
        c = s * WIDTH
        # What was refused is remembered, and enough of it changes what the slot does.
        state.memory[0] = 0.75 * state.memory[0] + state.refused[s]
        state.memory[1] += 1.0
        if market.features[i, c] >= params.activity:
            continue
        slot = state.slots[s]
        intent = state.intents[s]
        works = s < len(state.working) and state.working[s].action != NONE
        choice = market.features[i, c + 1]
        asset = math.floor(market.features[i, c + 2] * assets)
        side = 1 if market.features[i, c + 3] < 0.5 else -1
        action = OPEN
        kind_draw = market.features[i, c + 4]
        reason = math.floor(market.features[i, c + 5] * 4.0)
        if slot.side != 0:
            asset = slot.asset
            side = slot.side
            action = CLOSE
            if params.resize == 1:
                if choice < 0.25:
                    action = INCREASE
                elif choice < 0.55:
                    action = REDUCE
                elif choice < 0.75:
                    action = REVERSE
                    side = -slot.side
            elif choice < 0.5:
                action = NONE
            if i - slot.entry_bar >= params.hold or risk_at(state, market, i).posture == HIBERNATE:
                action = CLOSE
                side = slot.side
                kind_draw = 0.0
                reason = 1 if i - slot.entry_bar >= params.hold else 2
            else:
                moved = slot.side * (market.price[i, asset] / slot.entry_price - 1.0)
                if moved - slot.entry_fee / account.peak_equity < -0.03:
                    action = CLOSE
                    side = slot.side
                    reason = 3
        if works and choice > 0.9:
            action = CANCEL
        if state.memory[0] > 30.0 and choice > 0.5:
            action = NONE
        if action == NONE:
            continue

        price = market.price[i, asset]
        if price != price:
            price = 1.0
        instrument = market.instruments[asset]
        kind = MARKET
        if kind_draw > 0.35:
            if params.limits == 1 and kind_draw < 0.55:
                kind = LIMIT
            elif params.stops == 1 and kind_draw < 0.75:
                kind = STOP
            elif params.limits == 1 and params.stops == 1:
                kind = BRACKET

        notional = account.capital * params.size * (0.05 + market.features[i, c + 6])
        if account.equity < 0.5 * account.peak_equity:
            notional = 0.5 * notional
        if notional < 100.0:
            notional = 100.0
        lots = np.floor(notional / price / instrument.lot)  # a float: there may be more than an integer holds
        if action in (CLOSE, REDUCE):
            lots = np.floor(slot.qty / instrument.lot + 0.5)
        if action == REDUCE:
            lots = np.floor(lots * market.features[i, c + 6])
        qty = lots * instrument.lot_num / instrument.lot_den

        direction = side
        if action in (CLOSE, REDUCE):
            direction = -side
        ticks = math.floor(price / instrument.tick + 0.5)
        span = params.reach * price / instrument.tick
        below = math.floor((market.features[i, c + 7] - 0.1) * span)
        above = 1 + math.floor(market.features[i, c + 8] * span)
        limit_ticks = ticks - direction * below
        trigger_ticks = ticks + direction * above
        limit = limit_ticks * instrument.tick_num / instrument.tick_den
        trigger = trigger_ticks * instrument.tick_num / instrument.tick_den
        flags = market.features[i, c + 9] * 6.0
        expires = math.floor(flags)
        flags = flags - expires
        post_only = 1 if flags < 0.2 else 0
        reduce_only = 1 if flags > 0.7 and direction != side else 0

        if market.features[i, c + 10] < params.mistakes:
            mistake = math.floor(market.features[i, c + 11] * 30.0)
            draw = market.features[i, c + 12]
            if mistake == 0:
                qty = 1.37 * qty
            elif mistake == 1:
                qty = 0.0
            elif mistake == 2:
                qty = -qty
            elif mistake == 3:
                qty = math.nan
            elif mistake == 4:
                qty = 1e25 if direction != side and draw < 0.7 else math.inf
            elif mistake == 5:
                qty = (lots + 1) * instrument.lot_num / instrument.lot_den
            elif mistake == 6:
                qty = instrument.lot_num / instrument.lot_den
            elif mistake == 7:
                qty = 3.0 * qty
            elif mistake == 8:
                side = -side
            elif mistake == 9:
                side = 0
            elif mistake == 10:
                side = 2
            elif mistake == 11:
                asset = -1
            elif mistake == 12:
                asset = assets
            elif mistake == 13:
                asset = math.floor(draw * assets)
            elif mistake == 14:
                action = 7
            elif mistake == 15:
                action = -1
            elif mistake == 16:
                action = 1 + math.floor(draw * 6.0)
            elif mistake == 17:
                action = 1 + math.floor(draw * 6.0)
                side = -side
            elif mistake == 18:
                kind = 4
            elif mistake == 19:
                kind = -1
            elif mistake == 20:
                kind = math.floor(draw * 4.0)
            elif mistake == 21:
                limit = limit + 0.25 * instrument.tick
                trigger = trigger - 0.25 * instrument.tick
            elif mistake == 22:
                limit = 0.0 if draw < 0.5 else math.inf
            elif mistake == 23:
                trigger = math.nan if draw < 0.5 else math.inf
            elif mistake == 24:
                trigger = (ticks - direction * above) * instrument.tick_num / instrument.tick_den
            elif mistake == 25:
                trigger = price
                limit = price
            elif mistake == 26:
                limit = (trigger_ticks + direction * math.floor(draw * 3.0)) * instrument.tick_num / instrument.tick_den
            elif mistake == 27:
                reduce_only = 1
            elif mistake == 28:
                post_only = 1
                limit = (ticks + direction * math.floor(draw * 3.0)) * instrument.tick_num / instrument.tick_den
            else:
                # A change of mind, which memory keeps.
                state.memory[2] += draw
                action = CANCEL

        intent.action, intent.asset, intent.side, intent.reason = action, asset, side, reason
        intent.kind, intent.limit, intent.trigger, intent.expires = kind, limit, trigger, expires
        intent.post_only, intent.reduce_only = post_only, reduce_only
        intent.qty, intent.leverage = qty, qty * price / account.peak_equity
