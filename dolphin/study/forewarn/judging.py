"""How good forecasts are: Brier score against climatology, reliability, ranking, drift of the inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.core.records import Floats, Ints

BINS = 10
#: Draws of the block bootstrap, and the quantiles of its interval.
DRAWS, INTERVAL = 1_000, (0.05, 0.95)
#: Drift of an input: the population stability index from which it is watched, and acted upon, and the p-value of the
#: Kolmogorov-Smirnov test below which it is watched whatever the index says.
PSI_WATCH, PSI_ACT, KS_LEAST = 0.1, 0.2, 0.01
STEADY, WATCH, ACT = "steady", "watch", "act"
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


def drift(trained: list[float], windows: int, values: Floats) -> dict[str, Any]:
    """PSI over the training's tenths, KS distance and its p-value of what is seen now, and what they ask for.

    Parameters
    ----------
    trained : list of float
        The 101 quantiles of the training's values, of ``windows`` windows.
    values : float64 [N]
        What is seen now; NaN is left out.

    Returns
    -------
    dict
        ``psi``, ``ks``, ``p`` and ``level``: steady, watch or act. The p-value takes values for independent, and those
        a few hours apart are not: it is too small, and therefore asks for no more than to watch.
    """
    now, edges = np.sort(values[~np.isnan(values)]), np.array(trained)
    if not len(now):
        return {"psi": None, "ks": None, "p": None, "level": ACT}
    cuts = np.unique(edges[10:100:10])
    expected = np.diff(np.concatenate([[0.0], np.searchsorted(edges, cuts, side="right") / len(edges), [1.0]]))
    seen = np.diff(np.concatenate([[0.0], np.searchsorted(now, cuts, side="right") / len(now), [1.0]]))
    expected, seen = np.maximum(expected, _LEAST_SHARE), np.maximum(seen, _LEAST_SHARE)
    psi = float(np.sum((seen - expected) * np.log(seen / expected)))
    below = np.searchsorted(now, edges, side="right") / len(now)
    share = (np.searchsorted(edges, edges, side="right") - 1) / (len(edges) - 1)
    ks = float(np.max(np.abs(below - share)))
    p = ks_p(max(0.0, ks - 1.0 / len(edges)), windows, len(now))  # shares are known to a hundredth
    level = ACT if psi >= PSI_ACT else WATCH if psi >= PSI_WATCH or p < KS_LEAST else STEADY
    return {"psi": psi, "ks": ks, "p": p, "level": level}


def ks_p(distance: float, first: int, second: int) -> float:
    """The chance of such a Kolmogorov-Smirnov distance between two samples of one distribution.

    Stephens' approximation: Kolmogorov's limit at (sqrt(n) + 0.12 + 0.11 / sqrt(n)) D, n = ab / (a + b).
    """
    from scipy.special import kolmogorov

    root = math.sqrt(first * second / (first + second))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))
