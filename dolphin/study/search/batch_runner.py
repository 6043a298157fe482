"""The trials of a search, batch by batch: built, measured, some of them run again alone, registered."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dolphin.catalog import Dataset
from dolphin.config import Config, Variants
from dolphin.core.records import Floats
from dolphin.errors import BadInput
from dolphin.files import canonical_json
from dolphin.progress import Progress
from dolphin.study.definition.spec import Study
from dolphin.study.measure.evaluator import Batch, Evaluator
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.measure.spans import Span
from dolphin.study.samplers import Sampler
from dolphin.study.samplers.halving import Halving
from dolphin.study.space.space import Point, Space
from dolphin.study.trials.choice import MEASURED, choice_of
from dolphin.study.trials.registry import Registry, stopped, trial_frame, trial_measures

#: Trials of each batch that are run again alone and compared bit for bit, and of a whole search.
CHECKS, MOST_CHECKS = 3, 16

#: A row of the registry.
Row = dict[str, Any]


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


class BatchRunner:
    """Runs and registers the batches of one search; it holds what does not change from batch to batch."""

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


def _stopped(row: Row, error: BaseException) -> Row:
    """The row of a trial whose batch came to no end."""
    if row["state"] == "invalid":
        return row
    measured = ("exits", "daily_returns")
    kept = {name: value for name, value in row.items() if name not in ALL_METRICS and name not in measured}
    return kept | stopped(error)
