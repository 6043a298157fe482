"""Which configurations a study looks at. A sampler is a function of (space, trials, seed)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dolphin.errors import DolphinError
from dolphin.study.space import Range, Space

Sample = list[dict[str, Any]]
Sampler = Callable[[Space, int | None, int], Sample]

#: Trials of one study; a sample is held in memory.
MOST_TRIALS = 10_000_000


def grid(space: Space, trials: int | None, seed: int) -> Sample:
    """Every combination, in the order written; ``trials`` must be absent or large enough."""
    for name, dimension in space.items():
        if isinstance(dimension, Range) and dimension.step is None:
            raise DolphinError(f"a grid over '{name}' needs a step", mend='add step = ..., or use sampler = "sobol"')
    size = math.prod(len(dimension.points()) for dimension in space.values())
    if trials is not None and trials < size:
        raise DolphinError(f"the grid has {size} points, trials = {trials}", mend="raise it or leave it out")
    _check_size(size)
    values = itertools.product(*(dimension.points() for dimension in space.values()))
    return [dict(zip(space, point, strict=True)) for point in values]


def sobol(space: Space, trials: int | None, seed: int) -> Sample:
    """The first ``trials`` points of a scrambled Sobol sequence (scipy.stats.qmc)."""
    from scipy.stats import qmc

    if trials is None:
        raise DolphinError("the sobol sampler needs a number of trials", mend="add trials = 1024")
    _check_size(trials)
    engine = qmc.Sobol(len(space), scramble=True, rng=np.random.default_rng(seed))
    points = engine.random_base2(max(0, math.ceil(math.log2(trials))))[:trials]
    return [
        {name: dimension.at(float(u)) for (name, dimension), u in zip(space.items(), row, strict=True)}
        for row in points
    ]


def _check_size(trials: int) -> None:
    if trials > MOST_TRIALS:
        raise DolphinError(
            f"{trials} trials are more than the {MOST_TRIALS} of one study",
            mend="use coarser steps or split it",
        )


SAMPLERS: dict[str, Sampler] = {"grid": grid, "sobol": sobol}
