"""The best trials of a study: by one objective, or those that no other beats in all of them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from dolphin.config import to_toml
from dolphin.files import write_bytes
from dolphin.study.definition.spec import Study
from dolphin.study.trials.choice import NEEDED, OF_THE_SEARCH, choice_of
from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace


def best_trials(registry: Registry, study: Study, dataset_digest: str, count: int | None = 10) -> pl.DataFrame:
    """The study's best distinct trials by :class:`~dolphin.study.trials.choice.Choice`, best first.

    With several objectives: the Pareto front. ``count`` None means all.
    """
    choice = choice_of(study)
    mine = (
        registry.trials()
        .with_row_index("_row")
        .filter(pl.col("study_hash") == study.hash, pl.col("dataset_digest") == dataset_digest, OF_THE_SEARCH)
    )
    # The rule needs little of a row; the rest, daily returns above all, is read of the best alone.
    known = mine.select(sorted({"_row", *NEEDED, *choice.objectives})).collect()
    found = choice.ranked(known) if len(study.objectives) == 1 else choice.front(known)
    rows = found["_row"].head(found.height if count is None else count)
    frame = mine.filter(pl.col("_row").is_in(rows.to_list())).collect()
    return rows.to_frame().join(frame, on="_row", maintain_order="left").drop("_row")


def write_best(workspace: Workspace, study: Study, best: pl.DataFrame) -> Path | None:
    """Write the best trial's config to ``experiments/<study>/best.toml``; without one None, and no file."""
    target = workspace.experiments / study.name / "best.toml"
    if best.is_empty():
        target.unlink(missing_ok=True)  # of an earlier sweep
        return None
    row = best.row(0, named=True)
    head = f"# Trial {row['trial']} of study {study.name}: {study.objective} = {row[study.objective]!r}\n"
    write_bytes(target, (head + to_toml(json.loads(row["config"]))).encode())
    return target
