"""Training: gradient boosting, calibrated on later windows than it was fitted on, judged on later ones still.

Windows overlap in time, so that whatever ends after another begins is purged between them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dolphin.core.records import Floats
from dolphin.errors import DolphinError
from dolphin.study.forewarn.judging import Flags, importance, verdict
from dolphin.study.forewarn.outcomes import Examples
from dolphin.study.forewarn.trees import Boosted, of_sklearn

FOLDS = 5
#: Of the windows before a test, the latest share that calibrates.
CALIBRATES = 0.25
#: Of either kind so many examples at least, to fit and to calibrate.
LEAST = 20


class Trained(NamedTuple):
    """The model of all windows, and what walk-forward said of models made like it."""

    model: Boosted
    climatology: float
    validation: dict[str, Any]


def train(examples: Examples, *, seed: int = 0, folds: int = FOLDS) -> Trained:
    """Walk forward over the windows, then fit on all of them.

    Raises
    ------
    DolphinError
        If too few windows went bad, or well, to learn from.
    """
    windows = len(examples.starts)
    cuts = np.linspace(0, windows, folds + 2).astype(int)
    probability, climatology = np.full(len(examples.bad), np.nan), np.full(len(examples.bad), np.nan)
    importances: list[dict[str, float]] = []
    for low, high in pairwise(cuts[1:].tolist()):
        known = before(examples, low)
        test = examples.of_windows(_between(windows, low, high))
        found = fitted(examples, known, seed)
        climatology[test] = float(examples.bad[examples.of_windows(known)].mean())
        probability[test] = climatology[test] if found is None else found.probabilities(examples.x[test])
        if found is not None:
            x, bad = examples.x[test], examples.bad[test]
            importances.append(importance(found.probabilities, x, bad, examples.names, seed))
    tested = ~np.isnan(probability)
    block = overlap(examples)
    judged = judged_on(examples, tested, probability, climatology, seed)
    judged |= {"folds": folds, "purged_windows": block, "importance": _mean(importances, examples.names)}
    model = fitted(examples, np.ones(windows, np.bool_), seed)
    if model is None:
        raise DolphinError(
            f"{int(examples.bad.sum()):,} of {len(examples.bad):,} examples went bad: too few of one kind",
            mend="change --loss or --days, or use more data",
        )
    return Trained(model, float(examples.bad.mean()), judged)


def judged_on(examples: Examples, tested: Flags, probability: Floats, climatology: Floats, seed: int) -> dict[str, Any]:
    """The verdict on forecasts (E,) of the ``tested`` examples; see :func:`~dolphin.study.forewarn.judging.verdict`."""
    configs = len(examples.bad) // len(examples.starts)
    return verdict(
        probability[tested],
        climatology[tested],
        examples.bad[tested],
        examples.window[tested],
        (np.arange(len(tested)) % configs)[tested],
        overlap(examples),
        seed,
    )


def before(examples: Examples, first: int) -> Flags:
    """(W,) the windows that were over when window ``first`` began."""
    return np.asarray(examples.stops < examples.starts[first])


def overlap(examples: Examples) -> int:
    """How many windows in a row overlap."""
    ahead = np.searchsorted(examples.starts, examples.stops, side="right") - np.arange(len(examples.starts))
    return max(1, int(np.max(ahead)))


def fitted(examples: Examples, known: Flags, seed: int) -> Boosted | None:
    """A calibrated model of these windows; None where they hold too few of one kind."""
    places = np.flatnonzero(known)
    if len(places) < 4:
        return None
    first = places[int(len(places) * (1.0 - CALIBRATES))]
    early = examples.of_windows(known & before(examples, first))
    late = examples.of_windows(known & (np.arange(len(known)) >= first))
    if not (_both(examples.bad[early]) and _both(examples.bad[late])):
        return None
    model = of_sklearn(_boosting(examples.x[early], examples.bad[early], seed))
    return calibrated(model, examples.x[late], examples.bad[late])


def calibrated(model: Boosted, x: NDArray[np.float32], bad: Flags) -> Boosted:
    """Platt's calibration: slope and shift of the log-odds; the slope never turns a ranking round."""
    from sklearn.linear_model import LogisticRegression

    scores = model.scores(x)
    fit = LogisticRegression(C=1.0).fit(scores[:, None], bad)
    slope, shift = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    if slope <= 0.0:  # it ranks the wrong way: what is left is how often windows go bad
        share = float(bad.mean())
        slope, shift = 0.0, float(np.log(share / (1.0 - share)))
    return replace(model, slope=slope, shift=shift)


def _boosting(x: NDArray[np.float32], bad: Flags, seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(
        n_estimators=80, learning_rate=0.05, max_depth=3, subsample=0.5, min_samples_leaf=50, random_state=seed
    )
    return model.fit(x, bad)


def _both(bad: Flags) -> bool:
    return min(int(bad.sum()), int((~bad).sum())) >= LEAST


def _between(windows: int, low: int, high: int) -> Flags:
    place = np.arange(windows)
    return np.asarray((place >= low) & (place < high))


def _mean(found: list[dict[str, float]], names: tuple[str, ...]) -> dict[str, float]:
    if not found:
        return {}
    mean = {name: float(np.mean([one[name] for one in found])) for name in names}
    return dict(sorted(mean.items(), key=lambda item: -item[1]))


def envelope(quantiles: list[list[float]], row: Floats) -> float:
    """The share of inputs that lie between the 1st and 99th percentile of the training's: 1 is well inside."""
    inside = [q[1] <= value <= q[99] for q, value in zip(quantiles, row.tolist(), strict=True)]
    return float(np.mean(inside)) if inside else 0.0
