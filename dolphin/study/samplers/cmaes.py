"""CMA-ES in whole populations, with margins for stepped and categorical parameters (library ``cmaes``).

Hansen (2016); Hamano et al. (2022) for the margin, which keeps integers from freezing.
"""

from __future__ import annotations

import numpy as np

from dolphin.core.records import Floats
from dolphin.study.samplers.protocol import Sampler, bounded
from dolphin.study.space.space import Point, Range


class CmaEs(Sampler):
    """Works in the unit cube; begins again elsewhere when a population has converged."""

    NAME = "cmaes"
    OPTIONS = {"population": (64, 4)}  # noqa: RUF012 - a constant of the class
    MANY = False
    LEARNS = True

    def start(self) -> None:
        steps = []
        for _, dimension in self.space.items():
            continuous = isinstance(dimension, Range) and dimension.step is None
            steps.append(0.0 if continuous else 1.0 / dimension.count)
        # What has one value only is left out; the library needs two dimensions at least.
        self._free = [k for k, step in enumerate(steps) if step < 1.0]
        missing = max(0, 2 - len(self._free))
        self._steps = np.array([steps[k] for k in self._free] + [0.0] * missing)
        self._begun = 0
        self._begin()

    def _begin(self) -> None:
        from cmaes import CMAwM

        rng = np.random.default_rng([self.seed, self._begun])
        half = self._steps / 2.0
        mean = np.full(len(self._steps), 0.5) if self._begun == 0 else rng.random(len(self._steps))
        self._search = CMAwM(
            mean=np.clip(mean, half, 1.0 - half),
            sigma=0.25,
            bounds=np.column_stack([half, 1.0 - half]),
            steps=self._steps,
            seed=int(rng.integers(2**31)),
            population_size=self.options["population"],
        )
        self._begun += 1

    def ask(self) -> list[Point]:
        self._asked = []
        points = []
        for _ in range(self.options["population"]):
            run, told = self._search.ask()
            self._asked.append(told)
            unit = np.zeros(len(self.space))
            unit[self._free] = run[: len(self._free)]
            points.append(self.space.point(np.clip(unit, 0.0, np.nextafter(1.0, 0.0)).tolist()))
        return points

    def tell(self, scores: Floats) -> None:
        losses = -bounded(scores)[:, 0]
        self._search.tell([(x, float(loss)) for x, loss in zip(self._asked, losses, strict=True)])
        if self._search.should_stop():
            self._begin()
