"""The step and its loops, for every strategy: what differs is chosen by the types of state and friction."""

from __future__ import annotations

from dolphin.core.book import apply_fill, mark, mark_flat
from dolphin.core.capital import weigh
from dolphin.core.digest import (
    chain,
    data_word,
    features_word,
    fill_word,
    intent_word,
    risk_word,
    standing_word,
    state_word,
)
from dolphin.core.hooks import decide, feature_count, may_enter, skips, slot_count
from dolphin.core.jit import inline, kernel
from dolphin.core.missing import is_disturbed, miss_entries
from dolphin.core.obeying import obey
from dolphin.core.passage import BLOCK, index_block, pass_flat, pass_held
from dolphin.core.records import NONE, State
from dolphin.core.refusals import refuse
from dolphin.core.trading import (
    begin,
    expire,
    is_called,
    lay,
    liquidate,
    match_working,
    pay_funding,
    trade_now,
    work_on,
    write_liquidation,
)


@inline
def step(state, params, friction, market, i, trades):  # type: ignore[no-untyped-def]
    """One bar: funding, working orders, margin, the account's drawdown, decision, posture, new orders, marking.

    The caller folds the digest; it is told whether :func:`~dolphin.core.digest.standing_word` may be another.
    """
    begin(state)
    pay_funding(state, market, i)
    match_working(state, friction, market, i, trades)
    liquidate(state, friction, market, i, trades)
    weighed = weigh(state, market, i)
    decide(state, params, market, i)
    miss_entries(state, friction, slot_count(state), i)
    refuse(state, friction, market, i)
    obey(state, friction, market, i)
    trade_now(state, friction, market, i, trades)
    mark(state, slot_count(state), market, i)
    return weighed


@inline
def idle(state):  # type: ignore[no-untyped-def]
    """Nothing held, nothing waiting to be filled: a bar without a decision changes only bars and days."""
    for s in range(slot_count(state)):
        if state.slots[s].side != 0 or state.working[s].action != NONE:
            return False
    account = state.account[0]
    return account.equity == account.capital


@inline
def skip(state, params, market, start, stop):  # type: ignore[no-untyped-def]
    """Pass the bars from ``start`` on at which an idle strategy cannot enter; the bar stopped at."""
    i = start
    while i < stop and not may_enter(state, params, market, i):
        weigh(state, market, i)
        i += 1
    if i > start:
        begin(state)
        for s in range(slot_count(state)):
            state.refused[s] = 0
        mark_flat(state, market, start, i)
    return i


@inline
def fold(state, market, i):  # type: ignore[no-untyped-def]
    """Chain bar ``i`` to the digest and return the six stage words."""
    return fold_with(state, market, i, standing_word(state))


@inline
def fold_with(state, market, i, standing):  # type: ignore[no-untyped-def]
    """:func:`fold` in a loop, which keeps :func:`~dolphin.core.digest.standing_word` from bar to bar."""
    data = data_word(state, market, i)
    features = features_word(feature_count(state), market, i)
    risk = risk_word(state, market, i)
    intent = intent_word(state)
    fill = fill_word(state)
    after = state_word(state, standing)
    account = state.account[0]
    account.digest = chain(account.digest, data, features, risk, intent, fill, after)
    return data, features, risk, intent, fill, after


@inline
def exposure(state):  # type: ignore[no-untyped-def]
    """-1, 0 or +1: the side of the first open slot."""
    for s in range(slot_count(state)):
        if state.slots[s].side != 0:
            return state.slots[s].side
    return 0


@kernel(nogil=True, _nrt=False)
def run_recorded(  # type: ignore[no-untyped-def]
    state, params, friction, market, origin, start, stop, trades, equity, capital, position, digests
):
    """Bars ``start`` to ``stop``, everything recorded; returns the bar it stopped before.

    That is earlier than ``stop`` only when ``trades`` might run full: enlarge it and go on.
    Curves are indexed from ``origin``, the first bar of the whole run.
    """
    standing = standing_word(state)
    for i in range(start, stop):
        if trades.shape[0] - state.account[0].trades < state.fills.shape[0]:
            return i
        if step(state, params[0], friction[0], market, i, trades):
            standing = standing_word(state)
        fold_with(state, market, i, standing)
        account = state.account[0]
        k = i - origin
        equity[k] = account.equity
        capital[k] = account.capital
        position[k] = exposure(state)
        digests[k] = account.digest
    return stop


@kernel(nogil=True, _nrt=False)
def run_digested(state, params, friction, market, start, stop, trades, digests):  # type: ignore[no-untyped-def]
    """Bars ``start`` to ``stop`` with nothing but the digest per bar, at ``digests[i - start]``."""
    standing = standing_word(state)
    for i in range(start, stop):
        if step(state, params[0], friction[0], market, i, trades):
            standing = standing_word(state)
        fold_with(state, market, i, standing)
        digests[i - start] = state.account[0].digest


@inline
def combination(states, c):  # type: ignore[no-untyped-def]
    """Combination ``c`` of a sweep; all share the first row of ``ranking``."""
    return State(
        states.account[c],
        states.slots[c],
        states.intents[c],
        states.working[c],
        states.fills[c],
        states.refused[c],
        states.exits[c],
        states.day_ends[c],
        states.memory[c],
        states.in_force[c],
        states.stress[c],
        states.highs[c],
        states.signals[c],
        states.ranking[0],
        states.scratch,
    )


@kernel(nogil=True, _nrt=False)
def run_many(states, params, friction, market, start, stop, trades):  # type: ignore[no-untyped-def]
    """All combinations over bars ``start`` to ``stop``, blocks of bars outside, no digest.

    ``states`` has a leading axis of combinations in every field but ``scratch``, ``params`` and
    ``friction`` are (C,). The first row of ``ranking`` serves all combinations. States go on where
    an earlier call left them.
    """
    for low in range(start, stop, BLOCK):
        high = min(low + BLOCK, stop)
        for c in range(params.shape[0]):
            state = combination(states, c)
            i = low
            while i < high:
                if skips(state) and not is_disturbed(friction[c]) and idle(state):
                    i = skip(state, params[c], market, i, high)
                if i < high:
                    step(state, params[c], friction[c], market, i, trades)
                i += 1


@kernel(nogil=True, _nrt=False)
def run_events(states, params, friction, market, passage, start, stop, trades):  # type: ignore[no-untyped-def]
    """:func:`run_many` of a strategy that has events, not disturbed: the step only at bars that may change something.

    ``passage`` is filled for one block after the other.
    """
    for low in range(start, stop, BLOCK):
        high = min(low + BLOCK, stop)
        index_block(passage, market, low, high)
        for c in range(params.shape[0]):
            state = combination(states, c)
            i = low
            while i < high:
                if state.slots[0].side != 0:
                    if state.working[0].action == NONE:
                        i = pass_held(state, params[c], market, passage, low, i, high)
                elif idle(state):
                    i = pass_flat(state, params[c], market, passage, low, i, high)
                if i < high:
                    step(state, params[c], friction[c], market, i, trades)
                i += 1


@kernel(_nrt=False)
def step_bar(state, params, friction, market, i, trades, stages):  # type: ignore[no-untyped-def]
    """One bar from Python, digest folded; ``stages`` (6,) uint64 receives the stage words."""
    step(state, params[0], friction[0], market, i, trades)
    stages[0], stages[1], stages[2], stages[3], stages[4], stages[5] = fold(state, market, i)


@kernel(_nrt=False)
def begin_bar(state, market, i):  # type: ignore[no-untyped-def]
    """Open a bar whose fills come from an exchange; funding is paid."""
    begin(state)
    pay_funding(state, market, i)


@kernel(_nrt=False)
def call_margin(state, friction, market, i):  # type: ignore[no-untyped-def]
    """After the fills of working orders: those that expired go; what a margin call closes.

    It is written to the bank of ``state.fills`` that is a liquidation's, price and fee left to the exchange; returns
    whether there is any.
    """
    expire(state, i)
    if is_called(state, friction[0], market, i):
        write_liquidation(state)
        return True
    return False


@kernel(_nrt=False)
def decide_bar(state, params, friction, market, i):  # type: ignore[no-untyped-def]
    """The decision alone, for rungs whose fills come from an exchange; see ``state.intents``."""
    weigh(state, market, i)
    decide(state, params[0], market, i)
    refuse(state, friction[0], market, i)
    obey(state, friction[0], market, i)


@kernel(_nrt=False)
def place_bar(state, market, i):  # type: ignore[no-untyped-def]
    """Make the intents the slots' working orders: what an exchange has of us from here on."""
    for s in range(slot_count(state)):
        lay(state, s, market, i)


@kernel(_nrt=False)
def book_fill(state, f, s, market, i, trades):  # type: ignore[no-untyped-def]
    """Book the exchange's fill of slot ``s`` that was written to ``state.fills[f]``; its order is done, or works on."""
    fill, order = state.fills[f], state.working[s]
    apply_fill(state, f, s, market, i, trades)
    if order.action != NONE:
        if fill.qty >= order.qty:
            order.action = NONE
        else:
            work_on(state, s, order, fill.qty, market)


@kernel(_nrt=False)
def end_bar(state, market, i, stages):  # type: ignore[no-untyped-def]
    """Mark and fold a bar whose fills came from an exchange."""
    mark(state, slot_count(state), market, i)
    stages[0], stages[1], stages[2], stages[3], stages[4], stages[5] = fold(state, market, i)
