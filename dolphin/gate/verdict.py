"""The gate's two answers and its strongest reasons, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dolphin.gate.evidence.edge import Edge
from dolphin.gate.report import Check, FloorResult

#: Reasons that stand at the top.
REASONS = 3


def edge_checks(edge: Edge) -> list[Check]:
    """The hard evidence as checks."""
    found = [Check("edge", edge.p <= edge.alpha, edge.sentence)]
    if edge.search is not None:
        found.append(Check("edge on the holdout", edge.holdout.p <= edge.guard, edge.guard_sentence))
    return found


def answers(edge: Edge | None, floors: Sequence[FloorResult], why_not: str = "") -> dict[str, Any]:
    """Is there an edge, and is it good enough: yes, no, or not asked, each with a line."""
    breached = [floor for floor in floors if not floor.passed]
    line = f"{len(breached)} of {len(floors)} floors are breached" if breached else f"all {len(floors)} floors hold"
    good = {"question": "Is it good enough?", "answer": "no" if breached else "yes", "line": line}
    if edge is None:
        return {"edge": {"question": "Is there an edge?", "answer": "not asked", "line": why_not}, "floors": good}
    line = edge.sentence if edge.search is None or edge.p > edge.alpha else f"{edge.sentence}; {edge.guard_sentence}"
    return {
        "edge": {"question": "Is there an edge?", "answer": "yes" if edge.passed else "no", "line": line},
        "floors": good,
    }


def reasons(edge: Edge | None, floors: Sequence[FloorResult], checks: Sequence[Check]) -> list[str]:
    """The strongest reasons for the verdict, the strongest first."""
    if not (all(floor.passed for floor in floors) and all(check.passed for check in checks)):
        return _against(edge, floors, checks)[:REASONS]
    found = []
    if edge is not None:
        found = [part.words for part in (edge.holdout, edge.search) if part is not None]
    tight = sorted(floors, key=_distance)[:1]
    found += [f"the floor that is nearest holds: {floor.line}" for floor in tight]
    return found[:REASONS]


def _against(edge: Edge | None, floors: Sequence[FloorResult], checks: Sequence[Check]) -> list[str]:
    found: list[tuple[float, str]] = []
    if edge is not None and not edge.passed:
        parts = [part for part in (edge.holdout, edge.search) if part is not None]
        found += [(3.0 + part.p, part.words) for part in parts if part.p > edge.alpha]
    ordered = sorted((floor for floor in floors if not floor.passed), key=_distance)
    found += [(2.0 - k / 100.0, floor.line) for k, floor in enumerate(ordered)]
    told = {"edge", "edge on the holdout"} if found and edge is not None and not edge.passed else set()
    found += [(5.0, check.line) for check in checks if not check.passed and check.name not in told]
    return [line for _, line in sorted(found, key=lambda pair: -pair[0])]


def _distance(floor: FloorResult) -> float:
    """How far a floor's value is from its limit, as a share of it: above zero on the right side."""
    if not math.isfinite(floor.value):
        return -math.inf if math.isnan(floor.value) else math.inf
    ahead = floor.value - floor.limit if floor.op[0] == ">" else floor.limit - floor.value
    return ahead / max(abs(floor.limit), 1e-9)
