"""How good forecasts are: Brier score against climatology, reliability, ranking, drift of the inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.core.records import Floats, Ints

BINS = 10
#: Draws of the block bootstrap, and the quantiles of its interval.
DRAWS, INTERVAL = 1_000, (0.05, 0.95)
#: Above these a feature has drifted: the population stability index, and the Kolmogorov-Smirnov distance.
PSI_LIMIT, KS_LIMIT = 0.25, 0.2
_LEAST_SHARE = 1e-4

Flags = NDArray[np.bool_]


def brier(probability: Floats, bad: Flags) -> float:
    """The mean squared error of probabilities."""
    return float(np.mean((probability - bad) ** 2))


def verdict(
    probability: Floats, climatology: Floats, bad: Flags, window: Ints, config: Ints, block: int, seed: int
) -> dict[str, Any]:
    """Brier score, that of climatology, skill with an interval, ranking, reliability; and whether there is skill.

    Parameters
    ----------
    climatology : float64 [E]
        The share of bad windows that was known when each forecast was made.
    window : int64 [E]
        The window of each forecast, ascending.
    config : int64 [E]
        Which configuration it is about. Some lose more than others whatever the market does: ``market_skill`` is
        against each one's own mean forecast, and is what knowing the market adds.
    block : int
        Windows that overlap: the bootstrap draws blocks of so many.
    """
    ours, theirs = (probability - bad) ** 2, (climatology - bad) ** 2
    mean = np.bincount(config, probability) / np.maximum(np.bincount(config), 1)
    alone = (mean[config] - bad) ** 2
    low, high = _interval(ours, theirs, window, block, seed)
    least, most = _interval(ours, alone, window, block, seed)
    return {
        "examples": len(bad),
        "windows": len(np.unique(window)),
        "bad_share": float(bad.mean()),
        "brier": float(ours.mean()),
        "brier_climatology": float(theirs.mean()),
        "skill": _skill(ours, theirs),
        "skill_interval": [low, high],
        "market_skill": _skill(ours, alone),
        "market_skill_interval": [least, most],
        "auc": auc(probability, bad),
        "reliability": reliability(probability, bad),
        "has_skill": low > 0.0,
        "has_market_skill": least > 0.0,
    }


def _skill(ours: Floats, theirs: Floats) -> float:
    return 1.0 - float(ours.mean()) / max(float(theirs.mean()), 1e-300)


def _interval(ours: Floats, theirs: Floats, window: Ints, block: int, seed: int) -> tuple[float, float]:
    """The interval of the skill over samples of blocks of consecutive windows, drawn with replacement."""
    _, place = np.unique(window, return_inverse=True)
    blocks = place // max(block, 1)
    many = int(blocks.max()) + 1
    sums = np.column_stack([np.bincount(blocks, ours, many), np.bincount(blocks, theirs, many)])
    drawn = np.random.default_rng(seed).integers(0, many, (DRAWS, many))
    totals = sums[drawn].sum(axis=1)
    low, high = np.quantile(1.0 - totals[:, 0] / np.maximum(totals[:, 1], 1e-300), INTERVAL)
    return float(low), float(high)


def reliability(probability: Floats, bad: Flags) -> list[dict[str, float]]:
    """Per tenth of probability that holds forecasts: how many, their mean, and the share that went bad."""
    place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    rows = []
    for k in range(BINS):
        here = place == k
        if here.any():
            mean, share = float(probability[here].mean()), float(bad[here].mean())
            rows.append({"from": k / BINS, "count": int(here.sum()), "forecast": mean, "observed": share})
    return rows


def auc(probability: Floats, bad: Flags) -> float:
    """The chance that a bad window was given the higher probability; NaN where all are alike."""
    good, evil = int((~bad).sum()), int(bad.sum())
    if not good or not evil:
        return float("nan")
    _, inverse, counts = np.unique(probability, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - 0.5 * (counts - 1))[inverse]
    return float((ranks[bad].sum() - 0.5 * evil * (evil + 1)) / (good * evil))


def importance(score: Any, x: NDArray[np.float32], bad: Flags, names: tuple[str, ...], seed: int) -> dict[str, float]:
    """By how much the Brier score worsens when a column is shuffled, the worst first; ``score(x)`` forecasts."""
    rng, base = np.random.default_rng(seed), brier(score(x), bad)
    found = {}
    for k, name in enumerate(names):
        other = x.copy()
        other[:, k] = rng.permutation(other[:, k])
        found[name] = brier(score(other), bad) - base
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def quantiles_of(values: Floats) -> list[float]:
    """The 101 quantiles that drift is measured against."""
    return [float(q) for q in np.quantile(values[~np.isnan(values)], np.linspace(0.0, 1.0, 101))]


def drift(trained: list[float], values: Floats) -> dict[str, Any]:
    """PSI over the training's tenths and KS distance of what is seen now, and whether either says drifted."""
    now, edges = np.sort(values[~np.isnan(values)]), np.array(trained)
    if not len(now):
        return {"psi": None, "ks": None, "drifted": True}
    cuts = np.unique(edges[10:100:10])
    expected = np.diff(np.concatenate([[0.0], np.searchsorted(edges, cuts, side="right") / len(edges), [1.0]]))
    seen = np.diff(np.concatenate([[0.0], np.searchsorted(now, cuts, side="right") / len(now), [1.0]]))
    expected, seen = np.maximum(expected, _LEAST_SHARE), np.maximum(seen, _LEAST_SHARE)
    psi = float(np.sum((seen - expected) * np.log(seen / expected)))
    below = np.searchsorted(now, edges, side="right") / len(now)
    ks = float(np.max(np.abs(below - np.searchsorted(edges, edges, side="right") / len(edges))))
    return {"psi": psi, "ks": ks, "drifted": psi > PSI_LIMIT or ks > KS_LIMIT}
