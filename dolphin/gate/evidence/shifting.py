"""Signals shifted in a circle against the prices: the same signals, the same market, and nothing between the two.

A market that falls, a strategy that is always short, fat tails, volatile weeks: all of it stays as it is, and what a
signal knew of the bars after it is gone. What is still earned so is what no signal is needed for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import Floats, Ints, Market
from dolphin.files import canonical_json, sha256_bytes
from dolphin.study.measure.evaluator import Batch, LocalEvaluator, Results
from dolphin.study.measure.measured import measure
from dolphin.study.trials.choice import Choice
from dolphin.times import DAY_NS


def seed_of(seed: int, *what: object) -> list[int]:
    """A seed of a draw: the policy's and a hash of what is judged, so that nobody can draw again.

    Digests of code are no part of it: an edit that moves no decision must not move what luck finds.
    """
    return [seed, int(sha256_bytes(canonical_json(list(what)))[:16], 16)]


def least_rows(days: float, spacing_ns: int) -> int:
    """Rows of the shortest shift."""
    return max(1, round(days * DAY_NS / spacing_ns))


def draw_shifts(rows: int, least: int, count: int, seed: list[int]) -> list[int]:
    """At most ``count`` different shifts of ``rows`` rows, ``least`` or more either way around, in the order drawn."""
    room = rows - 2 * least + 1
    if room < 1:
        return []
    drawn = np.random.default_rng(seed).choice(room, min(count, room), replace=False)
    return [int(k) + least for k in drawn]


def shifted(market: Market, start: int, stop: int, shift: int) -> Market:
    """The market whose feature rows ``start`` to ``stop`` are moved by ``shift`` in a circle; prices stay."""
    if not shift:
        return market
    features = np.array(market.features)
    features[start:stop] = np.roll(market.features[start:stop], shift, axis=0)
    return market._replace(features=features)


class ShiftedEvaluator(LocalEvaluator):
    """An evaluator whose markets are shifted within rows ``start`` to ``stop``; nothing is run again alone."""

    def __init__(self, dataset: Dataset, start: int, stop: int, shift: int, *, threads: int | None = None) -> None:
        super().__init__(dataset, threads=threads)
        self._span, self._shift = (start, stop), shift
        self._moved: dict[int, Market] = {}

    def market(self, config: Config) -> Market:
        """All rows, with the features of this configuration shifted."""
        whole = super().market(config)
        if id(whole) not in self._moved:
            self._moved = {id(whole): shifted(whole, *self._span, self._shift)}
        return self._moved[id(whole)]

    def evaluate(self, batch: Batch, on_done: Callable[[int], None] | None = None) -> Results:
        """See :class:`~dolphin.study.measure.evaluator.Evaluator`."""
        return super().evaluate(Batch(batch.configs, batch.spans, batch.daily, (), batch.trials), on_done)


def scores_under(
    config: Config,
    market: Market,
    start: int,
    stop: int,
    shifts: Sequence[int],
    choice: Choice,
    *,
    threads: int = 1,
    on_done: Callable[[int], None] | None = None,
) -> Floats:
    """(K,) float64: what ``choice`` says of one configuration under each shift; nan where it does not count."""

    def work(shift: int) -> float:
        found = measure([config], shifted(market, start, stop, shift), start, stop)
        return float(choice.scores(found.metrics)[0, 0])

    found = np.empty(len(shifts))
    with ThreadPoolExecutor(max_workers=threads) as pool:
        try:
            for k, value in enumerate(pool.map(work, shifts)):
                found[k] = value
                if on_done is not None:
                    on_done(k + 1)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return found


def finite(values: Sequence[float] | Floats | Ints) -> list[float | None]:
    """Numbers as JSON has them; None for nan."""
    return [None if np.isnan(value) else float(value) for value in values]
