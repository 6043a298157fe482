"""A research run as a journal: the step with looks in between, written in blocks of bars."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.compiling import guarded
from dolphin.core.engine import NO_TRADES
from dolphin.core.records import ORDER, Market, Records, State, Words
from dolphin.journal import kernels
from dolphin.journal.header import header_of, lookback, shape_for
from dolphin.journal.kernels import BOOKING, INTENT
from dolphin.journal.schema import RISK_VALUES, template
from dolphin.journal.session import SessionJournal
from dolphin.journal.writer import STATE_BARS, JournalWriter, write_working


def write_run_journal(
    path: Path, dataset: Dataset, market: Market, config: Config, start: int, stop: int, versions: Mapping[str, str]
) -> Words:
    """Run ``config`` over rows ``start`` to ``stop`` of ``market`` and write its journal; the digests.

    The fills are the fill model's.
    """
    shape = shape_for(market, config)
    header = header_of(dataset, market, config, start, session="research", versions=versions)
    writer = JournalWriter(path, shape, header, policy="never")
    try:
        SessionJournal(writer, write_ahead=False).history(market, start, lookback(config))
        digests = _bars(writer, market, config, start, stop)
        writer.close()
    finally:
        writer.abandon()
    return digests


def _bars(writer: JournalWriter, market: Market, config: Config, start: int, stop: int) -> Words:
    engine, params, friction = config.engine, config.params_record(), config.friction_record()
    state = engine.new_state(market.price.shape[1], config.account.initial_capital)
    run: Any = guarded(kernels, engine.strategy)
    slots = len(state.slots)
    events, before = np.zeros(max(5 * slots, 4096), BOOKING), np.zeros(slots, ORDER)
    digests = np.empty(stop - start, np.uint64)
    rich = not engine.strategy.plain
    low = start
    while low < stop:
        # A record of the state, and of what works on, stands where a block ends.
        high = min(low + (1 if rich else STATE_BARS), stop)
        stages, account = np.zeros((high - low, 7), np.uint64), np.zeros((high - low, 4))
        reached, count = run.record(
            state, params, friction, market, low, low, high, NO_TRADES, before, events, stages, account
        )
        done = reached - low
        if not done:
            events = np.zeros(2 * len(events), BOOKING)
            continue
        _write(writer, market, low, stages[:done], account[:done], events[:count], state, rich)
        digests[low - start : reached - start] = stages[:done, 6]
        low = reached
    return digests


def _write(
    writer: JournalWriter, market: Market, low: int, stages: Words, account: np.ndarray, events: Records, state: State,
    rich: bool,
) -> None:  # fmt: skip
    """Bars from ``low`` on, each behind its events; stretches without events in one go."""
    stop, done, n = low + len(stages), low, 0
    names = list(ORDER.names or ())
    for bar in [*sorted({*events["at"].tolist()}), stop]:
        if bar > done:
            if rich and done == low:
                write_working(writer, state, low, int(market.ts[low]))
            _stretch(writer, market, low, done, bar, stages, account)
        if bar == stop:
            break
        ts = int(market.ts[bar])
        while n < len(events) and events[n]["at"] == bar:
            event = events[n]
            intent = event["status"] == INTENT
            writer.order(
                "intent" if intent else "event", bar, ts, event[names], int(event["slot"]), bank=int(event["bank"]),
                phase=int(event["phase"]), status=0 if intent else int(event["status"]),
            )  # fmt: skip
            n += 1
        if rich:
            write_working(writer, state, bar, ts)
        _stretch(writer, market, low, bar, bar + 1, stages, account)
        done = bar + 1
    if not rich or stop % STATE_BARS == 0:
        writer.state(state, stop - 1, int(market.ts[stop - 1]))
    writer.flush()


def _stretch(
    writer: JournalWriter, market: Market, low: int, first: int, stop: int, stages: Words, account: np.ndarray
) -> None:
    """Bars ``first`` to ``stop`` as records, one after the other."""
    of, count = template(writer.shape, "bar"), stop - first
    rows, k = slice(first, stop), slice(first - low, stop - low)
    records = of.empty(count)
    seq, check = writer.position
    records["seq"] = np.arange(seq, seq + count)
    records["bar"] = np.arange(first, stop)
    for name in ("ts", "price", "age", "features"):
        records[name] = getattr(market, name)[rows]
    for j, name in enumerate(RISK_VALUES):
        records["risk"][:, j] = market.risk[name][rows]
    if writer.shape.columns:
        columns = [getattr(market, name)[rows] for name in writer.shape.columns]
        records["columns"] = np.stack(columns, axis=1).reshape(count, -1)
    records["stages"], records["digest"], records["account"] = stages[k, :6], stages[k, 6], account[k]
    data = memoryview(records.view(np.uint8))
    checks = np.empty(count, np.uint64)
    for j in range(count):
        at = j * of.size
        checks[j] = check = zlib.crc32(data[at + of.body : at + of.size - 8], check)
    records["check"] = checks
    writer.raw(data, count, check)
