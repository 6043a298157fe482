"""Every bar folded into one 64-bit number, stage by stage (ENGINE section 6, PARITY section 3).

A stage word is the sum of its values' bits, each times an odd constant of its own; the words are
combined the same way and one multiply and xor-shift chains them to the bar before. That is one
dependent step per bar: the rest overlaps.
"""

from __future__ import annotations

import numpy as np

from dolphin.core.bits import float_bits
from dolphin.core.capital import high_of
from dolphin.core.hooks import (
    is_plain,
    is_rich,
    memory_count,
    obeys_postures,
    only_where,
    reads_rows,
    risk_at,
    slot_count,
    weighs_drawdown,
)
from dolphin.core.jit import inline
from dolphin.core.records import NONE
from dolphin.core.trading import bank_count

#: Stages in the order in which one bar passes them.
STAGES = ("data", "features", "risk", "intent", "fill", "state")

#: Where every chain begins.
SEED = np.uint64(0x9E3779B97F4A7C15)

#: The word of what there is not.
NOTHING = np.uint64(0)

_NAN = np.uint64(0x7FF8000000000000)
_SHIFT = np.uint64(32)

# Odd 64-bit constants, the golden-ratio sequence run through splitmix64 and made odd.
_K0 = np.uint64(0xE220A8397B1DCDAF)
_K1 = np.uint64(0x6E789E6AA1B965F5)
_K2 = np.uint64(0x06C45D188009454F)
_K3 = np.uint64(0xF88BB8A8724C81ED)
_K4 = np.uint64(0x1B39896A51A8749B)
_K5 = np.uint64(0x53CB9F0C747EA2EB)
_K6 = np.uint64(0x2C829ABE1F4532E1)
_K7 = np.uint64(0xC584133AC916AB3D)


@inline
def bits(value):  # type: ignore[no-untyped-def]
    """The bits of a float; every NaN counts as the same one, because CPUs differ in its sign."""
    return float_bits(value) if value == value else _NAN


@inline
def word(value):  # type: ignore[no-untyped-def]
    """An integer as a 64-bit word."""
    return np.uint64(value)


@inline
def chain(digest, data, features, risk, intent, fill, state):  # type: ignore[no-untyped-def]
    """One step of the chain over the six stage words."""
    mixed = data * _K0 + features * _K1 + risk * _K2 + intent * _K3 + fill * _K4 + state * _K5
    folded = (digest ^ mixed) * _K6
    return folded ^ (folded >> _SHIFT)


@only_where(reads_rows, otherwise=NOTHING)
def row_word(state, market, i, asset):  # type: ignore[no-untyped-def]
    """What a row says of one asset beside its scan price, where the market has it."""
    total = np.uint64(0)
    for column in (market.open, market.high, market.low, market.volume, market.bid, market.ask, market.funding):
        if column.shape[0] > 0:
            total = (total + bits(column[i, asset])) * _K6
    return total


@inline
def data_word(state, market, i):  # type: ignore[no-untyped-def]
    """Bar time, and what is known of every asset that is held, was traded or has an order in this bar."""
    total = word(market.ts[i]) * _K0
    slots, banks = slot_count(state), bank_count(state)
    for s in range(slots):
        slot = state.slots[s]
        fill = state.fills[s]
        if slot.side != 0:
            total += bits(market.price[i, slot.asset]) * _K1
        elif fill.action != NONE:
            total += bits(market.price[i, fill.asset]) * _K1
        if slot.side != 0:
            total += row_word(state, market, i, slot.asset) * _K2
        if not is_plain(state):
            for bank in range(banks):
                fill = state.fills[bank * slots + s]
                if fill.action != NONE:
                    total += (bits(market.price[i, fill.asset]) + row_word(state, market, i, fill.asset)) * _K3
            if state.working[s].action != NONE:
                total += row_word(state, market, i, state.working[s].asset) * _K4
        total *= _K7
    return total


@inline
def features_word(columns, market, i):  # type: ignore[no-untyped-def]
    """The feature row."""
    total = np.uint64(0)
    for f in range(columns):
        total = (total + bits(market.features[i, f])) * _K2
    return total


@only_where(obeys_postures, otherwise=NOTHING)
def quality_word(state, risk):  # type: ignore[no-untyped-def]
    """The order book's quality, where it can change an exit."""
    return float_bits(risk.quality) * _K4


@only_where(weighs_drawdown, otherwise=NOTHING)
def weighed_word(state, market, i):  # type: ignore[no-untyped-def]
    """What the row says that the account's drawdown is weighed with."""
    row = market.risk[i]
    return float_bits(row.rm1) * _K5 + float_bits(row.others) * _K6 + word(row.imposed) * _K7


@inline
def risk_word(state, market, i):  # type: ignore[no-untyped-def]
    """Boost, beta, Rm and posture as they were in force; book's quality and stack's factors where they count."""
    risk = risk_at(state, market, i)
    total = (
        float_bits(risk.boost) * _K0
        + float_bits(risk.beta) * _K1
        + float_bits(risk.rm) * _K2
        + word(risk.posture) * _K3
    )
    return total + quality_word(state, risk) + weighed_word(state, market, i)


@inline
def order_word(order):  # type: ignore[no-untyped-def]
    """What was wanted: everything of an ORDER but price and fee."""
    return (
        word(order.action) * _K0
        + word(order.asset) * _K1
        + word(order.side) * _K2
        + word(order.reason) * _K3
        + bits(order.qty) * _K4
        + bits(order.leverage) * _K5
    )


@only_where(is_rich, otherwise=NOTHING)
def terms_word(state, order):  # type: ignore[no-untyped-def]
    """How an order is to be traded."""
    return (
        word(order.kind) * _K0
        + bits(order.limit) * _K1
        + bits(order.trigger) * _K2
        + word(order.expires) * _K3
        + word(order.post_only) * _K4
        + word(order.reduce_only) * _K5
    )


@inline
def intent_word(state):  # type: ignore[no-untyped-def]
    """What the strategy wants, slot by slot, and what it was refused."""
    total = np.uint64(0)
    for s in range(slot_count(state)):
        if state.intents[s].action != NONE:
            total += order_word(state.intents[s]) * _K1
            total += terms_word(state, state.intents[s]) * _K6
        if not is_plain(state):
            total += word(state.refused[s]) * _K2
        total *= _K7
    return total


@inline
def fill_word(state):  # type: ignore[no-untyped-def]
    """What was filled, at which price and fee."""
    total = np.uint64(0)
    for f in range(bank_count(state) * slot_count(state)):
        fill = state.fills[f]
        if fill.action != NONE:
            total += order_word(fill) * _K1 + bits(fill.price) * _K6 + bits(fill.fee) * _K7
            if not is_plain(state):
                total += word(fill.kind) * _K2 + word(fill.passive) * _K3
        total *= _K7
    return total


@only_where(is_rich, otherwise=NOTHING)
def slot_word(state, slot):  # type: ignore[no-untyped-def]
    """What a slot knows of its open position beyond what plain strategies need."""
    return bits(slot.entry_fee) * _K3 + bits(slot.funding) * _K4


@only_where(weighs_drawdown, otherwise=NOTHING)
def standing_word(state):  # type: ignore[no-untyped-def]
    """What the account's drawdown is judged by, and few bars change: the hysteresis, the peak, the day and its high.

    The highs of the days before were in the words of their last bars.
    """
    stress = state.stress[0]
    total = (
        word(stress.posture) * _K0
        + word(stress.worse) * _K1
        + word(stress.worse_best) * _K2
        + word(stress.better) * _K3
        + word(stress.better_worst) * _K4
        + word(stress.tripped) * _K5
        + word(stress.before) * _K6
        + word(stress.good) * _K7
    )
    total = total * _K1 + word(stress.good_best) * _K0 + word(stress.day) * _K2
    return total * _K3 + bits(stress.peak) * _K4 + bits(state.highs[high_of(stress.day)]) * _K5


@only_where(weighs_drawdown, otherwise=NOTHING)
def capital_word(state, standing):  # type: ignore[no-untyped-def]
    """:func:`standing_word`, and Rm5."""
    return standing + bits(state.stress[0].rm5) * _K6


@inline
def state_word(state, standing):  # type: ignore[no-untyped-def]
    """Capital, peak, counters, open positions, working orders and the strategy's memory after the bar.

    ``standing`` is :func:`standing_word`.
    """
    account = state.account[0]
    total = (
        float_bits(account.capital) * _K0
        + float_bits(account.peak_equity) * _K1
        + float_bits(account.equity) * _K2
        + word(account.trades) * _K3
    )
    slots = slot_count(state)
    for s in range(slots):
        slot = state.slots[s]
        if slot.side != 0:
            total += (
                word(slot.side) * _K4
                + word(slot.asset) * _K5
                + word(slot.entry_bar) * _K6
                + bits(slot.qty) * _K7
                + bits(slot.entry_price) * _K0
                + bits(slot.leverage) * _K1
            )
            total += slot_word(state, slot)
        if slots > 1:  # with one slot it is capital less what the account began with
            total += bits(slot.realised) * _K2
        if not is_plain(state):
            working = state.working[s]
            if working.action != NONE:
                total += (order_word(working) + terms_word(state, working) * _K5 + word(working.bar) * _K6) * _K3
        total *= _K7
    for m in range(memory_count(state)):
        total = (total + bits(state.memory[m])) * _K2
    return total + capital_word(state, standing)
