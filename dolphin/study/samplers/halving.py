"""Successive halving over time: all candidates on an early part of the window, the better ones on more of it.

Jamieson and Talwalkar (2016), with the semantics of Optuna's pruners: a candidate that is left behind keeps
the measures of the last part that it was run on.
"""

from __future__ import annotations

import numpy as np

from dolphin.core.records import Floats
from dolphin.study.samplers.protocol import Sampler, bounded
from dolphin.study.samplers.sobol import Sobol
from dolphin.study.space.space import Point


class Halving(Sampler):
    """Cohorts of Sobol points; of each the best 1/eta go on from rung to rung.

    With ``rungs = 3`` and ``eta = 3`` a cohort is run on the first ninth of the window, the best third of it
    on the first third, and the best third of those on all of it.
    """

    NAME = "halving"
    OPTIONS = {"cohort": (243, 2), "rungs": (3, 2), "eta": (3, 2)}  # noqa: RUF012 - a constant of the class
    MANY = False

    def start(self) -> None:
        eta, count = self.options["eta"], self.options["rungs"]
        self.rungs = tuple(float(eta) ** (k + 1 - count) for k in range(count - 1))
        self._points = Sobol(self.space, self.seed)
        self._ready: list[Point] = []

    def ask(self) -> list[Point]:
        cohort = self.options["cohort"]
        while len(self._ready) < cohort:
            self._ready += self._points.ask()
        found, self._ready = self._ready[:cohort], self._ready[cohort:]
        return found

    def keep(self, scores: Floats) -> Floats:
        """Places of those that go on to the next rung, in order; ``scores`` (n, 1) as for :meth:`tell`."""
        count = max(1, len(scores) // self.options["eta"])
        return np.sort(np.argsort(-bounded(scores)[:, 0], kind="stable")[:count])
