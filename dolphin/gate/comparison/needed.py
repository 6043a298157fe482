"""How many days a difference of a given Sharpe ratio needs until the bet tells it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dolphin.core.records import Floats
from dolphin.gate.evidence.betting import ENOUGH, STAKES

#: Paths that are drawn, days after which they are given up, days drawn at a time, and the seed.
PATHS, HORIZON, AT_ONCE, SEED = 1001, 8000, 400, 20260301
#: Annual Sharpe ratios of the difference that are told of.
RATIOS = (1.0, 2.0, 4.0)
YEAR = 365


def days_to_tell(ratio: float, parts: Floats | None = None) -> tuple[int | None, float]:
    """Median days until the capital reaches :data:`~dolphin.gate.evidence.betting.ENOUGH`, and the share within a year.

    Parameters
    ----------
    ratio : float
        Annual Sharpe ratio of the daily differences, which are drawn normal.
    parts : (K,) array, optional
        What the stakes hold today; by default 1 each.

    Returns
    -------
    (int or None, float)
        None where over half of the paths have not reached it after :data:`HORIZON` days.
    """
    if parts is not None and parts.mean() >= ENOUGH:
        return 0, 1.0
    rng, stakes = np.random.default_rng(SEED), np.array(STAKES)
    with np.errstate(divide="ignore"):
        level = np.tile(np.log(np.ones(len(stakes)) if parts is None else parts), (PATHS, 1))
    reached = np.full(PATHS, HORIZON + 1)
    for low in range(0, HORIZON, AT_ONCE):
        days = rng.standard_normal((PATHS, AT_ONCE)) + ratio / math.sqrt(365.0)
        steps = np.log(np.maximum(1.0 + stakes * days[:, :, None], 1e-300))
        path = level[:, None, :] + np.cumsum(steps, axis=1)
        over = np.exp(path).mean(axis=2) >= ENOUGH
        first = np.where(over.any(axis=1), low + over.argmax(axis=1) + 1, HORIZON + 1)
        reached, level = np.minimum(reached, first), path[:, -1]
        if np.median(reached) <= low + AT_ONCE and low + AT_ONCE >= YEAR:
            break
    middle = int(np.median(reached))
    return (middle if middle <= HORIZON else None), float(np.mean(reached <= YEAR))


def days_needed(parts: Floats | None = None, ratios: Sequence[float] = RATIOS) -> list[dict[str, Any]]:
    """For each ratio: median days from a start, from what is held today, and the chance within a year of a start."""
    found = []
    for ratio in ratios:
        days, share = days_to_tell(ratio)
        here = days if parts is None else days_to_tell(ratio, parts)[0]
        found.append({"sharpe": ratio, "days": days, "days_from_here": here, "within_a_year": share})
    return found
