"""The best trials of a study: by one objective, or those that no other beats in all of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from dolphin.config import to_toml
from dolphin.files import write_bytes
from dolphin.study.definition.spec import Study
from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace


def best_trials(registry: Registry, study: Study, dataset_digest: str, count: int | None = 10) -> pl.DataFrame:
    """The study's best distinct trials with enough trades to count, best first.

    A ruined account is never among them: its Sharpe ratio covers the days before the ruin only. With
    several objectives: the Pareto front, by the first objective. ``count`` None means all.
    """
    known = [pl.col(name).is_not_nan() for name in study.objectives]
    found = (
        registry.trials()
        .filter(
            pl.col("study_hash") == study.hash,
            pl.col("dataset_digest") == dataset_digest,
            pl.col("state") == "done",
            pl.col("role").fill_null("search") == "search",
            pl.col("fold").is_null(),
            pl.col("trades") >= study.min_trades,
            ~pl.col("ruined").fill_null(False),
            *known,
        )
        .unique("config_hash", keep="first", maintain_order=True)
        .sort([study.objective, "trial"], descending=[study.direction == "maximize", False])
    )
    if len(study.objectives) == 1:
        return (found.head(count) if count is not None else found).collect()
    frame = found.collect()
    signs = np.array([1.0 if way == "maximize" else -1.0 for way in study.directions])
    front = frame[np.flatnonzero(pareto(frame.select(study.objectives).to_numpy().astype(np.float64) * signs))]
    return front.head(count) if count is not None else front


def pareto(scores: np.ndarray) -> np.ndarray:
    """(n,) bool: the rows of ``scores`` (n, K), larger is better, that no other row dominates."""
    order = np.lexsort(-scores.T[::-1])  # by the first, then the second objective, ...
    kept = np.zeros(len(scores), bool)
    front = np.empty((0, scores.shape[1]))
    for k in order:
        worse = (front >= scores[k]).all(axis=1) & (front > scores[k]).any(axis=1)
        if not worse.any():
            kept[k] = True
            front = np.vstack([front, scores[k]])
    return kept


def write_best(workspace: Workspace, study: Study, best: pl.DataFrame) -> Path | None:
    """Write the best trial's config to ``experiments/<study>/best.toml``; None without one."""
    if best.is_empty():
        return None
    row = best.row(0, named=True)
    target = workspace.experiments / study.name / "best.toml"
    head = f"# Trial {row['trial']} of study {study.name}: {study.objective} = {row[study.objective]!r}\n"
    write_bytes(target, (head + to_toml(json.loads(row["config"]))).encode())
    return target
