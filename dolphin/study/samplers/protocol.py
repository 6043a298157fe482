"""What every sampler is: it proposes a batch of points, hears their scores, and so on until it has no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from dolphin.core.records import Floats
from dolphin.errors import DolphinError, nearest
from dolphin.study.space.space import Point, Space

#: What a failed trial's score, and an infinite one, is taken for by samplers that reckon with scores.
WORST, BEST = -1e18, 1e18


class Sampler:
    """Base of all samplers.

    Everything follows from (space, options, seed, what it was told): the same tells give the same points.
    :meth:`ask` and :meth:`tell` take turns.

    Parameters
    ----------
    space : Space
    seed : int
    trials : int or None
        The budget, where one is set. Only a grid depends on it.
    objectives : int
        How many scores each point will have.
    options : mapping
        Keys of :attr:`OPTIONS`.
    """

    #: Name in a study file, and its options: (default, least).
    NAME: ClassVar[str]
    OPTIONS: ClassVar[dict[str, tuple[int, int]]] = {}

    #: Whether it can work towards several objectives, and whether it learns from scores at all.
    MANY: ClassVar[bool] = True
    LEARNS: ClassVar[bool] = False

    #: Shares of the window, ascending, on which the points of a batch are run before the whole of it.
    rungs: tuple[float, ...] = ()

    def __init__(
        self,
        space: Space,
        seed: int,
        trials: int | None = None,
        objectives: int = 1,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if objectives > 1 and not self.MANY:
            raise DolphinError(
                f"the {self.NAME} sampler takes one objective, not {objectives}",
                mend='use sampler = "nsga2" or "sobol"',
            )
        self.space, self.seed, self.trials, self.objectives = space, seed, trials, objectives
        self.options = self.check(options or {})
        self.start()

    @classmethod
    def check(cls, options: Mapping[str, Any], where: str | None = None) -> dict[str, int]:
        """The options with their defaults filled in."""
        for name, value in options.items():
            if name not in cls.OPTIONS:
                raise DolphinError(
                    f"the {cls.NAME} sampler has no option '{name}'", where=where, mend=nearest(name, cls.OPTIONS)
                )
            least = cls.OPTIONS[name][1]
            if type(value) is not int or not least <= value <= 1_000_000:
                raise DolphinError(f"{name} = {value!r} must be a whole number of at least {least}", where=where)
        return {name: options.get(name, default) for name, (default, _) in cls.OPTIONS.items()}

    def start(self) -> None:
        """Prepare the first batch."""

    @property
    def size(self) -> int | None:
        """How many points there are in all, where that is known."""
        return None

    def ask(self) -> list[Point]:
        """The next batch of points; empty when there are no more."""
        raise NotImplementedError

    def tell(self, scores: Floats) -> None:
        """Scores (n, K) of the points of the last batch, in order: larger is better, NaN is a failure."""

    def replay(self, points: list[Point], scores: Floats) -> None:
        """Take a whole batch that is known already for asked and told."""
        self.ask()
        self.tell(scores)


def bounded(scores: Floats) -> Floats:
    """Scores as finite numbers: a failure counts as worse than all."""
    return np.clip(np.nan_to_num(scores, nan=WORST, posinf=BEST, neginf=WORST), WORST, BEST)
