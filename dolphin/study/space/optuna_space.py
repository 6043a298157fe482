"""A study's space in Optuna's words."""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dolphin.study.space.space import Choices, Dimension, Space


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each searched parameter."""
    return {name: distribution(dimension) for name, dimension in space.items()}


def distribution(dimension: Dimension) -> BaseDistribution:
    """Optuna's distribution of one dimension; a stepped one ends at its last point."""
    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.values)
    if dimension.step is None:
        if dimension.whole:
            return IntDistribution(int(dimension.low), int(dimension.high), log=True)
        return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    last = dimension.nearest(dimension.low + (dimension.count - 1) * dimension.step)
    if isinstance(dimension.low, int) and isinstance(dimension.step, int):
        return IntDistribution(dimension.low, int(last), step=dimension.step)
    return FloatDistribution(dimension.low, last, step=dimension.step)
