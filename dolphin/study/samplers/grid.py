"""Every combination, in the order written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from dolphin.errors import DolphinError
from dolphin.study.samplers.protocol import Sampler
from dolphin.study.space.space import Point, Range

#: Trials of one study at most.
MOST_TRIALS = 10_000_000


class Grid(Sampler):
    """Every combination once; ``trials`` must be absent or large enough."""

    NAME = "grid"
    BATCH = 1024

    def start(self) -> None:
        for name, dimension in self.space.items():
            if isinstance(dimension, Range) and dimension.step is None:
                raise DolphinError(
                    f"a grid over '{name}' needs a step", mend='add step = ..., or use sampler = "sobol"'
                )
        self._size = math.prod(dimension.count for _, dimension in self.space.items())
        if self._size > MOST_TRIALS:
            raise DolphinError(
                f"{self._size} trials are more than the {MOST_TRIALS} of one study",
                mend="use coarser steps or split it",
            )
        if self.space.conditions:
            self._size = sum(1 for _ in self._points())
        if self.trials is not None and self.trials < self._size:
            raise DolphinError(
                f"the grid has {self._size} points, trials = {self.trials}", mend="raise it or leave it out"
            )
        self._left = self._points()

    @property
    def size(self) -> int:
        """Points of the grid."""
        return self._size

    def ask(self) -> list[Point]:
        return list(itertools.islice(self._left, self.BATCH))

    def _points(self) -> Iterator[Point]:
        values = itertools.product(*(dimension.points() for _, dimension in self.space.items()))
        if not self.space.conditions:
            for found in values:
                yield dict(zip(self.space, found, strict=True))
            return
        seen = set()
        for found in values:
            point: Point = {}
            for name, value in zip(self.space, found, strict=True):
                if self.space.active(name, point):
                    point[name] = value
            key = tuple(point.items())
            if key not in seen:  # what is inactive makes no second point
                seen.add(key)
                yield point
