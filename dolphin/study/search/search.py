"""The loop of a search: the sampler proposes, the evaluator measures, the registry keeps, the sampler hears."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from dolphin.config import settled
from dolphin.core.records import Floats
from dolphin.errors import DolphinError
from dolphin.files import from_json_value
from dolphin.progress import Progress
from dolphin.study.definition.spec import Study
from dolphin.study.measure.evaluator import Evaluator
from dolphin.study.measure.spans import Span
from dolphin.study.samplers import Sampler, sampler_class
from dolphin.study.samplers.grid import MOST_TRIALS
from dolphin.study.search.batch_runner import BatchRunner, Row, SearchReport
from dolphin.study.space.space import Point, Space
from dolphin.study.trials.registry import Registry

#: States of a trial that will not be run again.
FINISHED = ("done", "invalid", "pruned")

OnBatch = Callable[[list[tuple[Point, Row]]], None]


def search(
    study: Study,
    evaluator: Evaluator,
    registry: Registry,
    window: Span,
    *,
    role: str = "search",
    fold: int | None = None,
    resume: bool = False,
    deadline: float | None = None,
    progress: Progress | None = None,
    on_batch: OnBatch | None = None,
    report: SearchReport | None = None,
) -> SearchReport:
    """Look at every trial of a study over a window of rows; each is registered.

    Parameters
    ----------
    role, fold : str, int
        What the registry notes the trials as, and what tells those of one search from another's.
    resume : bool
        Take what is registered of this search for done; the sampler hears of it as if it had run.
    deadline : float, optional
        On :func:`time.monotonic`: no batch begins after it.
    on_batch : callable, optional
        Gets (point, registry row) of each trial of a batch once the batch is registered or known.
    report : SearchReport, optional
        Filled as the search goes on, for who must know after an interrupt.

    Raises
    ------
    DolphinError
        Before anything runs: for constraints that cannot be kept, a window without features, a budget that
        is missing, changed data or engine under ``resume``. While it runs: if a trial differs from its single run.
    """
    base_market = evaluator.market(study.config)
    check_warm(study, base_market.features[window.start : window.stop])
    base = settled(study.config, base_market, [window])
    space = study.space.over(base)
    space.check_possible(study.name)
    kind = sampler_class(study.sampler)
    sampler = kind(space, study.seed, study.trials, len(study.objectives), study.options)
    size = _budget(study, sampler, deadline)
    report = report or SearchReport(size)
    report.size, report.bars = size, window.bars
    known = registered(registry, study, evaluator, role, fold) if resume else {}
    runner = BatchRunner(study, space, base, evaluator, registry, window, role, fold, report)
    began, trial = time.perf_counter(), 0
    try:
        while size is None or trial < size:
            left = None if size is None else size - trial
            replayed = _replayed(sampler, known, trial, left)
            if replayed:
                rows, points = replayed, [point_of(row, space) for row in replayed]
                sampler.replay(points, runner.scores(rows))
            else:
                if deadline is not None and time.monotonic() >= deadline:
                    report.stopped = "timeout"
                    break
                points = sampler.ask()[:left]
                if not points:
                    break
                rows = runner.run(trial, points, known, sampler, progress)
                if left is None or len(points) < left:
                    sampler.tell(runner.scores(rows))
            for row in rows:
                report.counts[row["state"]] = report.counts.get(row["state"], 0) + 1
            if on_batch:
                on_batch(list(zip(points, rows, strict=True)))
            trial += len(rows)
            report.known = sum(1 for number in known if number < trial)
            if progress:
                progress(trial, size or trial, "trials")
    finally:
        report.seconds = time.perf_counter() - began
    return report


def _budget(study: Study, sampler: Sampler, deadline: float | None) -> int | None:
    """How many trials a search may run; None where only the time bounds it."""
    size = sampler.size if sampler.size is not None else study.trials
    if size is None and study.timeout is None and deadline is None:
        raise DolphinError(
            f"the {study.sampler} sampler needs a number of trials", where=study.name, mend="add trials = 1024"
        )
    if size is not None and size > MOST_TRIALS:
        raise DolphinError(f"{size} trials are more than the {MOST_TRIALS} of one study", mend="split it")
    return size


def _replayed(sampler: Sampler, known: Mapping[int, Row], first: int, left: int | None) -> list[Row]:
    """The rows of the next batch of a sampler that learns, where all of them are known; else none."""
    numbers = range(first, first + _length(sampler, left)) if sampler.LEARNS else range(0)
    return [known[number] for number in numbers] if all(number in known for number in numbers) else []


def registered(
    registry: Registry, study: Study, evaluator: Evaluator, role: str = "search", fold: int | None = None
) -> dict[int, Row]:
    """Finished trials of this search by number; refuses if data or engine changed since it began."""
    mine = (pl.col("study_hash") == study.hash) & (pl.col("role").fill_null("search") == role)
    mine &= pl.col("fold").is_null() if fold is None else pl.col("fold") == fold
    frame = registry.trials().filter(mine).collect()
    engine = study.config.engine.digest
    dataset = evaluator.dataset
    for column, now, what in (
        ("dataset_digest", dataset.digest, f"dataset '{study.dataset}'"),
        ("engine_digest", engine, "engine"),
    ):
        if frame.height and frame[column][-1] != now:
            raise DolphinError(
                f"the {what} has changed since this study began",
                where=study.name,
                mend="start a new study of it with --fork, or run it without --resume to start anew",
            )
    same = (pl.col("dataset_digest") == dataset.digest) & (pl.col("engine_digest") == engine)
    frame = frame.filter(same & pl.col("state").is_in(FINISHED)).unique("trial", keep="last")
    return {row["trial"]: row for row in frame.iter_rows(named=True)}


def point_of(row: Row, space: Space) -> Point:
    """The proposal that a registered trial was made from."""
    document = json.loads(row["config"])
    if row["state"] == "invalid":  # refused: its values as they were set
        values = document
    else:
        values = {**document["account"], **document["friction"], **document["params"]}
    return space.of_values({name: from_json_value(value) for name, value in values.items()})


def check_warm(study: Study, features: Floats) -> None:
    """Refuse a window in which a feature never has a value: it is all warm-up."""
    for name, column in zip(study.config.strategy.columns, features.T, strict=True):
        if np.isnan(column).all():
            raise DolphinError(
                f"feature '{name}' has no value on any of the {len(column):,} bars: fewer bars than its warm-up",
                where=study.name,
                mend="take a longer or later window",
            )


def _length(sampler: Sampler, left: int | None) -> int:
    """Points of the sampler's next batch if it has always as many and the budget allows them all, else 0."""
    counts = [sampler.options[key] for key in ("population", "batch") if key in sampler.options]
    return counts[0] if counts and (left is None or counts[0] <= left) else 0
