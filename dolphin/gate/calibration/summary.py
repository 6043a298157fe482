"""How often a policy promotes markets whose truth is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dolphin.gate.calibration.markets import Kind
from dolphin.gate.evidence.combining import rank, stouffer
from dolphin.gate.policy import Policy

Row = dict[str, Any]


def summary(kind: Kind, rows: dict[Kind, list[Row]], policy: Policy) -> dict[str, Any]:
    """How many markets of a kind pass the evidence, the floors and both, with 95 % intervals.

    ``promoted`` is what the evidence alone lets through, the stricter figure for its error; ``floors`` are the counts
    for the first tier and for promotion, ``both`` the evidence and the promotion floors together.
    """
    mine = rows[kind]
    passed = [_passed(row, p_a, policy) for row, p_a in zip(mine, _searches(kind, rows), strict=True)]
    promoted = sum(passed)
    low, high = clopper_pearson(promoted, len(mine))
    sharpes = [row["sharpe"] for row in mine if isinstance(row["sharpe"], float)]
    bests = [row["best"] for row in mine if isinstance(row["best"], float)]
    return {
        "edge_planted": kind.edge,
        "drift_bps": kind.drift_bps,
        "markets": len(mine),
        "promoted": promoted,
        "share": promoted / len(mine),
        "interval_95": [low, high],
        "holdout_alone": sum(row["p_b"] <= policy.alpha for row in mine),
        "floors": [sum(row["floors"][tier] for row in mine) for tier in range(2)],
        "both": sum(ok and row["floors"][1] for ok, row in zip(passed, mine, strict=True)),
        "mean_best_on_train": float(np.mean(bests)) if bests else None,
        "mean_sharpe_of_the_chosen_unseen": float(np.mean(sharpes)) if sharpes else None,
        "seconds_a_market": float(np.mean([row["seconds"] for row in mine])),
    }


def over_nulls(kinds: dict[str, Any]) -> dict[str, Any] | None:
    """What all kinds without an edge say together: promotions, share and interval; None if there are none."""
    mine = [about for about in kinds.values() if not about["edge_planted"]]
    if not mine:
        return None
    markets, promoted = (sum(about[key] for about in mine) for key in ("markets", "promoted"))
    return {
        "markets": markets,
        "promoted": promoted,
        "share": promoted / markets,
        "interval_95": list(clopper_pearson(promoted, markets)),
    }


def _searches(kind: Kind, rows: dict[Kind, list[Row]]) -> list[float]:
    """p_a of each market: its own reruns', or its rank among the markets without an edge."""
    mine, boot = rows[kind], Kind("boot")
    if all(row["p_a"] is not None for row in mine):
        return [row["p_a"] for row in mine]
    others = [_number(row["best"]) for row in rows[boot if kind.edge and boot in rows else kind]]
    return [
        rank(_number(row["best"]), others if kind.edge else others[:k] + others[k + 1 :]) for k, row in enumerate(mine)
    ]


def _passed(row: Row, p_a: float, policy: Policy) -> bool:
    return bool(stouffer(p_a, row["p_b"]) <= policy.alpha and row["p_b"] <= policy.hard("guard"))


def clopper_pearson(k: int, n: int) -> tuple[float, float]:
    """The exact 95 % interval of a share k of n."""
    from scipy.stats import beta

    low = 0.0 if k == 0 else float(beta.ppf(0.025, k, n - k + 1))
    high = 1.0 if k == n else float(beta.ppf(0.975, k + 1, n - k))
    return low, high


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
