"""Which bars a candidate is judged on that its search has not seen, and their opening, written before they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dolphin.catalog import Dataset
from dolphin.core.records import Ints
from dolphin.gate.evidence.searches import Search
from dolphin.study.trials.holdouts import Holdouts, family_of
from dolphin.study.trials.markets import lag_between, remember
from dolphin.times import DAY_NS, format_time
from dolphin.workspace import Workspace


@dataclass(frozen=True)
class Unseen:
    """Rows of the holdout in the candidate's dataset; none (``start == stop``) if nothing is left unseen.

    ``declared`` tells a holdout of the study file from the judged window that serves as one; ``entry`` is its line
    on the chain.
    """

    start: int
    stop: int
    first_ts: int
    last_ts: int
    days: float
    declared: bool
    entry: dict[str, Any] | None

    @property
    def text(self) -> str:
        """The span in words."""
        if self.start >= self.stop:
            return "no bars are left that the search has not seen"
        return f"{format_time(self.first_ts)} to {format_time(self.last_ts)} ({self.days:.4g} days)"


def open_unseen(
    workspace: Workspace, dataset: Dataset, start: int, stop: int, config_hash: str, search: Search | None, why: str
) -> Unseen:
    """Find the holdout of a candidate that is judged on rows ``start`` to ``stop``, and write its opening down.

    A holdout that its study declared is meant wherever the judged window lies; else the longest part of that window
    that does not overlap the search's train window.
    """
    remember(workspace, dataset)
    grid = dataset.grid()
    holdouts = Holdouts(workspace)
    family = family_of(workspace, config_hash)
    declared = [e for e in holdouts.entries() if e["action"] == "declare" and e["family"] == family]
    low, high, fixed = start, stop, False
    for entry in declared:
        lag = lag_between(workspace, dataset.digest, entry["dataset_digest"])
        if lag is not None:
            span = np.searchsorted(grid, [entry["first_ts"] + lag, entry["last_ts"] + lag + 1])
            if span[0] < span[1]:
                low, high, fixed = int(span[0]), int(span[1]), True
    if not fixed and search is not None:
        low, high = _outside(workspace, dataset, grid, start, stop, search)
    if low >= high:
        return Unseen(low, low, 0, 0, 0.0, fixed, None)
    first, last = int(grid[low]), int(grid[high - 1])
    line = holdouts.open(dataset, first, last, family, config_hash, why)
    for other in holdouts.declared_on(dataset, int(grid[start]), int(grid[stop - 1])):
        # Whatever else is sealed among the judged bars is opened too: the floors read them.
        if (other["first_ts"], other["last_ts"]) != (first, last):
            holdouts.open(dataset, other["first_ts"], other["last_ts"], family, config_hash, why)
    return Unseen(low, high, first, last, (last - first + dataset.spacing_ns) / DAY_NS, fixed, line)


def _outside(
    workspace: Workspace, dataset: Dataset, grid: Ints, start: int, stop: int, search: Search
) -> tuple[int, int]:
    """The longer of the parts of rows ``start`` to ``stop`` before and after the search's train window."""
    lag = lag_between(workspace, dataset.digest, search.dataset_digest)
    if lag is None:
        return start, stop
    first, last = np.searchsorted(grid, [search.first_ts + lag, search.last_ts + lag + 1]).tolist()
    parts = [(start, min(stop, first)), (max(start, last), stop)]
    return max(parts, key=lambda part: part[1] - part[0])
