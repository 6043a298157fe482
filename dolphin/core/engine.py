"""One strategy compiled into the step, and the ways to run it: per bar, batch, many."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.core import kernels
from dolphin.core.capital import CAPITAL, PEAK_DAYS, new_capital
from dolphin.core.compiling import guarded
from dolphin.core.digest import SEED, STAGES
from dolphin.core.fingerprint import step_digest
from dolphin.core.hooks import account_of
from dolphin.core.passage import new_passage
from dolphin.core.records import (
    ORDER,
    RANKED,
    RISK,
    SLOT,
    TRADE,
    Floats,
    Market,
    Records,
    State,
    Words,
)
from dolphin.core.strategy import Strategy

#: For runs whose trades nobody asked for.
NO_TRADES = np.zeros(0, TRADE)

#: Combinations of one task: many share more answers of the ranking, few keep all threads busy to the end.
CHUNK = 256

#: The same where bars are passed by events, and the fewest of a thread for which the index of the blocks pays.
EVENTS_CHUNK, EVENTS_LEAST = 1024, 6

#: Answers of the ranking that the combinations of a chunk share (a power of two).
RANKING = 8192
NOT_RANKED = np.array((-1, 0, 0, 0, 0.0), RANKED)


#: Bytes that a processor reads and writes at once.
CACHE_LINE = 64


def zeros_on_lines(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros that begin with a cache line.

    A state is written in every bar, by stores of 32 and 64 bytes. Runs of one kernel differed by up to a fifth from
    process to process; a state across two lines or two pages may be why. That this mends it was not shown.
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    room = np.zeros(size + CACHE_LINE, np.uint8)
    first = -room.ctypes.data % CACHE_LINE
    return room[first : first + size].view(kind).reshape(shape)


@dataclass(frozen=True)
class Recording:
    """What one run leaves: closed trades, and per bar equity, capital, position and digest."""

    state: State
    trades: Records
    equity: Floats
    capital: Floats
    position: NDArray[np.int8]
    digests: Words


class Engine:
    """The compiled core for one strategy. Compiling happens at the first call of each kernel."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.digest = hashlib.sha256(f"{step_digest()} {strategy.digest}".encode()).hexdigest()
        self.kernels: Any = guarded(kernels, strategy)
        self._account = account_of(strategy)

    def new_state(self, assets: int, initial_capital: float, days: int = 0) -> State:
        """A flat account of ``initial_capital`` for a market of ``assets`` columns."""
        many = self.new_states(assets, np.array([initial_capital]), days)
        return State._make([*(field[0] for field in many[:-1]), many.scratch])

    def new_states(self, assets: int, initial_capital: Floats, days: int = 0) -> State:
        """Flat accounts with a leading axis of combinations; ``initial_capital`` is (C,).

        They have room for the equity at the end of ``days`` UTC days.
        """
        count = len(initial_capital)
        account = zeros_on_lines((count, 1), self._account)
        for field in ("capital", "equity", "peak_equity", "day_equity"):
            account[field][:, 0] = initial_capital
        account["digest"] = SEED
        slots, weighed = self.strategy.slots_of(assets), int(self.strategy.drawdown)
        state = State(
            account=account,
            slots=zeros_on_lines((count, slots), SLOT),
            intents=zeros_on_lines((count, slots), ORDER),
            working=zeros_on_lines((count, slots), ORDER),
            fills=zeros_on_lines((count, slots if self.strategy.plain else 3 * slots), ORDER),
            refused=zeros_on_lines((count, slots), np.int64),
            exits=zeros_on_lines((count, len(self.strategy.reasons)), np.int64),
            day_ends=zeros_on_lines((count, days), np.float64),
            memory=zeros_on_lines((count, max(1, self.strategy.memory_of(assets))), np.float64),
            in_force=zeros_on_lines((count, weighed), RISK),
            stress=zeros_on_lines((count, weighed), CAPITAL),
            highs=zeros_on_lines((count, weighed * PEAK_DAYS), np.float64),
            signals=zeros_on_lines((count, 0), np.int64),
            ranking=zeros_on_lines((count, 0), RANKED),
            scratch=zeros_on_lines((assets,), np.float64),
        )
        state.stress[...], state.highs[...] = new_capital((count, weighed)), -np.inf
        return state

    def run(self, state: State, params: Records, friction: Records, market: Market, start: int, stop: int) -> Recording:
        """Bars ``start`` to ``stop`` in one loop, everything recorded.

        ``params`` and ``friction`` are arrays of one record.
        """
        bars = stop - start
        equity, capital = np.empty(bars), np.empty(bars)
        position, digests = np.empty(bars, np.int8), np.empty(bars, np.uint64)
        trades = np.zeros(1024, TRADE)
        reached = start
        while reached < stop:
            reached = self.kernels.run_recorded(
                state, params, friction, market, start, reached, stop,
                trades, equity, capital, position, digests,
            )  # fmt: skip
            if reached < stop:
                trades = np.concatenate([trades, np.zeros(len(trades), TRADE)])
        trades = trades[: int(state.account[0]["trades"])]
        return Recording(state, trades, equity, capital, position, digests)

    def run_per_bar(
        self,
        state: State,
        params: Records,
        friction: Records,
        market: Market,
        start: int,
        stop: int,
        on_bar: Callable[[int, Words], None] | None = None,
    ) -> Words:
        """The same bars, one Python call each; returns the digest of every bar.

        ``on_bar(i, stages)`` is called after each bar with its stage words, (6,) uint64.
        """
        digests, stages = np.empty(stop - start, np.uint64), np.zeros(len(STAGES), np.uint64)
        trades = NO_TRADES
        step_bar, account = self.kernels.step_bar, state.account
        for i in range(start, stop):
            step_bar(state, params, friction, market, i, trades, stages)
            digests[i - start] = account["digest"][0]
            if on_bar is not None:
                on_bar(i, stages)
        return digests

    def run_many(
        self,
        states: State,
        params: Records,
        friction: Records,
        market: Market,
        start: int,
        stop: int,
        *,
        threads: int = 1,
        chunk: int | None = None,
        events: bool | None = None,
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        """All combinations (leading axis of ``states``, ``params``, ``friction``) on all threads.

        ``states`` hold the results afterwards, and another call with them goes on from there. A
        combination's floats do not depend on its neighbours, on ``chunk`` or on ``threads``; what a
        chunk shares are the answers of the ranking. ``on_done(n)`` hears of ``n`` finished ones.

        Where the strategy has events, nothing is disturbed and no funding is paid, bars are passed by events;
        ``events`` says whether they are even for few combinations (True), or never (False). No bit depends on it.
        """
        count = len(params)
        can = (
            self.strategy.events is not None
            and "missed" not in (friction.dtype.names or ())
            and not len(market.funding)
        )
        by_events = can and (-(-count // threads) >= EVENTS_LEAST if events is None else events)
        chunk = chunk or min(EVENTS_CHUNK if by_events else CHUNK, -(-count // threads))

        def work(low: int) -> int:
            high = min(low + chunk, count)
            part = State._make([field[low:high] for field in states[:-1]] + [np.empty_like(states.scratch)])
            part = part._replace(ranking=np.full((1, RANKING), NOT_RANKED, RANKED))
            some = part, params[low:high], friction[low:high], market
            if by_events:
                passage = new_passage(market.features.shape[1], market.price.shape[1])
                self.kernels.run_events(*some, passage, start, stop, NO_TRADES)
            else:
                self.kernels.run_many(*some, start, stop, NO_TRADES)
            return high - low

        with ThreadPoolExecutor(max_workers=threads) as pool:
            try:
                for done in pool.map(work, range(0, count, chunk)):
                    if on_done is not None:
                        on_done(done)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise


@functools.cache
def engine_for(strategy: Strategy) -> Engine:
    """The engine of a strategy, one per process."""
    return Engine(strategy)
