"""Optuna's TPE and NSGA-II, a batch at a time.

Each batch is a pure function of (seed, number of the batch, history): a new Optuna sampler looks at an
in-memory study that holds what was told so far. Going on later needs no more than the history.
"""

from __future__ import annotations

import warnings
from typing import Any, TypeGuard

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from dolphin.core.records import Floats
from dolphin.study.samplers.protocol import Sampler, bounded
from dolphin.study.space.optuna_space import distribution
from dolphin.study.space.space import Dimension, Point, Range


class _OptunaSampler(Sampler):
    LEARNS = True
    KEY = "batch"

    def start(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(directions=["maximize"] * self.objectives)
        self._distributions = {name: _inner(dimension) for name, dimension in self.space.items()}
        self._done = 0
        self._asked: list[optuna.Trial] = []

    @property
    def _count(self) -> int:
        return self.options[self.KEY]

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        raise NotImplementedError

    def ask(self) -> list[Point]:
        seed = int(np.random.default_rng([self.seed, self._done]).integers(2**31))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.sampler = self._sampler(seed)
            self._asked, points = [], []
            for _ in range(self._count):
                trial = self._study.ask()
                points.append(self._suggest(trial))
                self._asked.append(trial)
        return points

    def tell(self, scores: Floats) -> None:
        for trial, values in zip(self._asked, bounded(scores).tolist(), strict=True):
            self._study.tell(trial, values)
        self._done += 1

    def replay(self, points: list[Point], scores: Floats) -> None:
        known = [
            optuna.trial.create_trial(
                params={name: _to_inner(self.space[name], value) for name, value in point.items()},
                distributions={name: self._distributions[name] for name in point},
                values=values,
                system_attrs=self._attributes(),
            )
            for point, values in zip(points, bounded(scores).tolist(), strict=True)
        ]
        self._study.add_trials(known)
        self._done += 1

    def _attributes(self) -> dict[str, Any]:
        return {}

    def _suggest(self, trial: optuna.Trial) -> Point:
        """A point of the space, parameter by parameter, those that are not active left out."""
        point: Point = {}
        for name, dimension in self.space.items():
            if self.space.active(name, point):
                found = _suggested(trial, name, self._distributions[name])
                point[name] = dimension.point(found) if _stepped(dimension) else found
        return point


class Tpe(_OptunaSampler):
    """Tree-structured Parzen estimator; the points of a batch keep their distance (constant liar)."""

    NAME = "tpe"
    OPTIONS = {"batch": (16, 1), "startup": (32, 1)}  # noqa: RUF012 - a constant of the class

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=self.options["startup"])


class Nsga2(_OptunaSampler):
    """NSGA-II: a batch is a generation."""

    NAME = "nsga2"
    OPTIONS = {"population": (50, 2)}  # noqa: RUF012 - a constant of the class
    KEY = "population"

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=self._count)

    def _attributes(self) -> dict[str, Any]:
        return {optuna.samplers.NSGAIISampler._get_generation_key(): self._done}

    def replay(self, points: list[Point], scores: Floats) -> None:
        sampler = optuna.samplers.NSGAIISampler(population_size=self._count)
        # The parents are chosen now, generation by generation; an ask would have dropped the cached trials.
        self._study._thread_local.cached_all_trials = None
        sampler.get_parent_population(self._study, self._done)
        super().replay(points, scores)


def _stepped(dimension: Dimension) -> TypeGuard[Range]:
    return isinstance(dimension, Range) and dimension.step is not None


def _inner(dimension: Dimension) -> BaseDistribution:
    """The distribution that the sampler sees: of a stepped range the number of the point, which is exact."""
    if _stepped(dimension):
        return IntDistribution(0, dimension.count - 1)
    return distribution(dimension)


def _to_inner(dimension: Dimension, value: Any) -> Any:
    if _stepped(dimension):
        return round((value - dimension.low) / (dimension.step or 1))
    return value


def _suggested(trial: optuna.Trial, name: str, known: BaseDistribution) -> Any:
    if isinstance(known, CategoricalDistribution):
        return trial.suggest_categorical(name, known.choices)
    if isinstance(known, IntDistribution):
        return trial.suggest_int(name, known.low, known.high, log=known.log)
    assert isinstance(known, FloatDistribution)
    return trial.suggest_float(name, known.low, known.high, log=known.log)
