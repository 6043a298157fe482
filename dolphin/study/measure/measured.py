"""Many configurations run and measured in one go, and some of them run again alone to prove it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dolphin.config import Config, friction_records, params_records
from dolphin.core.engine import Engine
from dolphin.core.records import Floats, Ints, Market, Records, State
from dolphin.errors import DolphinError
from dolphin.study.measure.metrics import ALL_METRICS, MetricArrays, daily_levels, daily_returns, metrics_of
from dolphin.study.measure.run import days_of, flat_state


@dataclass(frozen=True)
class Measures:
    """What many runs over the same bars are judged by.

    ``metrics`` are (C,) arrays by the names of :data:`~dolphin.study.measure.metrics.ALL_METRICS`,
    ``daily_returns`` is (C, days) float64 (nan for a day that begins without equity), ``exits`` (C, R)
    int64 counts closed trades by the strategy's reasons.
    """

    metrics: MetricArrays
    daily_returns: Floats
    exits: Ints


@dataclass(frozen=True)
class BatchResult(Measures):
    """The same, and ``states``: the accounts as they stand."""

    states: State


class Combinations(NamedTuple):
    """Configurations of one strategy as the engine reads them: (C,) each."""

    params: Records
    friction: Records
    capital: Floats


def combinations(configs: Sequence[Config]) -> Combinations:
    """The records of configurations of one strategy."""
    capital = np.array([config.account.initial_capital for config in configs])
    params = params_records([config.params for config in configs])
    return Combinations(params, friction_records(configs), capital)


def measure(
    configs: Sequence[Config],
    market: Market,
    start: int,
    stop: int,
    *,
    threads: int = 1,
    on_done: Callable[[int], None] | None = None,
) -> BatchResult:
    """Run many configurations of one strategy over rows ``start`` to ``stop``; nothing is registered.

    Memory: about 1 kB a configuration, and 8 bytes more per UTC day of the window.
    """
    engine = configs[0].engine
    return measure_records(engine, combinations(configs), market, start, stop, threads=threads, on_done=on_done)


def measure_records(
    engine: Engine,
    many: Combinations,
    market: Market,
    start: int,
    stop: int,
    *,
    threads: int = 1,
    chunk: int | None = None,
    disturbed: bool = False,
    on_done: Callable[[int], None] | None = None,
) -> BatchResult:
    """:func:`measure` of configurations that are records already.

    ``chunk`` combinations are one task of a thread; the states of ``disturbed`` ones remember the entry signal of
    each slot, which is missed or taken as a whole.
    """
    states = engine.new_states(market.price.shape[1], many.capital, days_of(market.ts, start, stop))
    if disturbed:
        states = states._replace(signals=np.zeros(states.refused.shape, np.int64))
    window = (market, start, stop)
    engine.run_many(states, many.params, many.friction, *window, threads=threads, chunk=chunk, on_done=on_done)
    return result_of(states, many.capital)


def result_of(states: State, capital: Floats) -> BatchResult:
    """The measures of states with a leading axis of combinations."""
    accounts = states.account[:, 0]
    returns = daily_returns(daily_levels(accounts, capital, states.day_ends))
    return BatchResult(metrics_of(accounts, capital, states.day_ends), returns, states.exits, states)


def result_of_one(state: State, capital: float) -> BatchResult:
    """The measures of a single run's state, as a batch of one."""
    many = State._make([*(field[None] for field in state[:-1]), state.scratch])
    return result_of(many, np.array([capital]))


def run_alone(config: Config, market: Market, start: int, stop: int) -> BatchResult:
    """One configuration as a single run does it: every bar decided, digest folded, everything recorded."""
    engine, capital = config.engine, config.account.initial_capital
    state = flat_state(config, market, start, stop)
    engine.run(state, config.params_record(), config.friction_record(), market, start, stop)
    return result_of_one(state, capital)


def first_difference(batch: Measures, c: int, alone: BatchResult) -> str | None:
    """The first measure in which combination ``c`` is not its single run, by bits; or part of the final state."""
    for name in ALL_METRICS:
        one, other = batch.metrics[name][c], alone.metrics[name][0]
        if one.tobytes() != other.tobytes():
            return f"{name} {one.item()!r}, alone {other.item()!r}"
    pairs = [("exits", batch.exits[c], alone.exits[0])]
    if batch.daily_returns.shape[1]:  # a batch may have been asked for none
        pairs.append(("daily_returns", batch.daily_returns[c], alone.daily_returns[0]))
    for name, ours, theirs in pairs:
        if ours.tobytes() != theirs.tobytes():
            return f"{name} {_short(ours)}, alone {_short(theirs)}"
    return _state_difference(batch, c, alone) if isinstance(batch, BatchResult) else None


def _state_difference(batch: BatchResult, c: int, alone: BatchResult) -> str | None:
    account, single = batch.states.account[c].copy(), alone.states.account[0]
    account["digest"] = single["digest"]  # a sweep folds none
    if account.tobytes() != single.tobytes():
        names = account.dtype.names or ()
        wrong = next(name for name in names if account[name].tobytes() != single[name].tobytes())
        return f"final account: {wrong} {account[wrong][0].item()!r}, alone {single[wrong][0].item()!r}"
    for name in ("slots", "working", "memory"):
        if getattr(batch.states, name)[c].tobytes() != getattr(alone.states, name)[0].tobytes():
            return f"final state: {name}"
    return None


def spot_check(
    batch: Measures, picks: Sequence[int], trials: Sequence[int], configs: Sequence[Config], window: Any
) -> None:
    """Run the combinations ``picks`` alone and compare them bit for bit.

    ``trials`` and ``configs`` are those of the batch, ``window`` is (market, start, stop).

    Raises
    ------
    DolphinError
        On the first that differs; the line names the trial and the measure.
    """
    for c in picks:
        difference = first_difference(batch, c, run_alone(configs[c], *window))
        if difference is not None:
            raise DolphinError(
                f"trial {trials[c]} run alone gives another result: {difference}",
                mend="the sweep is stopped, its batch registered as failed; run 'dolphin doctor'",
            )


def _short(values: Floats) -> str:
    return np.array2string(values, threshold=6, precision=17, separator=",").replace("\n", "")
