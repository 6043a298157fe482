"""One number for how the whole is: seven parts between 0 and 1, the worst of which counts.

The specification names the record (DOLPHIN_META_HEALTH) and no parts: these seven are this project's choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Seconds after which a session's status, and its safety record, is old, and is dead.
OLD, DEAD = 30.0, 120.0
POSTURES = {"APEX": 1.0, "STALKER": 0.7, "TURTLE": 0.4, "HIBERNATE": 0.0}


def meta_health(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Score and parts of the status records; a part of which nothing is known is 0, but for what need not be there.

    Parts: ``session`` (blue's status is fresh), ``safety`` (its record is fresh), ``posture``, ``store`` (answers),
    ``backlog`` (its writes go through), ``breaker`` (ready), ``jobs`` (share of those whose last run went well).
    """
    store, safety = records.get("store", {}), records.get("safety")
    breaker = records.get("breaker")
    codes = [run.get("code") for name, run in records.items() if name.startswith("job_")]
    parts = {
        "session": _freshness(records.get("blue")),
        "safety": _freshness(safety),
        "posture": POSTURES.get(str((safety or {}).get("posture")), 0.0),
        "store": float(store.get("nodes", 0) >= 1 and store.get("silent_seconds", 1e9) <= OLD),
        "backlog": max(0.0, 1.0 - float(store.get("pending", 0)) / 1000.0),
        "breaker": 1.0 if breaker is None else 1.0 if breaker.get("ready") else 0.5,
        "jobs": 1.0 - sum(code not in (0, None) for code in codes) / len(codes) if codes else 1.0,
    }
    worst = min(parts, key=lambda name: parts[name])
    return {"score": parts[worst], "worst": worst, "parts": parts}


def _freshness(record: Mapping[str, Any] | None) -> float:
    """1 while fresh, then falling to 0 when dead; 0 for none."""
    if record is None:
        return 0.0
    age = float(record.get("age_seconds", DEAD))
    return min(1.0, max(0.0, (DEAD - age) / (DEAD - OLD)))
