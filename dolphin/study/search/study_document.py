"""``study.json``: a study as it was resolved, what was run of it, and the best."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypedDict, cast

import polars as pl

from dolphin.config import ConfigDocument
from dolphin.files import json_value
from dolphin.study.definition.spec import Study
from dolphin.study.measure.documents import MetricValues, WindowDocument
from dolphin.study.measure.evaluator import Evaluator
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.measure.spans import Span
from dolphin.study.search.batch_runner import SearchReport
from dolphin.study.space.space import Choices
from dolphin.times import format_time

#: Best trials of one objective that are written.
BEST = 10


class DimensionDocument(TypedDict, total=False):
    """One searched parameter: its choices, or its range; ``when`` it is searched at all."""

    choices: list[Any]
    low: float
    high: float
    step: float | None
    log: bool
    when: str


class ResolvedStudy(TypedDict):
    """The study file with every default filled in and the command's options over it."""

    name: str
    dataset: str
    config: ConfigDocument
    search: dict[str, DimensionDocument]
    derived: dict[str, str]
    constraints: list[str]
    sampler: dict[str, str | int]
    trials: int | None
    timeout: float | None
    seed: int
    objective: list[str]
    direction: list[str]
    min_trades: int
    validation: dict[str, Any] | None
    storage: str
    order: list[str]
    holdout: dict[str, Any] | None


class TrialDocument(TypedDict):
    """One trial and its metrics."""

    trial: int
    config_hash: str
    config: ConfigDocument
    metrics: MetricValues


class StudyDocument(TypedDict):
    """``study.json``; ``planned`` is None where only the time bounds the search, ``pareto`` with one objective."""

    study: ResolvedStudy
    hash: str
    forked_from: str | None
    dataset_digest: str
    engine_digest: str
    window: WindowDocument
    planned: int | None
    trials: int
    ran: int
    known: int
    states: dict[str, int]
    spot_checks: list[int]
    seconds: float
    trials_per_second: float | None
    best: list[TrialDocument]
    pareto: list[TrialDocument] | None
    state: str
    validated: bool
    optuna_seconds: float


def study_document(
    study: Study,
    evaluator: Evaluator,
    window: Span,
    report: SearchReport,
    best: pl.DataFrame,
    *,
    state: str,
    validated: bool,
    optuna_seconds: float,
) -> StudyDocument:
    """The document of a search over the rows of ``window`` that found ``best`` (rows of the registry, best first)."""
    first_ts, last_ts = window.closes(evaluator.ts)
    trials = [_trial(row) for row in best.to_dicts()]
    return {
        "study": _resolved(study),
        "hash": study.hash,
        "forked_from": study.forked_from,
        "dataset_digest": evaluator.dataset.digest,
        "engine_digest": study.config.engine.digest,
        "window": {
            "first_ts": first_ts,
            "last_ts": last_ts,
            "from": format_time(first_ts),
            "to": format_time(last_ts),
            "bars": window.bars,
        },
        "planned": report.size,
        "trials": sum(report.counts.values()),
        "ran": report.ran,
        "known": report.known,
        "states": report.counts,
        "spot_checks": report.checked,
        "seconds": report.seconds,
        "trials_per_second": report.ran / report.seconds if report.seconds else None,
        "best": trials[:BEST],
        "pareto": trials if len(study.objectives) > 1 else None,
        "state": state,
        "validated": validated,
        "optuna_seconds": optuna_seconds,
    }


def _resolved(study: Study) -> ResolvedStudy:
    space = study.space
    return {
        "name": study.name,
        "dataset": study.dataset,
        "config": study.config.document(),
        "search": {name: _dimension(study, name) for name in space},
        "order": list(space),  # of the dimensions, which a sampler goes by; keys of a file are sorted
        "derived": {name: expression.text for name, expression in space.derived.items()},
        "constraints": [expression.text for expression in space.constraints],
        "sampler": {"name": study.sampler, **study.options},
        "trials": study.trials,
        "timeout": study.timeout,
        "seed": study.seed,
        "objective": list(study.objectives),
        "direction": list(study.directions),
        "min_trades": study.min_trades,
        "validation": study.validation.model_dump() if study.validation else None,
        "storage": study.storage,
        "holdout": study.holdout.document() if study.holdout else None,
    }


def _dimension(study: Study, name: str) -> DimensionDocument:
    dimension = study.space[name]
    found: DimensionDocument
    if isinstance(dimension, Choices):
        found = {"choices": list(dimension.values)}
    else:
        found = {"low": dimension.low, "high": dimension.high, "step": dimension.step, "log": dimension.log}
    if name in study.space.conditions:
        found["when"] = study.space.conditions[name].text
    return found


def _trial(row: Mapping[str, Any]) -> TrialDocument:
    return {
        "trial": row["trial"],
        "config_hash": row["config_hash"],
        "config": json.loads(row["config"]),
        "metrics": cast(MetricValues, {name: json_value(row[name]) for name in ALL_METRICS}),
    }
