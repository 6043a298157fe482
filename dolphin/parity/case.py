"""What the rungs have in common: one configuration over one window, its batch run, the first difference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.digest import STAGES
from dolphin.core.engine import NO_TRADES, Engine, Recording
from dolphin.core.records import NONE, Market, Records, Words
from dolphin.live.answers import order_direction
from dolphin.study.measure.run import flat_state

#: An order as it was filled: ``direction`` +1 bought, -1 sold; ``passive`` 1 if it gave liquidity.
ORDER_FILLED = np.dtype(
    [
        ("bar", "i8"), ("slot", "i8"), ("action", "i8"), ("asset", "i8"), ("direction", "i8"),
        ("qty", "f8"), ("price", "f8"), ("fee", "f8"), ("passive", "i8"),
    ]
)  # fmt: skip


class Trace(NamedTuple):
    """A run seen bar by bar: digests (bars,), stage words (bars, 6), fills (of ORDER_FILLED)."""

    digests: Words
    stages: Words
    fills: Records


@dataclass(frozen=True)
class Case:
    """One configuration over rows ``start`` to ``stop``: what every rung must reproduce."""

    dataset: Dataset
    market: Market
    config: Config
    start: int
    stop: int
    #: Where the rungs that have an exchange write their journals, if anywhere.
    journals: Path | None = None

    @property
    def bars(self) -> int:
        """How many bars the window has."""
        return self.stop - self.start

    @property
    def resizes(self) -> bool:
        """Whether a position can be more than one trade."""
        return self.config.engine.strategy.resize or self.config.friction.model.partial

    @property
    def has_limits(self) -> bool:
        """Whether orders can rest in the market: the strategy's own, or those that postures make."""
        strategy = self.config.engine.strategy
        return bool(strategy.orders) or strategy.postures

    @property
    def on_ticks(self) -> bool:
        """Whether prices are no finer than ticks."""
        return all(i.price_precision <= i.tick_exp and i.tick_num == 1 for i in self.dataset.instruments)

    @property
    def is_regular(self) -> bool:
        """Whether the bars of the window lie one spacing apart."""
        return bool((np.diff(self.market.ts[self.start : self.stop]) == self.dataset.spacing_ns).all())

    @property
    def capital(self) -> float:
        """Initial capital."""
        return self.config.account.initial_capital

    @cached_property
    def engine(self) -> Engine:
        """The compiled core."""
        return self.config.engine

    @cached_property
    def params(self) -> Records:
        """The parameter record."""
        return self.config.params_record()

    @cached_property
    def friction(self) -> Records:
        """The friction record."""
        return self.config.friction_record()

    @cached_property
    def batch(self) -> Recording:
        """The batch loop over the window: the reference of every rung."""
        state = flat_state(self.config, self.market, self.start, self.stop)
        return self.engine.run(state, self.params, self.friction, self.market, self.start, self.stop)

    @cached_property
    def trace(self) -> Trace:
        """One Python call per bar over the window."""
        return self.trace_on(self.market)

    def trace_on(self, market: Market) -> Trace:
        """One Python call per bar, on this market."""
        state = flat_state(self.config, market, self.start, self.stop)
        stages = np.zeros((self.bars, len(STAGES)), np.uint64)
        fills: list[tuple] = []
        actions, slots = state.fills["action"], len(state.slots)

        def on_bar(i: int, words: Words) -> None:
            stages[i - self.start] = words
            if actions.any():
                fills.extend(_filled(state.fills, slots, i))

        digests = self.engine.run_per_bar(state, self.params, self.friction, market, self.start, self.stop, on_bar)
        return Trace(digests, stages, np.array(fills, ORDER_FILLED))

    def excerpt(self, bars: int) -> Case:
        """The same case over the ``bars`` consecutive bars with the most orders, from a flat account."""
        if bars >= self.bars:
            return self
        orders = np.bincount(self.trace.fills["bar"] - self.start, minlength=self.bars)
        until = np.concatenate([[0], np.cumsum(orders)])
        start = self.start + int(np.argmax(until[bars:] - until[:-bars]))
        return replace(self, start=start, stop=start + bars)

    def batch_stages(self, bar: int) -> Words:
        """Stage words of ``bar`` after a batch run up to it."""
        kernels = self.engine.kernels
        state = flat_state(self.config, self.market, self.start, self.stop)
        digests, stages = np.empty(bar - self.start, np.uint64), np.zeros(len(STAGES), np.uint64)
        kernels.run_digested(state, self.params, self.friction, self.market, self.start, bar, NO_TRADES, digests)
        kernels.step_bar(state, self.params, self.friction, self.market, bar, NO_TRADES, stages)
        return stages

    def divergence(self, digests: Words, stages: Words) -> Divergence | None:
        """Where digests (bars,) first differ from the batch's; ``stages`` (bars, 6) are theirs."""
        differ = digests != self.batch.digests
        if not differ.any():
            return None
        k = int(np.argmax(differ))
        bar = self.start + k
        unequal = stages[k] != self.batch_stages(bar)
        stage = STAGES[int(np.argmax(unequal))] if unequal.any() else "chain"
        return Divergence(bar, int(self.market.ts[bar]), stage, int(differ.sum()))


@dataclass(frozen=True)
class Divergence:
    """The first bar that differs, and the first stage that differs there."""

    bar: int
    ts: int
    stage: str
    differing: int

    def sentence(self) -> str:
        """In plain words."""
        return f"the first bar that differs is {self.bar} ({utc(self.ts)}), at stage {self.stage}"

    def facts(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "first_bar": self.bar,
            "first_time": utc(self.ts),
            "first_stage": self.stage,
            "differing_bars": self.differing,
        }


def utc(ts: int) -> str:
    """ISO 8601 with the fraction that it needs."""
    text = str(np.datetime64(int(ts), "ns"))
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def unequal_fills(ours: Records, theirs: Records) -> str | None:
    """The first order that is not the same bit for bit, in words; None if all are."""
    names = ORDER_FILLED.names or ()
    for k, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        for name in names:
            if a[name] != b[name]:
                return f"order {k} (bar {int(a['bar'])}) has {name} {b[name]!s}, ours {a[name]!s}"
    if len(ours) != len(theirs):
        return f"{len(theirs)} orders were filled, ours {len(ours)}"
    return None


def _filled(fills: Records, slots: int, bar: int) -> list[tuple]:
    rows = []
    for k, fill in enumerate(fills):
        if fill["action"] != NONE:
            slot = k % slots  # a slot may have several fills in a bar, one in each bank
            money = (float(fill[name]) for name in ("qty", "price", "fee"))
            what = int(fill["action"]), int(fill["asset"]), order_direction(fill)
            rows.append((bar, slot, *what, *money, int(fill["passive"])))
    return rows
