"""A study from its file to its best configuration: search, validation, and what they leave behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog import Dataset, open_dataset
from dolphin.errors import DolphinError
from dolphin.files import json_bytes
from dolphin.locks import hold
from dolphin.manifests import write_listed
from dolphin.progress import Progress
from dolphin.study.definition.spec import OBJECTIVES, Study, read_study
from dolphin.study.measure.evaluator import Evaluator, LocalEvaluator
from dolphin.study.measure.run import window_rows
from dolphin.study.measure.spans import Span
from dolphin.study.search.batch_runner import Row, SearchReport
from dolphin.study.search.search import search
from dolphin.study.search.study_document import BEST, study_document
from dolphin.study.space.space import Point
from dolphin.study.trials.best import best_trials, write_best
from dolphin.study.trials.holdouts import Holdouts, enter
from dolphin.study.trials.markets import remember
from dolphin.study.trials.registry import Registry
from dolphin.study.validation.documents import ValidationDocument
from dolphin.times import format_time
from dolphin.workspace import Workspace

__all__ = ["OBJECTIVES", "Study", "SweepReport", "best_trials", "read_study", "sweep", "write_best"]

#: Seconds between two writes to the Optuna storage while a search goes on.
RECORD_EVERY = 5.0


@dataclass(frozen=True)
class SweepReport:
    """What a sweep did, and its best trials (rows of the registry, best first).

    With several objectives ``best`` is the Pareto front. ``checked`` are the trials that were run again alone,
    ``stopped`` says why it ended early (``timeout``), ``validation`` is the document of ``validation.json``.
    """

    study: Study
    planned: int
    ran: int
    known: int
    invalid: int
    bars: int
    seconds: float
    best: pl.DataFrame
    pruned: int = 0
    checked: tuple[int, ...] = ()
    stopped: str | None = None
    best_config: Path | None = None
    validation: ValidationDocument | None = field(default=None, repr=False)

    @property
    def rate(self) -> float:
        """Trials per second; 0 where nothing ran."""
        return self.ran / self.seconds if self.seconds else 0.0


def sweep(
    workspace: Workspace,
    study: Study,
    *,
    resume: bool = False,
    fork: bool = False,
    threads: int | None = None,
    cluster: str | None = None,
    open_holdout: str | None = None,
    progress: Progress | None = None,
) -> SweepReport:
    """Run every trial of a study that is not registered yet (all of them without ``resume``).

    An interrupt keeps all finished batches; running again with ``resume`` goes on after them, and finds what
    an undisturbed sweep would have found.

    Parameters
    ----------
    fork : bool
        Begin a new study of the same file, ``name-2`` and so on; with ``resume`` go on with the newest one.
    cluster : str, optional
        Where to run (:func:`dolphin.study.measure.cluster.open_evaluator`).
    open_holdout : str, optional
        Open a sealed holdout of another study among the bars, for this reason; without it such bars are refused.

    Raises
    ------
    DolphinError
        For what cannot be run, before anything is; if another process runs this study.
    """
    if fork:
        study = forked(workspace, study, newest=resume)
    dataset = open_dataset(workspace, study.dataset)
    registry = Registry(workspace)
    with _evaluator(dataset, threads, cluster, progress) as evaluator:
        study = outside_holdout(workspace, study, evaluator)
        window = window_rows(evaluator.ts, study.start_ns, study.stop_ns, study.name)
        closes = window.closes(evaluator.ts)
        enter(workspace, dataset, *closes, config_hash=study.config.hash, family=study.hash, reason=open_holdout)
        remember(workspace, dataset)
        with alone(workspace.experiments / study.name, study.name):
            return _sweep(workspace, study, evaluator, registry, window, resume, progress)


def outside_holdout(workspace: Workspace, study: Study, evaluator: Evaluator) -> Study:
    """The study with its holdout declared, on the window before it.

    Raises
    ------
    DolphinError
        If the study's own window reaches into it.
    """
    if study.holdout is None:
        return study
    ts, dataset = evaluator.ts, evaluator.dataset
    first, stop = study.holdout.rows(ts, dataset.spacing_ns, study.name)
    if study.stop_ns is None and (study.start_ns is None or study.start_ns <= ts[first]):
        study = replace(study, stop_ns=int(ts[first]))
    begin, end = window_rows(ts, study.start_ns, study.stop_ns, study.name)
    if begin < stop and first < end:
        raise DolphinError(
            f"the window reaches into the [holdout] from {format_time(ts[first])} to {format_time(ts[stop - 1])}",
            where=study.name,
            mend="end it before, with to = ...",
        )
    Holdouts(workspace).declare(dataset, int(ts[first]), int(ts[stop - 1]), study.name, study.hash)
    return study


def _sweep(
    workspace: Workspace,
    study: Study,
    evaluator: Evaluator,
    registry: Registry,
    window: Span,
    resume: bool,
    progress: Progress | None,
) -> SweepReport:
    began = time.perf_counter()
    _check_validation(study, evaluator)
    deadline = None if study.timeout is None else time.monotonic() + study.timeout
    report = SearchReport(study.trials)
    record = _Recorder(study, workspace, fresh=not resume)
    if "://" in study.storage:
        record.open()  # what cannot be reached is said before the work

    def leave(state: str, validation: ValidationDocument | None = None) -> pl.DataFrame:
        record.flush()
        best = best_trials(registry, study, evaluator.dataset.digest, None if len(study.objectives) > 1 else BEST)
        document = study_document(
            study, evaluator, window, report, best,
            state=state, validated=validation is not None, optuna_seconds=record.seconds,
        )  # fmt: skip
        write_listed(workspace.experiments / study.name, {"study.json": json_bytes(document)})
        return best

    try:
        try:
            search(
                study, evaluator, registry, window,
                resume=resume, deadline=deadline, progress=progress, on_batch=record.add, report=report,
            )  # fmt: skip
        except KeyboardInterrupt:
            if report.counts:
                leave("interrupted")
            raise
        best = leave(report.stopped or "finished")
        path = write_best(workspace, study, best)
        validation = None
        if study.validation is not None and report.stopped is None:
            from dolphin.study.validation.validation import validate

            # What is bounded by time alone has the candidates that there was time for.
            counted = study if report.size is not None else replace(study, trials=sum(report.counts.values()))
            validation = validate(workspace, counted, evaluator, registry, resume=resume, progress=progress).document
            leave("finished", validation)
    finally:
        record.close()
    return _sweep_report(study, report, time.perf_counter() - began, best, path, validation)


def _check_validation(study: Study, evaluator: Evaluator) -> None:
    """What cannot be validated is said before the search, where the number of trials is known, not after it."""
    if study.validation is not None and (study.trials is not None or study.sampler == "grid"):
        from dolphin.study.validation.validation import plan_folds

        plan_folds(study, evaluator)


def _sweep_report(
    study: Study,
    report: SearchReport,
    seconds: float,
    best: pl.DataFrame,
    best_config: Path | None,
    validation: ValidationDocument | None,
) -> SweepReport:
    """What a sweep did, of what its search did."""
    return SweepReport(
        study=study,
        planned=report.size if report.size is not None else sum(report.counts.values()),
        ran=report.ran,
        known=report.known,
        invalid=report.counts.get("invalid", 0),
        pruned=report.counts.get("pruned", 0),
        bars=report.bars,
        seconds=seconds,
        best=best,
        checked=tuple(report.checked),
        stopped=report.stopped,
        best_config=best_config,
        validation=validation,
    )


def forked(workspace: Workspace, study: Study, *, newest: bool) -> Study:
    """A new study of the same file, or with ``newest`` the one that was begun last."""
    names = set(Registry(workspace).trials().select(pl.col("study").unique()).collect()["study"].to_list())
    number = 2
    while f"{study.name}-{number}" in names or (workspace.experiments / f"{study.name}-{number}").exists():
        number += 1
    if newest and number == 2:
        raise DolphinError("there is no fork of this study to go on with", where=study.name, mend="leave --resume out")
    return study.fork(number - 1 if newest else number)


@contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Hold the study: no other process can run it meanwhile."""
    new, lock = not folder.exists(), folder / ".lock"
    mend = "wait for it, or start a new one with --fork"
    with hold(lock, busy="another process is running this study", where=name, mend=mend):
        try:
            yield
        finally:
            if new and [path.name for path in folder.iterdir()] == [lock.name]:
                lock.unlink()  # nothing came of it
                folder.rmdir()


class _Recorder:
    """Hands finished trials to the Optuna storage, not more often than every few seconds."""

    def __init__(self, study: Study, workspace: Workspace, *, fresh: bool) -> None:
        self._waiting: list[tuple[Point, Row]] = []
        self._last, self.seconds = time.monotonic(), 0.0
        self._record: Any = None
        self._make = (study, study.space, workspace.experiments / study.name)
        self._fresh, self._off = fresh, study.storage == "none"

    def open(self) -> None:
        from dolphin.study.search.optuna_storage import OptunaRecord

        self._record = self._record or OptunaRecord(*self._make, fresh=self._fresh)

    def close(self) -> None:
        if self._record is not None:
            self._record.close()

    def add(self, batch: list[tuple[Point, Row]]) -> None:
        if self._off:
            return
        self._waiting += batch
        if time.monotonic() - self._last > RECORD_EVERY:
            self.flush()

    def flush(self) -> None:
        if self._off or not self._waiting:
            return
        began = time.perf_counter()
        self.open()
        self._record.add(self._waiting)
        self._waiting, self._last = [], time.monotonic()
        self.seconds += time.perf_counter() - began


def _evaluator(dataset: Dataset, threads: int | None, cluster: str | None, progress: Progress | None) -> Evaluator:
    if cluster is None:
        return LocalEvaluator(dataset, threads=threads, progress=progress)
    from dolphin.study.measure.cluster import open_evaluator

    return open_evaluator(cluster, dataset, threads=threads, progress=progress)
