"""The same batches on many processes or machines, by Dask distributed.

The client cuts a batch into chunks of about a second, keeps every worker thread supplied with a few, and puts
what comes back where it belongs by the chunk's number. A worker that dies has its chunks run again elsewhere;
the client alone registers, after the batch is whole. So neither deaths nor the order of arrival show in a result.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import re
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from multiprocessing import resource_tracker
from types import TracebackType
from typing import NamedTuple, Self

import dask
from distributed import Client, Future, KilledWorker, LocalCluster

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import Ints, Market
from dolphin.errors import DolphinError
from dolphin.study.measure.chunks import Answer, Chunk, Packing, run_on_worker
from dolphin.study.measure.evaluator import (
    Batch,
    Evaluator,
    LocalEvaluator,
    Progress,
    Results,
    assemble,
    by_market,
    check_spans,
)
from dolphin.study.measure.measured import Measures, spot_check

#: Seconds that a chunk should take, and what a combination costs per bar before anything was measured.
CHUNK_SECONDS, SECONDS_PER_BAR = 1.0, 1e-8

#: The smallest chunk as a part of that, and the weight of a chunk's seconds in what the next are cut by.
SMALLEST, LEARN = 0.1, 0.3

#: Chunks that wait or run per worker thread.
DEPTH = 3

#: Seconds between two looks at whether there are workers, while no answer comes.
TICK = 1.0

#: Seconds after which an answer is asked for again: its worker may have died with it, and the scheduler tries to reach
#: a dead worker for as long as PATIENCE.
ASK_AGAIN = 3.0

#: Seconds to wait for a scheduler, and for the first or a new worker when there is none.
PATIENCE = 30.0

#: Seconds that a worker which is being started has before its cluster is closed.
CLOSING = 5.0

#: Workers that may die under one chunk before it is given up.
DEATHS = 3

#: A worker maps the whole dataset, which counts as its memory; the limit would kill it for that.
NO_LIMIT = 0

#: Even without a dashboard a scheduler serves its health, by default on a fixed port of all interfaces.
LOOPBACK = {"dashboard_address": "127.0.0.1:0"}

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
    try:
        return ClusterEvaluator(here, connect(cluster, patience), cluster=cluster, patience=patience)
    except BaseException:
        cluster.close()
        raise


def start_local(processes: int) -> LocalCluster:
    """Worker processes of one thread each on this machine, reachable from it alone, without a dashboard."""
    with dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}), _deaf_children():
        return LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs=LOOPBACK,
            memory_limit=NO_LIMIT,
            silence_logs=logging.CRITICAL,  # a worker's death is told by what comes of it
        )


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Ctrl-C waits for the end of the block, and threads and processes that begin in it never hear it.

    A terminal sends it to every process of the command; the workers are stopped by their client.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # starting it would let the signal through again
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt


def connect(scheduler: str | LocalCluster, patience: float = PATIENCE) -> Client:
    """A client of a scheduler that runs."""
    for name in ("distributed", "distributed.client"):  # what they have to say is said in one line
        logging.getLogger(name).setLevel(logging.CRITICAL)
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
    """Batches on the workers of a Dask cluster (:class:`~dolphin.study.measure.evaluator.Evaluator`).

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
    def ts(self) -> Ints:
        """Close of the rows, (T,) int64 ns UTC."""
        return self._here.ts

    def market(self, config: Config) -> Market:
        """All rows with the features that this configuration reads, on this machine."""
        return self._here.market(config)

    def evaluate(self, batch: Batch, on_done: Callable[[int], None] | None = None) -> Results:
        """See :class:`~dolphin.study.measure.evaluator.Evaluator`.

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
        if self._cluster is not None and self._cluster.workers:
            # A worker that is just being started in place of a dead one would complain on stderr.
            with contextlib.suppress(TimeoutError):
                self._client.wait_for_workers(len(self._cluster.workers), timeout=CLOSING)
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
        """Every chunk's answer once, as they come; what is under way is cancelled when the caller stops."""
        arrived = queue.SimpleQueue[Future]()
        flying: dict[str, tuple[Future, _Place]] = {}
        threads, heard = self._threads(), time.monotonic()
        todo, run, number = self._chunks(batch, max(threads, 1)), uuid.uuid4().hex, itertools.count()
        try:
            while True:
                while len(flying) < DEPTH * max(threads, 1) and (following := next(todo, None)):
                    place, chunk = following
                    key = f"dolphin-{run}-{next(number)}"
                    future = self._client.submit(run_on_worker, chunk, key=key, pure=False)
                    flying[key] = future, place
                    future.add_done_callback(arrived.put)
                if not flying:
                    return
                try:
                    future = arrived.get(timeout=TICK)
                except queue.Empty:
                    threads = self._threads()
                    heard = time.monotonic() if threads else heard
                    if time.monotonic() - heard > self._patience:
                        raise self._nobody() from None
                    continue
                heard = time.monotonic()
                _, place = flying[str(future.key)]
                answer = self._result(future)
                del flying[str(future.key)]
                seconds = answer.seconds / (place.bars * len(place.places))
                self._seconds_per_bar += LEARN * (seconds - self._seconds_per_bar)
                yield place, answer
        finally:
            if flying and self._client.status == "running":
                self._client.cancel([future for future, _ in flying.values()], force=True)

    def _chunks(self, batch: Batch, threads: int) -> Iterator[tuple[_Place, Chunk]]:
        """Chunks of about :data:`CHUNK_SECONDS`, smaller towards the end so that all threads end together."""
        for places in by_market(batch.configs):
            packing = Packing(self.dataset, [batch.configs[c] for c in places], batch.daily)
            every = tuple(range(len(batch.spans)))
            # A few combinations keep all threads busy only by their spans.
            groups = [every] if len(places) >= DEPTH * threads else [(s,) for s in every]
            for group in groups:
                spans = tuple(batch.spans[s] for s in group)
                bars, low = sum(stop - start for start, stop in spans), 0
                while low < len(places):
                    most = CHUNK_SECONDS / (self._seconds_per_bar * bars)
                    share = -(-(len(places) - low) // (2 * threads))
                    high = min(len(places), low + max(1, int(min(most, max(share, most * SMALLEST)))))
                    yield _Place(places[low:high], group, bars), packing.chunk(low, high, spans)
                    low = high

    def _check(self, batch: Batch, results: Results) -> None:
        """Run the picks of the batch alone, on this machine, and compare them with what the workers found."""
        names = [batch.name(c) for c in range(len(batch.configs))]
        for c in batch.checks:
            market = self.market(batch.configs[c])
            for s, span in enumerate(batch.spans):
                spot_check(results.span(s), [c], names, batch.configs, (market, *span))

    def _threads(self) -> int:
        """How many threads the workers have."""
        try:
            return sum(self._client.nthreads().values())
        except (OSError, TimeoutError, ValueError):
            raise self._lost() from None

    def _result(self, future: Future) -> Answer:
        """The answer of a chunk that was done; done again by another if its worker died with it."""
        heard = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                return self._fetched(future)
            heard = time.monotonic() if self._threads() else heard
            if time.monotonic() - heard > self._patience:
                raise self._nobody()

    def _fetched(self, future: Future) -> Answer:
        try:
            answer: Answer = future.result(timeout=ASK_AGAIN)
            return answer
        except KilledWorker:
            raise DolphinError(
                "every worker that was given one of the chunks died",
                where=self._address,
                mend="look at the workers' logs and memory; what was finished before is registered",
            ) from None
        except TimeoutError:  # an OSError, too
            raise
        except (CancelledError, OSError):
            raise self._lost() from None
        except (ImportError, RuntimeError) as error:
            reason = " ".join(str(error.__cause__ or error).split())
            raise DolphinError(
                f"a worker cannot run a chunk: {reason}",
                where=self._address,
                mend="install the same version of dolphin on every worker",
            ) from error

    def _nobody(self) -> DolphinError:
        return DolphinError(
            f"no worker for {self._patience:.0f} s",
            where=self._address,
            mend=f"start one: dask worker {self._address} --nthreads 1 --memory-limit 0 (dolphin installed as here)",
        )

    def _lost(self) -> DolphinError:
        return DolphinError("the scheduler is gone", where=self._address, mend="start it again, then use --resume")

    @property
    def _address(self) -> str:
        return "--cluster" if self._client.scheduler is None else str(self._client.scheduler.address)
