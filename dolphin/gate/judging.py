"""A measured configuration against the floors: each with its value, its limit and the reason."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dolphin.gate.champions import Champion
from dolphin.gate.floors import Floor, Floors, judge
from dolphin.gate.measure import Measure, days_spanned
from dolphin.gate.report import FloorResult


def judge_floors(
    floors: Floors, measure: Measure, rival: Measure | None, champion: Champion | None, *, tier2: bool
) -> Iterator[FloorResult]:
    """Every floor of the first tier, and with ``tier2`` of promotion, on what was measured.

    Parameters
    ----------
    rival : Measure, optional
        The present champion over the same rows: floors of the tier ``champion`` are about it.
    champion : Champion, optional
        Its frozen worst stretch stands for the floors that allow it.
    """
    tiers = ["tier1", *(["tier2"] if tier2 else [])]
    # What a strategy calls its direction is its own word; what it bought is not.
    bought = bool((measure.whole.recording.trades["side"] > 0).any())
    if bought or getattr(measure.config.params, "direction", None) != "short_only":
        tiers.append("green")
    for tier in tiers:
        for floor in floors.tiers[tier]:
            limit, note = floor.limit, ""
            if floor.or_champions_own and champion is not None:
                limit, note = own_worst(floor, champion)
            yield _judge_one(floors, tier, floor, limit, note, measure)
    if tier2 and rival is not None:
        for floor in floors.tiers["champion"]:
            assert floor.tolerance is not None
            theirs = float(rival.over(floor.window).metrics.get(floor.metric, math.nan))
            slack = -floor.tolerance if floor.op in (">", ">=") else floor.tolerance
            # A champion without the figure (no trades there) cannot be fallen short of.
            limit = theirs + slack if math.isfinite(theirs) else slack * math.inf
            note = f"champion {theirs:.6g} here, tolerance {floor.tolerance:g}"
            yield _judge_one(floors, "champion", floor, limit, note, measure)


def own_worst(floor: Floor, champion: Champion) -> tuple[float, str]:
    """The floor's limit, or the champion's own worst window where that is lower.

    It is the one that was frozen, on the champion's own data: on data of the candidate's choice it could be any.
    """
    rows = champion.document("metrics.json").get("windows", [])
    worst = next(
        (float(row.get(floor.metric, math.nan)) for row in rows if row["window"] == floor.window.name), math.nan
    )
    if worst < floor.limit:
        return worst, f"the champion's own worst; it does not meet {floor.limit:g} itself"
    return floor.limit, ""


def _judge_one(floors: Floors, tier: str, floor: Floor, limit: float, note: str, measure: Measure) -> FloorResult:
    found = measure.over(floor.window)
    value = found.metrics.get(floor.metric, math.nan)
    if found.problem:
        passed, reason = False, found.problem
    else:
        against = Floor(floor.name, floor.metric, floor.window, floor.op, limit)
        passed, reason = judge(against, value, found.metrics["trades"], floors.enough_trades(tier, floor.window))
    reason = "; ".join(part for part in (reason, note) if part)
    whole = days_spanned(measure.market.ts, found.start, found.stop, measure.dataset.spacing_ns)
    return FloorResult(
        floor.name, floor.metric, f"{floor.window.name}: {found.text}", floor.op, limit, value, passed, reason,
        float(floor.window.days or 0) if floor.window.rolling else whole, floor.window.rolling,
    )  # fmt: skip
