"""The loop of a search: the sampler proposes, the evaluator measures, the registry keeps, the sampler hears."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog import Dataset
from dolphin.config import Config, Variants, settled
from dolphin.core.records import Floats
from dolphin.errors import BadInput, DolphinError
from dolphin.files import canonical_json, from_json_value
from dolphin.progress import Progress
from dolphin.study.definition.spec import Study
from dolphin.study.measure.evaluator import Batch, Evaluator
from dolphin.study.measure.spans import Span
from dolphin.study.samplers import Sampler, sampler_class
from dolphin.study.samplers.grid import MOST_TRIALS
from dolphin.study.samplers.halving import Halving
from dolphin.study.space.space import Point, Space
from dolphin.study.trials.choice import MEASURED, choice_of
from dolphin.study.trials.registry import Registry, stopped, trial_frame, trial_measures

#: Trials of each batch that are run again alone and compared bit for bit, and of a whole search.
CHECKS, MOST_CHECKS = 3, 16

#: States of a trial that will not be run again.
FINISHED = ("done", "invalid", "pruned")

Row = dict[str, Any]
OnBatch = Callable[[list[tuple[Point, Row]]], None]


@dataclass
class SearchReport:
    """What a search did.

    ``stopped`` says why it ended before its budget: ``timeout``, or nothing. ``size`` is the number of trials
    that the budget allows, None if only the time bounds it.
    """

    size: int | None
    ran: int = 0
    known: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    checked: list[int] = field(default_factory=list)
    bars: int = 0
    seconds: float = 0.0
    stopped: str | None = None


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
    loop = _Loop(study, space, base, evaluator, registry, window, role, fold, report)
    began, trial = time.perf_counter(), 0
    try:
        while size is None or trial < size:
            left = None if size is None else size - trial
            replayed = _replayed(sampler, known, trial, left)
            if replayed:
                rows, points = replayed, [point_of(row, space) for row in replayed]
                sampler.replay(points, loop.scores(rows))
            else:
                if deadline is not None and time.monotonic() >= deadline:
                    report.stopped = "timeout"
                    break
                points = sampler.ask()[:left]
                if not points:
                    break
                rows = loop.run(trial, points, known, sampler, progress)
                if left is None or len(points) < left:
                    sampler.tell(loop.scores(rows))
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


class _Loop:
    """What does not change from batch to batch."""

    def __init__(
        self,
        study: Study,
        space: Space,
        base: Config,
        evaluator: Evaluator,
        registry: Registry,
        window: Span,
        role: str,
        fold: int | None,
        report: SearchReport,
    ) -> None:
        self.study, self.space, self.evaluator, self.registry = study, space, evaluator, registry
        self.window, self.report, self.variants = window, report, Variants(base)
        self.reasons = base.strategy.reasons
        self.choice = choice_of(study)
        first_ts, last_ts = window.closes(evaluator.ts)
        about = {"first_ts": first_ts, "last_ts": last_ts, "role": role, "fold": fold}
        self.common = study_columns(study, evaluator.dataset) | about

    def run(
        self, first: int, points: list[Point], known: dict[int, Row], sampler: Sampler, progress: Progress | None
    ) -> list[Row]:
        """Rows of a batch: those that are known, and the others run and registered."""
        todo = [(first + k, point) for k, point in enumerate(points) if first + k not in known]
        if todo:
            rows, configs = self._build(todo)
            picks = self._picks(todo[0][0], list(configs))
            try:
                if configs:
                    self._measure(rows, configs, picks, sampler, progress)
            except BaseException as error:
                self.registry.append(trial_frame([_stopped(row, error) for row in rows.values()]))
                raise
            self.registry.append(trial_frame(list(rows.values())))
            self.report.ran += len(todo)
            self.report.checked += picks
        return [known[first + k] if first + k in known else rows[first + k] for k in range(len(points))]

    def scores(self, rows: list[Row]) -> Floats:
        """(n, K) float64: larger is better; nan for what cannot be the best."""
        return self.choice.scores_of(rows, MEASURED)

    def _build(self, todo: list[tuple[int, Point]]) -> tuple[dict[int, Row], dict[int, Config]]:
        """Registry rows, and the configs of those that the constraints and the strategy accept."""
        rows: dict[int, Row] = {}
        configs: dict[int, Config] = {}
        now = time.time_ns()
        for trial, point in todo:
            row: Row = {"time_ns": now, "trial": trial, "state": "done", "note": None, **self.common}
            values, broken = self.space.complete(point)
            try:
                if broken is not None:
                    raise BadInput(broken)
                variant = self.variants.of(values)
            except BadInput as error:
                row |= {"state": "invalid", "note": str(error), "config_hash": None}
                row["config"] = canonical_json(values).decode()
            else:
                row |= {"config_hash": variant.hash, "config": variant.text}
                configs[trial] = variant.config
            rows[trial] = row
        return rows, configs

    def _picks(self, first: int, trials: list[int]) -> list[int]:
        """Trials of the batch that begins with ``first`` to run again alone; the study's hash is the seed."""
        rng = np.random.default_rng([int(self.study.hash[:16], 16), first])
        count = max(0, min(CHECKS, MOST_CHECKS - len(self.report.checked), len(trials)))
        return [trials[k] for k in rng.choice(len(trials), count, replace=False)] if count else []

    def _measure(
        self,
        rows: dict[int, Row],
        configs: dict[int, Config],
        picks: list[int],
        sampler: Sampler,
        progress: Progress | None,
    ) -> None:
        """Put the measures into the rows; with rungs, of the last part of the window that a trial was run on."""
        start, stop = self.window
        done = 0

        def on_done(count: int) -> None:
            nonlocal done
            done += count
            if progress and size:
                progress(first + min(done, len(configs)), size, "trials")

        first, size = min(rows), self.report.size
        alive = list(configs)
        for k, share in enumerate((*sampler.rungs, 1.0)):
            upto = stop if share == 1.0 else start + max(1, int((stop - start) * share))
            checks = tuple(place for place, trial in enumerate(alive) if trial in picks)
            batch = Batch([configs[trial] for trial in alive], (Span(start, upto),), checks=checks, trials=alive)
            measures = self.evaluator.evaluate(batch, on_done).span(0)
            for trial, found in zip(alive, trial_measures(measures, self.reasons), strict=True):
                rows[trial].update(found)
                if share < 1.0:
                    rows[trial]["last_ts"] = int(self.evaluator.ts[upto - 1])
            if share == 1.0:
                for trial in alive:
                    rows[trial] |= {"last_ts": self.common["last_ts"], "state": "done", "note": None}
                return
            assert isinstance(sampler, Halving)
            going = {alive[place] for place in sampler.keep(self.scores([rows[trial] for trial in alive]))}
            for trial in alive:
                if trial not in going:
                    note = f"left behind on rung {k + 1} of {len(sampler.rungs) + 1}, after {upto - start} bars"
                    rows[trial] |= {"state": "pruned", "note": note}
            alive = [trial for trial in alive if trial in going]


def study_columns(study: Study, dataset: Dataset) -> Row:
    """The columns of the registry that are the same for every trial of a study on a dataset."""
    return {
        "study": study.name,
        "study_hash": study.hash,
        "dataset": dataset.name,
        "dataset_digest": dataset.digest,
        "engine_digest": study.config.engine.digest,
        "sampler": study.sampler,
        "seed": study.seed,
    }


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


def _stopped(row: Row, error: BaseException) -> Row:
    """The row of a trial whose batch came to no end."""
    if row["state"] == "invalid":
        return row
    measured = ("exits", "daily_returns")
    from dolphin.study.measure.metrics import ALL_METRICS

    kept = {name: value for name, value in row.items() if name not in ALL_METRICS and name not in measured}
    return kept | stopped(error)
