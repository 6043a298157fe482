"""The same batches on many processes or machines, by Dask distributed.

The client cuts a batch into chunks of about a second, keeps every worker thread supplied with a few, and puts
what comes back where it belongs by the chunk's number. A worker that dies has its chunks run again elsewhere;
the client alone registers, after the batch is whole. So neither deaths nor the order of arrival show in a result.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import queue
import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from types import TracebackType
from typing import Any, NamedTuple, Self

import dask
import numpy as np
from distributed import Client, Future, KilledWorker, LocalCluster

from dolphin.catalog import Dataset
from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.study.chunks import Answer, Packing, run_chunk
from dolphin.study.config import Config
from dolphin.study.evaluator import (
    Batch,
    Evaluator,
    LocalEvaluator,
    Progress,
    Results,
    assemble,
    by_features,
    check_spans,
)
from dolphin.study.measured import Measures, first_difference, run_alone

#: Seconds that a chunk should take, and what a combination costs per bar before anything was measured.
CHUNK_SECONDS, SECONDS_PER_BAR = 1.0, 1e-8

#: Chunks that wait or run per worker thread.
DEPTH = 3

#: Seconds to wait for a scheduler, and for the first or a new worker when there is none.
PATIENCE = 30.0

#: Workers that may die under one chunk before it is given up.
DEATHS = 3

#: A worker maps the whole dataset, which counts as its memory; the limit would kill it for that.
NO_LIMIT = 0

_LOCAL = re.compile(r"local(?::([1-9]\d{0,2}))?")
_ADDRESS = re.compile(r"(tcp|tls)://[^/\s]+:\d{1,5}")


def open_evaluator(
    url: str | None,
    dataset: Dataset,
    *,
    threads: int | None = None,
    patience: float = PATIENCE,
    progress: Progress | None = None,
) -> Evaluator:
    """The evaluator that a ``--cluster`` option means; close it after use (it is a context manager).

    Parameters
    ----------
    url : str or None
        None: the threads of this process. ``local:4``: four processes on this machine (``local``: one per core).
        ``tcp://host:port``: a scheduler that runs already.
    dataset : Dataset
        Scanned here first where it is not yet.
    threads : int, optional
        Of this process, if ``url`` is None.
    patience : float
        Seconds to wait for a scheduler, or for a worker when there is none.
    progress : callable, optional
        Hears of the scan.

    Raises
    ------
    DolphinError
        If the URL is none of these, or nobody answers.
    """
    if url is None:
        return LocalEvaluator(dataset, threads=threads, progress=progress)
    if not (local := _LOCAL.fullmatch(url)) and not _ADDRESS.fullmatch(url):
        raise DolphinError(f"'{url}' is no cluster", where="--cluster", mend="use local:4 or tcp://host:port")
    here = LocalEvaluator(dataset, threads=1, progress=progress)
    if not local:
        return ClusterEvaluator(here, connect(url, patience), patience=patience)
    cluster = start_local(int(local[1]) if local[1] else os.cpu_count() or 1)
    return ClusterEvaluator(here, connect(cluster, patience), cluster=cluster, patience=patience)


def start_local(processes: int) -> LocalCluster:
    """Worker processes of one thread each on this machine, reachable from it alone, without a dashboard."""
    with dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}):
        return LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=NO_LIMIT,
            silence_logs=logging.CRITICAL,  # a worker's death is told by what comes of it
        )


def connect(scheduler: str | LocalCluster, patience: float = PATIENCE) -> Client:
    """A client of a scheduler that runs."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        return Client(scheduler, timeout=patience, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DolphinError(
            f"no scheduler answers ({reason})", where=str(scheduler), mend="start one: dask scheduler"
        ) from None


class _Place(NamedTuple):
    """Where the answer of a chunk belongs: places of its combinations, its spans, and how many bars these have."""

    places: list[int]
    spans: tuple[int, ...]
    bars: int


class ClusterEvaluator:
    """Batches on the workers of a Dask cluster (:class:`~dolphin.study.evaluator.Evaluator`).

    Parameters
    ----------
    here : LocalEvaluator
        The data on this machine: checks are run here, alone, against what the workers found.
    client : distributed.Client
        Closed with the evaluator, and so is ``cluster`` if it is given.
    patience : float
        Seconds to wait while there is no worker.
    """

    def __init__(
        self,
        here: LocalEvaluator,
        client: Client,
        *,
        cluster: LocalCluster | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.dataset = here.dataset
        self._here, self._client, self._cluster, self._patience = here, client, cluster, patience
        self._seconds_per_bar = SECONDS_PER_BAR

    @property
    def ts(self) -> np.ndarray:
        """Close of the rows, (T,) int64 ns UTC."""
        return self._here.ts

    def market(self, config: Config) -> Market:
        """All rows with the features that this configuration reads, on this machine."""
        return self._here.market(config)

    def evaluate(self, batch: Batch, on_done: Callable[[int], None] | None = None) -> Results:
        """See :class:`~dolphin.study.evaluator.Evaluator`.

        Raises
        ------
        DolphinError
            Also if a worker runs other code or lacks the data, a chunk kills its workers, or there is no
            worker for too long.
        """
        check_spans(batch, self.ts)
        parts: list[tuple[int, list[int], Measures]] = []
        for place, answer in self._answers(batch):
            parts += [(s, place.places, found) for s, found in zip(place.spans, answer.parts, strict=True)]
            if on_done is not None:
                on_done(len(place.places) * len(place.spans))
        results = assemble(batch, parts)
        self._check(batch, results)
        return results

    def close(self) -> None:
        """Leave the cluster; stop it if it is our own."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answers(self, batch: Batch) -> Iterator[tuple[_Place, Answer]]:
        """Every chunk's answer once, as they come."""
        todo, arrived = self._chunks(batch), queue.SimpleQueue[Future]()
        flying: dict[str, tuple[Future, _Place]] = {}
        run, last_worker = uuid.uuid4().hex, time.monotonic()
        threads = self._threads()
        try:
            for number in itertools.count():
                while len(flying) < DEPTH * max(threads, 1) and (following := next(todo, None)):
                    place, chunk = following
                    key = f"dolphin-{run}-{len(flying)}-{number}-{uuid.uuid4().hex[:8]}"
                    future = self._client.submit(run_chunk, chunk, key=key, pure=False)
                    flying[key] = future, place
                    future.add_done_callback(arrived.put)
                if not flying:
                    return
                try:
                    future = arrived.get(timeout=1.0)
                except queue.Empty:
                    threads = self._threads()
                    if threads:
                        last_worker = time.monotonic()
                    elif time.monotonic() - last_worker > self._patience:
                        raise DolphinError(
                            f"no worker for {self._patience:.0f} s",
                            where=self._address,
                            mend=f"start one: dask worker {self._address} --memory-limit 0",
                        ) from None
                    continue
                last_worker = time.monotonic()
                future, place = flying[future.key]
                answer = self._result(future)
                del flying[future.key]
                bars = place.bars * len(place.places)
                self._seconds_per_bar += 0.3 * (answer.seconds / bars - self._seconds_per_bar)
                yield place, answer
        finally:
            if flying:
                self._client.cancel([future for future, _ in flying.values()], force=True)
