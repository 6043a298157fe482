"""How often a policy promotes markets whose truth is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dolphin.gate.calibration.markets import EDGES
from dolphin.gate.evidence.combining import rank, stouffer
from dolphin.gate.policy import Policy

Row = dict[str, Any]


def summary(kind: str, rows: dict[str, list[Row]], policy: Policy) -> dict[str, Any]:
    """How many markets of a kind the policy promotes, with a 95 % interval (Clopper and Pearson)."""
    mine = rows[kind]
    against = [row["best"] for row in rows["boot" if kind in EDGES and "boot" in rows else kind]]
    promoted = 0
    for k, row in enumerate(mine):
        p_a = row["p_a"]
        if p_a is None:
            others = against if kind in EDGES else against[:k] + against[k + 1 :]
            p_a = rank(_number(row["best"]), [_number(other) for other in others])
        promoted += stouffer(p_a, row["p_b"]) <= policy.alpha and row["p_b"] <= policy.hard("guard")
    low, high = clopper_pearson(promoted, len(mine))
    sharpes = [row["sharpe"] for row in mine if isinstance(row["sharpe"], float)]
    bests = [row["best"] for row in mine if isinstance(row["best"], float)]
    return {
        "edge_planted": kind in EDGES,
        "markets": len(mine),
        "promoted": int(promoted),
        "share": promoted / len(mine),
        "interval_95": [low, high],
        "mean_best_on_train": float(np.mean(bests)) if bests else None,
        "mean_sharpe_of_the_chosen_unseen": float(np.mean(sharpes)) if sharpes else None,
        "seconds_a_market": float(np.mean([row["seconds"] for row in mine])),
    }


def clopper_pearson(k: int, n: int) -> tuple[float, float]:
    """The exact 95 % interval of a share k of n."""
    from scipy.stats import beta

    low = 0.0 if k == 0 else float(beta.ppf(0.025, k, n - k + 1))
    high = 1.0 if k == n else float(beta.ppf(0.975, k + 1, n - k))
    return low, high


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
