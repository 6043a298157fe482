"""A study as a real Optuna study: recorded in whole batches, so that storage is not the bottleneck.

The registry is the truth; the storage is brought up to date from it and never holds a trial twice.
"""

from __future__ import annotations

import datetime
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import (
    BaseJournalBackend,
    JournalFileBackend,
    JournalFileSymlinkLock,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dolphin.catalog.store.layout import writing
from dolphin.errors import DolphinError
from dolphin.study.definition.spec import Study
from dolphin.study.space.optuna_space import distributions
from dolphin.study.space.space import Point, Space
from dolphin.study.trials.choice import MEASURED, choice_of

#: Registry columns that are shown with a trial, besides its number and the hash of its configuration.
SHOWN = ("trades", "roi", "max_drawdown", "sharpe_365", "profit_factor", "win_rate")

#: Bytes from a journal's end in which its last whole record is sure to be.
_TAIL = 1 << 20

_STATES = {
    "done": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "invalid": TrialState.FAIL,
}


class BatchJournal(BaseJournalBackend):
    """Optuna's journal file, to which a batch is appended by one locked and synced write.

    Optuna's own backend locks, appends and syncs for every trial: 4 ms each.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, JournalFileBackend(str(path))
        self._held: list[dict[str, Any]] | None = None
        self._written = 0

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The file's records from that number on, then those of the batch under way."""
        if self._held is None:
            return self._file.read_logs(log_number_from)
        # Nobody else writes while a batch is held.
        if log_number_from >= self._written:
            return self._held[log_number_from - self._written :]
        return [*self._file.read_logs(log_number_from), *self._held]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, at once or with the batch under way."""
        if self._held is None:
            self._file.append_logs(logs)
        else:
            self._held += logs

    @contextmanager
    def batch(self, storage: JournalStorage) -> Iterator[None]:
        """What is appended in the block is written at its end; all of it, or nothing if the block fails."""
        lock = JournalFileSymlinkLock(str(self._path))
        lock.acquire()
        try:
            storage.get_all_studies()  # reads what others wrote before the lock was ours
            self._written = storage._replay_result.log_number_read
            self._held = []
            yield
            text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in self._held)
            with self._path.open("ab") as stream:
                stream.write(text.encode())
                stream.flush()
                os.fsync(stream.fileno())
        finally:
            self._held = None
            lock.release()


def cut_torn_tail(path: Path) -> None:
    """Cut what a killed writer left unfinished at a journal's end: a line without its end, or one that is no record.

    What is lost is written again from the registry.
    """
    try:
        stream = path.open("r+b")
    except FileNotFoundError:
        return
    with stream:
        size = stream.seek(0, os.SEEK_END)
        start = max(0, size - _TAIL)
        stream.seek(start)
        tail = stream.read()
        whole = tail[: tail.rfind(b"\n") + 1]
        while whole and not _is_record(whole[whole.rfind(b"\n", 0, -1) + 1 :]):
            whole = whole[: whole.rfind(b"\n", 0, -1) + 1]
        if len(whole) < len(tail) and (whole or start == 0):
            stream.truncate(start + len(whole))
            os.fsync(stream.fileno())


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _trials_of(known: Any, storage: optuna.storages.BaseStorage) -> int:
    return storage.get_n_trials(known._study_id)


class OptunaRecord:
    """The Optuna study of a sweep; made when the first trials come.

    Parameters
    ----------
    study : Study
    space : Space
    folder : Path
        Of the study, where the journal lies.
    fresh : bool
        Begin again: what an earlier sweep of this study recorded is replaced.
    """

    def __init__(self, study: Study, space: Space, folder: Path, *, fresh: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study, self._folder, self._fresh = study, folder, fresh
        self._distributions, self._choice = distributions(space), choice_of(study)
        self._optuna: optuna.Study | None = None
        self._backend: BatchJournal | None = None
        self._known: set[int] = set()
        self._hash: str | None = None
        self._torn = False
        self._storage: optuna.storages.BaseStorage | None = None
        try:
            self.connect()
        except BaseException:
            self.close()
            raise

    def connect(self) -> None:
        """Open the storage; nothing is changed.

        Raises
        ------
        DolphinError
            If it cannot be used, or has a study of this name that is not ours.
        """
        with self._explained():
            if self._study.storage == "journal":
                self._folder.mkdir(parents=True, exist_ok=True)
                cut_torn_tail(self._folder / "optuna.journal")
                self._backend = BatchJournal(self._folder / "optuna.journal")
                self._storage = JournalStorage(self._backend)
            else:
                self._storage = optuna.storages.RDBStorage(self._study.storage)
            storage = self._storage
            for known in storage.get_all_studies():
                if known.study_name == self._study.name:
                    self._hash = known.user_attrs.get("study_hash")
                    # Without a hash and a trial, in our own journal: a kill tore its beginning.
                    self._torn = self._hash is None and self._backend is not None and not _trials_of(known, storage)
                    if self._hash is None and not self._torn:
                        raise DolphinError(
                            f"the Optuna storage has another study '{known.study_name}'",
                            where=self._study.storage,
                            mend="rename the study file",
                        )

    def add(self, batch: Iterable[tuple[Point, dict[str, Any]]]) -> int:
        """Record (point, registry row) pairs that are not there yet; how many were new."""
        with warnings.catch_warnings(), self._explained():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = self._optuna = self._optuna or self._begin()
            new = [(point, row) for point, row in batch if row["trial"] not in self._known]
            trials = [self._trial(point, row) for point, row in new]
            if self._backend is not None:
                assert isinstance(self._storage, JournalStorage)
                with self._backend.batch(self._storage):
                    study.add_trials(trials)
            else:
                study.add_trials(trials)
        self._known |= {row["trial"] for _, row in new}
        return len(new)

    def close(self) -> None:
        """Let go of the storage's connections."""
        if isinstance(self._storage, optuna.storages.RDBStorage):
            self._storage.remove_session()
            self._storage.engine.dispose()

    def _begin(self) -> optuna.Study:
        """The study of the storage, made where it is not there yet."""
        assert self._storage is not None
        name = self._study.name
        if self._torn or (self._hash is not None and (self._fresh or self._hash != self._study.hash)):
            optuna.delete_study(study_name=name, storage=self._storage)
        ways = [StudyDirection[way.upper()] for way in self._study.directions]
        study = optuna.create_study(
            study_name=name,
            storage=self._storage,
            directions=ways,
            load_if_exists=True,
        )
        if "study_hash" not in study.user_attrs:
            study.set_metric_names(list(self._study.objectives))
            for key, value in (
                ("dataset", self._study.dataset),
                ("sampler", self._study.sampler),
                ("study_hash", self._study.hash),  # last: what has it is whole
            ):
                study.set_user_attr(key, value)
        self._known = {t.user_attrs["trial"] for t in study.get_trials(deepcopy=False) if "trial" in t.user_attrs}
        return study

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What storages raise, in one line."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with writing(self._folder / "optuna.journal"):
                yield
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError) as error:
            reason = str(error).strip().splitlines()[0]
            raise DolphinError(
                f"the Optuna storage cannot be used ({reason})",
                where=self._study.storage,
                mend="what is registered is kept; go on with --resume, or with --storage none",
            ) from None
        except ValueError as error:
            if self._backend is None or isinstance(error, DolphinError):
                raise
            raise DolphinError(
                f"the Optuna journal is damaged ({error})",
                where=str(self._folder / "optuna.journal"),
                mend="remove it: --resume writes it again from the registry",
            ) from None

    def _trial(self, point: Point, row: dict[str, Any]) -> FrozenTrial:
        state = _STATES[row["state"]]
        attributes = {"trial": row["trial"], "config_hash": row["config_hash"]}
        values, steps, system = None, {}, {}
        if row["state"] == "invalid":
            attributes["note"] = row["note"]
        else:
            attributes |= {name: _finite(row[name]) for name in SHOWN}
            # Above 0 a constraint is broken: Optuna's best trial is then the study's too.
            counts = not np.isnan(self._choice.scores_of([row], MEASURED)[0, 0])
            system = {"constraints": [0.0 if counts else 1.0]}
            scores = [row[name] for name in self._study.objectives]
            if any(_finite(score) is None for score in scores):
                state, attributes["note"] = TrialState.FAIL, "the objective has no finite value"
            else:
                values = [float(score) for score in scores] if state == TrialState.COMPLETE else None
                if self._study.sampler == "halving":
                    steps = {int(row["bars"]): float(scores[0])}
                    values = values or scores
        when = datetime.datetime.fromtimestamp(row["time_ns"] / 1e9)
        return FrozenTrial(
            number=-1,
            trial_id=-1,
            state=state,
            value=None,
            values=values,
            datetime_start=when,
            datetime_complete=when,
            params=point,
            distributions={name: self._distributions[name] for name in point},
            user_attrs=attributes,
            system_attrs=system,
            intermediate_values=steps,
        )


def _finite(value: Any) -> float | int | None:
    """A number that a JSON file can hold."""
    return value if value is not None and abs(value) < float("inf") else None
