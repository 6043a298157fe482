"""Points that fill the space evenly, or at random: no point depends on a score."""

from __future__ import annotations

import numpy as np

from dolphin.study.samplers.protocol import Sampler
from dolphin.study.space.space import Point


class Sobol(Sampler):
    """A scrambled Sobol sequence (scipy.stats.qmc)."""

    NAME = "sobol"
    BATCH = 1024

    def start(self) -> None:
        from scipy.stats import qmc

        self._engine = qmc.Sobol(len(self.space), scramble=True, rng=np.random.default_rng(self.seed))

    def ask(self) -> list[Point]:
        return [self.space.point(unit) for unit in self._engine.random(self.BATCH).tolist()]


class Random(Sampler):
    """Independent uniform points."""

    NAME = "random"
    BATCH = 1024

    def start(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def ask(self) -> list[Point]:
        return [self.space.point(unit) for unit in self._rng.random((self.BATCH, len(self.space))).tolist()]
