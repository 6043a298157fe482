"""Is the candidate the same whoever runs it, and whenever: state, time, and what a decision may write.

A strategy can tell a run of the gate from a check by the room that a state has, by the bar a window starts with, by
the calendar or by the number of a row. Each of these is varied here, and the decisions must stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.config import Config
from dolphin.core.engine import NO_TRADES, NOT_RANKED, RANKING
from dolphin.core.records import RANKED, Market, Records, State
from dolphin.gate.measure import Measure
from dolphin.gate.report import Check
from dolphin.market.assemble import choose, feature_columns
from dolphin.market.plugins import of_rows
from dolphin.parity.checks import first_peek
from dolphin.parity.own_features import plugged
from dolphin.study.measure.run import flat_state
from dolphin.times import DAY_NS, format_time

#: Days by which all times are moved, and by which the data begins later.
DAYS = 7

#: Share of decisions that may depend on absolute time, or on where the data begins.
SHARE = 0.01

#: Bars whose decisions are tried for what they write; of longer windows as many, spread evenly.
TRIED = 50_000

Spans = list[tuple[int, int]]
Decision = tuple[int, int, int, int]


def honest_checks(measure: Measure, spans: Spans) -> list[Check]:
    """All of them; ``spans`` (rows) are the windows that figures were taken on beside the whole one."""
    return [
        same_state(measure, spans),
        every_window(measure, spans),
        writes_only_wishes(measure),
        no_calendar(measure),
        later_start(measure),
    ]


def same_state(measure: Measure, spans: Spans) -> Check:
    """The decisions of every window do not depend on the room of the state that they are made with."""
    name = "same in every state"
    market, config = measure.market, measure.config
    for start, stop in _all(measure, spans):
        plain = flat_state(config, market, start, stop)
        reference = _run(config, market, plain, start, stop)
        if (start, stop) == (measure.start, measure.stop):
            recorded = measure.whole.recording.digests
            if not np.array_equal(recorded, reference):
                return Check(name, False, "the run that the floors judged cannot be had again in this process")
        for what, state in _otherwise(config, market, start, stop):
            different = np.flatnonzero(_run(config, market, state, start, stop) != reference)
            if len(different):
                row = start + int(different[0])
                return Check(
                    name, False, f"with {what}, bar {row} ({format_time(market.ts[row])}) is decided differently"
                )
    count = len(_all(measure, spans))
    return Check(name, True, f"{count} windows, each with every room that a state can have: same final digests")


def every_window(measure: Measure, spans: Spans) -> Check:
    """No look-ahead on any window that was judged: a strategy can tell them by the bar that it starts with."""
    name = "look-ahead, every window"
    market, config = measure.market, measure.config
    for start, stop in _all(measure, spans):
        for missing in (0, None):
            found = first_peek(market, config, start, stop, days=missing)
            if found is not None:
                row, what = found
                return Check(
                    name, False,
                    f"in the window from {format_time(market.ts[start])}, the decision at bar {row} "
                    f"({format_time(market.ts[row])}) changes when later rows are {what}",
                )  # fmt: skip
    return Check(name, True, f"{len(_all(measure, spans))} windows, every bar a cut")


def writes_only_wishes(measure: Measure) -> Check:
    """A decision leaves account, positions and orders as they are: it writes intents, memory and scratch only."""
    name = "decisions write wishes only"
    market, config, start, stop = measure.market, measure.config, measure.start, measure.stop
    engine, params, friction = config.engine, config.params_record(), config.friction_record()
    state, stages = flat_state(config, market, start, stop), np.zeros(8, np.uint64)
    step = max(1, -(-(stop - start) // TRIED))
    for i in range(start, stop):
        if (i - start) % step == 0:
            copy = State._make([np.array(part) for part in state])
            copy.intents[:] = np.zeros((), copy.intents.dtype)
            engine.kernels.decide_bar(copy, params, friction, market, i)
            for part in ("account", "slots", "working", "exits", "day_ends"):
                if getattr(copy, part).tobytes() != getattr(state, part).tobytes():
                    field = _field(getattr(state, part), getattr(copy, part))
                    at = f"bar {i} ({format_time(market.ts[i])})"
                    return Check(name, False, f"decide changes state.{part}{field} at {at}")
        engine.kernels.step_bar(state, params, friction, market, i, NO_TRADES, stages[:6])
    return Check(name, True, f"{-(-(stop - start) // step)} decisions left account, positions and orders as they were")


def no_calendar(measure: Measure) -> Check:
    """All times moved by a week: who decides alike looks at the market and not at the calendar."""
    market, config = measure.market, measure.config
    ts = _like(np.array(market.ts) + DAYS * DAY_NS, market.ts)
    moved = market._replace(ts=ts)
    if plugged(config):
        features = choose(feature_columns(measure.dataset), config, of_rows(ts, market.price))
        moved = moved._replace(features=_like(features, market.features))
    here = _decisions(measure.whole.recording.trades, 0)
    there = _decisions(_trades(config, moved, measure.start, measure.stop), 0)
    return _alike("calendar", here, there, f"all times are moved by {DAYS} days")


def later_start(measure: Measure) -> Check:
    """Data that begins a week later (a third of the window where it is short): rows have other numbers then."""
    market, config, start, stop = measure.market, measure.config, measure.start, measure.stop
    rows = min(DAYS * DAY_NS // measure.dataset.spacing_ns, (stop - start) // 3)
    begin = max(start, rows + int(config.strategy.warmup_bars(config.params)))
    if rows < 1 or begin >= stop:
        return Check("later start", False, "the window is too short to begin later")
    later = market._replace(**{name: values[rows:] for name, values in market.by_row().items()})
    here = _decisions(_trades(config, market, begin, stop), 0)
    there = _decisions(_trades(config, later, begin - rows, stop - rows), rows)
    return _alike("later start", here, there, f"the data begins {rows} bars later")


def _alike(name: str, here: set[Decision], there: set[Decision], what: str) -> Check:
    together = len(here | there)
    share = len(here ^ there) / together if together else 0.0
    words = f"{100 * share:.3g} % of {together} entries and exits change when {what}"
    return Check(name, share <= SHARE, f"{words}; {100 * SHARE:g} % may")


def _decisions(trades: Records, offset: int) -> set[Decision]:
    """Entries (0) and exits (1) by bar, asset and side."""
    found: set[Decision] = set()
    for kind, field in enumerate(("entry_bar", "exit_bar")):
        columns = ((trades[field] + offset).tolist(), trades["asset"].tolist(), trades["side"].tolist())
        found |= {(kind, *row) for row in zip(*columns, strict=True)}
    return found


def _trades(config: Config, market: Market, start: int, stop: int) -> Records:
    state = flat_state(config, market, start, stop)
    record = config.engine.run(state, config.params_record(), config.friction_record(), market, start, stop)
    return record.trades


def _otherwise(config: Config, market: Market, start: int, stop: int) -> Iterator[tuple[str, State]]:
    """States with other room: as live, parity rungs, sweeps and stress tests have it."""
    plain = flat_state(config, market, start, stop)
    yield "no room for day ends", plain._replace(day_ends=np.zeros(0))
    plain = flat_state(config, market, start, stop)
    yield "a shared ranking", plain._replace(ranking=np.full(RANKING, NOT_RANKED, RANKED))
    plain = flat_state(config, market, start, stop)
    yield "other scratch", plain._replace(scratch=np.full(len(plain.scratch), 7.25))


def _run(config: Config, market: Market, state: State, start: int, stop: int) -> NDArray[np.uint64]:
    params, friction = config.params_record(), config.friction_record()
    return config.engine.run(state, params, friction, market, start, stop).digests


def _all(measure: Measure, spans: Spans) -> Spans:
    return list(dict.fromkeys([(measure.start, measure.stop), *spans]))


def _field(before: NDArray[np.void], after: NDArray[np.void]) -> str:
    """The first field of records that differs."""
    for name in before.dtype.names or ():
        if before[name].tobytes() != after[name].tobytes():
            return f".{name}"
    return ""


def _like[Values: NDArray[Any]](values: Values, original: NDArray[Any]) -> Values:
    """With the original's write flag, so that no second kernel is compiled."""
    values.flags.writeable = original.flags.writeable
    return values
