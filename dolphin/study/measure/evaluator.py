"""Who measures a batch of configurations: this process on its threads, or a cluster.

A search, a validation or a stress test asks an evaluator and never learns how many threads or machines
answered: the numbers are the same, bit for bit, and in the order of the batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import Floats, Ints, Market
from dolphin.errors import DolphinError
from dolphin.market.assemble import bare_market, dressed, feature_columns
from dolphin.progress import Progress
from dolphin.study.measure.measured import BatchResult, Measures, measure, spot_check
from dolphin.study.measure.metrics import ALL_METRICS, MetricArrays
from dolphin.study.measure.spans import Span

#: Markets whose feature columns are kept in memory at once (one takes 8 bytes a bar and column).
KEPT = 4


@dataclass(frozen=True)
class Batch:
    """What to measure.

    Attributes
    ----------
    configs : sequence of Config
        (C) checked configurations of one strategy, percentiles settled.
    spans : tuple of (start_row, stop_row)
        (S) stretches of the dataset's rows; each is a fresh run from a flat account.
    daily : bool
        Whether the daily returns are wanted too.
    checks : tuple of int
        Places in ``configs`` to run again alone, by the single run's code; all their measures must be
        equal by bits.
    trials : sequence of int
        What a check that fails calls the configurations; by default their places.
    """

    configs: Sequence[Config]
    spans: tuple[Span, ...]
    daily: bool = True
    checks: tuple[int, ...] = ()
    trials: Sequence[int] = ()

    def name(self, c: int) -> int:
        """What a message calls configuration ``c``."""
        return self.trials[c] if self.trials else c


@dataclass(frozen=True)
class Results:
    """What was measured, in the order of the batch.

    Attributes
    ----------
    metrics : dict of (S, C) arrays
        By the names of :data:`~dolphin.study.measure.metrics.ALL_METRICS`.
    exits : (S, C, R) int64
        Closed trades by the strategy's reasons.
    daily : list of (C, D_s) float64, or None
        Returns per UTC day that the span touches.
    """

    metrics: MetricArrays
    exits: Ints
    daily: list[Floats] | None

    def span(self, s: int) -> Measures:
        """The measures of one span, (C,) each, as the registry takes them; no daily returns unless asked for."""
        metrics = {name: values[s] for name, values in self.metrics.items()}
        daily = self.daily[s] if self.daily is not None else np.zeros((self.exits.shape[1], 0))
        return Measures(metrics, daily, self.exits[s])


class Evaluator(Protocol):
    """Measures batches over one dataset; a context manager, to be closed after use.

    ``dataset`` is the data, ``ts`` (T,) the close of its rows.
    """

    dataset: Dataset

    @property
    def ts(self) -> Ints: ...

    def market(self, config: Config) -> Market:
        """All rows with the features that this configuration reads, on this machine."""
        ...

    def evaluate(self, batch: Batch, on_done: Callable[[int], None] | None = None) -> Results:
        """Measure a batch; ``on_done(n)`` hears of ``n`` more runs (configurations times spans) that are done.

        Raises
        ------
        DolphinError
            On a span outside the data, or if a check gives other bits.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LocalEvaluator:
    """The threads of this process.

    Parameters
    ----------
    dataset : Dataset
        Scanned first where it is not yet.
    threads : int, optional
        By default one per core. The results do not depend on it.
    progress : callable, optional
        Hears of the scan.
    """

    def __init__(self, dataset: Dataset, *, threads: int | None = None, progress: Progress | None = None) -> None:
        self.dataset = dataset
        self.threads = threads or os.cpu_count() or 1
        self._columns = feature_columns(dataset, progress)
        self._bare = bare_market(dataset, self._columns)
        self._markets: dict[Any, Market] = {}

    @property
    def ts(self) -> Ints:
        """Close of the rows, (T,) int64 ns UTC."""
        return self._bare.ts

    def market(self, config: Config) -> Market:
        """All rows with the features that this configuration reads."""
        key = config.reads
        market = self._markets.pop(key, None)
        if market is None:
            while len(self._markets) >= KEPT:
                del self._markets[next(iter(self._markets))]  # the one not used for longest
            market = dressed(self._bare, self.dataset, self._columns, config)
        self._markets[key] = market
        return market

    def evaluate(self, batch: Batch, on_done: Callable[[int], None] | None = None) -> Results:
        """See :class:`Evaluator`."""
        check_spans(batch, self.ts)
        parts: list[tuple[int, list[int], Measures]] = []
        for places in by_market(batch.configs):
            chosen = [batch.configs[c] for c in places]
            market = self.market(chosen[0])
            again = [k for k, c in enumerate(places) if c in batch.checks]
            for s, (start, stop) in enumerate(batch.spans):
                measured = measure(chosen, market, start, stop, threads=self.threads, on_done=on_done)
                spot_check(measured, again, [batch.name(c) for c in places], chosen, (market, start, stop))
                parts.append((s, places, _without_states(measured)))
        return assemble(batch, parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._markets.clear()


def by_market(configs: Sequence[Config]) -> list[list[int]]:
    """Places of the configurations, grouped by the market that they read."""
    groups: dict[Any, list[int]] = {}
    for c, config in enumerate(configs):
        groups.setdefault(config.reads, []).append(c)
    return list(groups.values())


def check_spans(batch: Batch, ts: Ints) -> None:
    """Refuse a batch without configurations or spans, and a span that is empty or not in the data."""
    if not batch.configs or not batch.spans:
        raise DolphinError("a batch needs configurations and spans")
    for start, stop in batch.spans:
        if not 0 <= start < stop <= len(ts):
            raise DolphinError(f"rows {start} to {stop} are no part of the data's {len(ts)} rows")


def assemble(batch: Batch, parts: Sequence[tuple[int, Sequence[int], Measures]]) -> Results:
    """Results from parts (span, places of the configurations, their measures), in whatever order they came."""
    shape = len(batch.spans), len(batch.configs)
    first = parts[0][2]
    metrics = {name: np.empty(shape, first.metrics[name].dtype) for name in ALL_METRICS}
    exits = np.empty((*shape, first.exits.shape[1]), np.int64)
    daily: list[Floats] = [np.empty((shape[1], 0))] * shape[0]
    for s, places, part in parts:
        for name, values in metrics.items():
            values[s, places] = part.metrics[name]
        exits[s, places] = part.exits
        if batch.daily:
            if not daily[s].shape[1]:
                daily[s] = np.empty((shape[1], part.daily_returns.shape[1]))
            daily[s][places] = part.daily_returns
    return Results(metrics, exits, daily if batch.daily else None)


def _without_states(measured: BatchResult) -> Measures:
    """The measures alone: the accounts of a long batch are not kept."""
    return Measures(measured.metrics, measured.daily_returns, measured.exits)
