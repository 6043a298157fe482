"""What the status port shows: the records of the store, and how the store and the jobs are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dolphin.service.health import meta_health
from dolphin.service.jobs import JobRunner
from dolphin.stores.looking import Looks
from dolphin.stores.names import ACB_BOOST, FEATURES, LATEST, SAFETY, SIDES, SYSTEM_HEALTH, state_map


def status_records(store: Looks, jobs: JobRunner | None = None) -> dict[str, Mapping[str, Any]]:
    """Sections of the status; one that nobody wrote is left out.

    ``blue`` and ``green`` (the sessions' status lines), ``safety``, ``breaker``, ``system``, ``store``, ``job_NAME``
    and ``meta_health``, each record with its age in seconds.
    """
    places = {side: (state_map(side), LATEST) for side in SIDES}
    places |= {"safety": (SAFETY, LATEST), "breaker": (FEATURES, ACB_BOOST), "system": (SYSTEM_HEALTH, LATEST)}
    out: dict[str, Mapping[str, Any]] = {}
    for section, place in places.items():
        there = store.get(*place)
        if there is not None and isinstance(there.value, dict):
            out[section] = {**there.value, "age_seconds": there.age_ns / 1e9}
    health = store.health()
    out["store"] = {
        "nodes": health.nodes,
        "silent_seconds": health.silent_ns / 1e9,
        "pending": health.pending,
        "errors": health.errors,
        "last_error": health.last_error,
    }
    for name, run in (jobs.last() if jobs is not None else {}).items():
        out[f"job_{name}"] = {key: run.get(key) for key in ("due", "code", "seconds")}
    out["meta_health"] = meta_health(out)
    return out
