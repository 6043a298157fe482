"""Runs of candidates for a validation, over stretches of bars: each registered as a look, none made twice."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from dolphin.config import Config
from dolphin.progress import Progress
from dolphin.study.measure.evaluator import Batch, Evaluator
from dolphin.study.measure.measured import Measures
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.measure.spans import Span
from dolphin.study.search.batch_runner import study_columns
from dolphin.study.trials.registry import Registry, stopped, trial_frame, trial_measures

if TYPE_CHECKING:
    from dolphin.study.definition.spec import Study

#: Candidates that are run and registered together; at most so many are lost when the process dies.
BATCH = 1024


class Candidate(NamedTuple):
    """A configuration to choose from: the number of its trial, its canonical JSON and its hash."""

    trial: int
    config: Config
    text: str
    hash: str


class CandidateRuns:
    """Runs candidates over stretches of bars, each a fresh run from a flat account, and registers them.

    Parameters
    ----------
    resume : bool
        Take what the registry knows of this study on this data by this engine instead of running it again.
    """

    def __init__(
        self,
        study: Study,
        evaluator: Evaluator,
        registry: Registry,
        *,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._study, self._evaluator, self._registry, self._progress = study, evaluator, registry, progress
        self._reasons = study.config.strategy.reasons
        self._made: dict[tuple[Span, str], Measures] = {}
        self._common = study_columns(study, evaluator.dataset)
        self._known = self._registered() if resume else None

    def search(self, candidates: Sequence[Candidate], span: Span, fold: int) -> Measures:
        """Measures of all candidates over one stretch; the same ones are run over it only once."""
        # What percentiles became is part of every hash, so that the first tells whose candidates they are.
        key = span, candidates[0].hash
        if key not in self._made:
            self._made[key] = self._measures_on(candidates, span, fold, "search")
        return self._made[key]

    def test(self, chosen: Candidate, span: Span, fold: int) -> Measures:
        """Measures of the chosen one, run alone as a single backtest does it: one look."""
        return self._measures_on([chosen], span, fold, "test")

    def rerun(self, chosen: Candidate, span: Span) -> Measures:
        """What is known of the chosen one already, for its daily returns; not a new look."""
        return self._evaluator.evaluate(Batch((chosen.config,), (span,), checks=(0,))).span(0)

    def _measures_on(self, candidates: Sequence[Candidate], span: Span, fold: int, role: str) -> Measures:
        known = self._known_on(span, role)
        todo = [k for k, candidate in enumerate(candidates) if candidate.hash not in known]
        parts: list[tuple[list[int], Measures]] = []
        if len(todo) < len(candidates):
            places = [k for k, candidate in enumerate(candidates) if candidate.hash in known]
            parts.append((places, self._measures([known[candidates[k].hash] for k in places])))
        for low in range(0, len(todo), BATCH):
            batch = todo[low : low + BATCH]
            parts.append((batch, self._run([candidates[k] for k in batch], span, fold, role)))
            if self._progress and role == "search":
                self._progress(min(low + BATCH, len(todo)), len(todo), f"fold {fold}")
        return _joined(parts, len(candidates))

    def _run(self, batch: list[Candidate], span: Span, fold: int, role: str) -> Measures:
        first_ts, last_ts = span.closes(self._evaluator.ts)
        common = self._common | {
            "first_ts": first_ts, "last_ts": last_ts, "role": role, "fold": fold, "time_ns": time.time_ns(),
        }  # fmt: skip
        rows = [{"trial": c.trial, "config_hash": c.hash, "config": c.text} | common for c in batch]
        # One of every batch, the same in every run of the study, is run alone and compared.
        check = int(np.random.default_rng([int(self._study.hash[:16], 16), *span]).integers(len(batch)))
        try:
            found = self._evaluator.evaluate(Batch([c.config for c in batch], (span,), checks=(check,))).span(0)
        except BaseException as error:
            self._registry.append(trial_frame([row | stopped(error) for row in rows]))
            raise
        measures = trial_measures(found, self._reasons)
        self._registry.append(trial_frame([row | {"state": "done"} | m for row, m in zip(rows, measures, strict=True)]))
        return found

    def _registered(self) -> dict[tuple[int, int], pl.DataFrame]:
        mine = [pl.col(name) == self._common[name] for name in ("study_hash", "dataset_digest", "engine_digest")]
        columns = ["first_ts", "last_ts", "role", "config_hash", "exits", "daily_returns", *ALL_METRICS]
        trials = self._registry.trials().filter(*mine, pl.col("state") == "done", pl.col("fold").is_not_null())
        frame = trials.select(columns).collect()
        parts = frame.partition_by(["first_ts", "last_ts"], as_dict=True)
        return {(int(key[0]), int(key[1])): part for key, part in parts.items()}

    def _known_on(self, span: Span, role: str) -> dict[str, dict[str, Any]]:
        if self._known is None:
            return {}
        frame = self._known.get(span.closes(self._evaluator.ts))
        if frame is None:
            return {}
        return {row["config_hash"]: row for row in frame.filter(pl.col("role") == role).iter_rows(named=True)}

    def _measures(self, rows: list[dict[str, Any]]) -> Measures:
        metrics = {name: np.array([row[name] for row in rows]) for name in ALL_METRICS}
        exits = np.zeros((len(rows), len(self._reasons)), np.int64)
        for k, row in enumerate(rows):
            counts = json.loads(row["exits"])
            exits[k] = [counts.get(name, 0) for name in self._reasons]
        return Measures(metrics, np.array([row["daily_returns"] for row in rows], np.float64), exits)


def _joined(parts: Sequence[tuple[list[int], Measures]], count: int) -> Measures:
    """Parts (places, measures) as the measures of all ``count`` candidates."""
    first = parts[0][1]
    metrics = {name: np.empty(count, values.dtype) for name, values in first.metrics.items()}
    daily = np.empty((count, first.daily_returns.shape[1]))
    exits = np.empty((count, first.exits.shape[1]), np.int64)
    for places, part in parts:
        for name, values in metrics.items():
            values[places] = part.metrics[name]
        daily[places], exits[places] = part.daily_returns, part.exits
    return Measures(metrics, daily, exits)
