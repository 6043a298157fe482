"""Decisions of a strategy on rows that come one after the other, in a process that is confined.

The process that judges (:mod:`dolphin.gate.row_by_row`) hands over a row, and gets the intents of that bar before it
hands over the next. Whatever a module did to the engine of this process, it cannot trade on rows that are not here:
nothing but sources and libraries may be opened from the first line of research code on
(:mod:`dolphin.gate.confined`), and once all is compiled nothing at all.

Into stdin come, as raw arrays in the order of ``Market.by_row``: all rows before the first, then row by row. To
stdout go a line of JSON that says what the strategy declares, then for each row and each span that holds it the
number of intents (int64) and for each its slot (int64) and its record.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import numpy as np

from dolphin.config import Config, columns_needed, parse_config
from dolphin.core.engine import NO_TRADES
from dolphin.core.records import NONE, RISK, Market, Records, State
from dolphin.files import read_json
from dolphin.gate.confined import close_everything
from dolphin.market.assemble import symbol_record


class Rows:
    """The market as far as it is known: ``first`` rows of history, then one more at a time.

    Later rows are not there: arrays have room for ``total`` rows, and hold NaN.
    """

    def __init__(self, config: Config, ask: dict[str, Any], instruments: Any) -> None:
        total, assets = int(ask["total"]), len(ask["symbols"])
        wide = {name: np.full((total, assets), np.nan) for name in ("price", "log_price", *columns_needed(config))}
        about = SimpleNamespace(symbols=tuple(ask["symbols"]), name=str(ask["dataset"]))
        self.market = Market(
            ts=np.zeros(total, np.int64), age=np.full((total, assets), -1, np.int32),
            features=np.full((total, len(config.strategy.columns)), np.nan), risk=np.zeros(total, RISK),
            instruments=instruments, symbols=symbol_record(about, config), **wide,  # type: ignore[arg-type]
        )  # fmt: skip
        self._arrays = self.market.by_row()
        self._plugged, self._config = config.strategy.plugged(config.params), config
        self._streams: Any = None

    def take(self, source: IO[bytes], low: int, high: int) -> None:
        """Rows ``low`` to ``high`` from the other process."""
        for values in self._arrays.values():
            part = values[low:high]
            got = source.readinto(memoryview(part).cast("B")) if part.nbytes else 0  # type: ignore[attr-defined]
            if got != part.nbytes:
                raise EOFError

    def warm(self, first: int) -> None:
        """What plug-in features have of the rows before ``first``, and their columns there."""
        from dolphin.features import compute_feature
        from dolphin.live.own_features import OwnFeatures

        market = self.market
        for feature, inputs, columns in self._plugged:
            if first:
                rows = market.ts[:first], market.price[:first], market.features[:first, list(inputs)]
                market.features[:first, list(columns)] = compute_feature(feature, *rows)  # type: ignore[arg-type]
        self._streams = OwnFeatures(self._plugged, market, first) if self._plugged else None

    def upto(self, i: int) -> Market:
        """The market that ends with row ``i``; plug-in features of that row are computed now."""
        if self._streams is not None:
            self._streams.fill(self.market, i)
        return self.market._replace(**{name: values[: i + 1] for name, values in self._arrays.items()})


def decide_rows(folder: Path, confined: bool) -> None:
    """Say what the strategy declares, then decide row by row."""
    out, source = _channel(), sys.stdin.buffer
    ask, instruments = read_json(folder / "ask.json"), np.load(folder / "instruments.npy")
    config = parse_config(ask["config"], where="the gate", research=folder / "research")
    rows, spans, first = Rows(config, ask, instruments), ask["spans"], int(ask["first"])
    # Made before all is closed: a fill model's record reads its source.
    records = config.params_record(), config.friction_record()
    _compile(config, records, rows, first)
    out.write(json.dumps(declared(config) | {"confined": confined}).encode() + b"\n")
    out.flush()
    close_everything()
    rows.take(source, 0, first)
    rows.warm(first)
    states: dict[int, State] = {}
    for i in range(first, int(ask["last"])):
        rows.take(source, i, i + 1)
        known = rows.upto(i)
        for number, (start, stop, days) in enumerate(spans):
            if start <= i < stop:
                state = states.setdefault(number, _flat(config, known, days))
                config.engine.kernels.step_bar(state, *records, known, i, NO_TRADES, np.zeros(6, np.uint64))
                out.write(_wished(state))
        out.flush()


def declared(config: Config) -> dict[str, Any]:
    """What the books and the rows of another process have to know of a strategy."""
    strategy, roles = config.engine.strategy, config.features
    own = {place for _, _, places in config.strategy.plugged(config.params) for place in places}
    return {
        "engine_digest": config.engine.digest,
        "sources": [None if k in own else str(roles.get(n, n)) for k, n in enumerate(config.strategy.columns)],
        "columns": list(columns_needed(config)),
        "slots": strategy.slots,
        "orders": list(strategy.orders),
        "resize": strategy.resize,
        "margin": strategy.margin,
        "reasons": list(strategy.reasons),
        "postures": strategy.postures,
        "orderly": list(strategy.orderly),
        "drawdown": strategy.drawdown,
    }


def _flat(config: Config, market: Market, days: int) -> State:
    return config.engine.new_state(market.price.shape[1], config.account.initial_capital, days)


def _wished(state: State) -> bytes:
    slots = np.flatnonzero(state.intents["action"] != NONE)
    wishes = b"".join(np.int64(s).tobytes() + state.intents[s].tobytes() for s in slots)
    return np.int64(len(slots)).tobytes() + wishes


def _compile(config: Config, records: tuple[Records, Records], rows: Rows, first: int) -> None:
    """Decide a bar of an empty market, so that nothing is left to be compiled or opened."""
    rows.warm(min(first, 8))
    known = rows.upto(first)
    state = _flat(config, known, 0)
    config.engine.kernels.step_bar(state, *records, known, first, NO_TRADES, np.zeros(6, np.uint64))
    rows.market.features[:] = np.nan


def _channel() -> IO[bytes]:
    """What was stdout; whatever else is printed goes to stderr."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out
