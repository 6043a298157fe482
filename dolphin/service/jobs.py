"""Runs jobs when they are due, and those that were missed; what ran is in a file."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dolphin import ledger
from dolphin.locks import hold
from dolphin.service.schedule import Job
from dolphin.times import SECOND_NS, format_time, parse_time

#: Lines of a job's output that are kept with a failure.
TAIL = 20


class JobRunner:
    """The jobs of a workspace.

    A run is known by the time at which it was due, and is done once: a job that was missed because the machine was
    off, or that was running when it was due, is made up for within its ``catch_up``, only the newest run of it.

    Parameters
    ----------
    folder : Path
        Where ``jobs.jsonl`` and the outputs lie; one process at a time.
    jobs : sequence of Job
    root : Path
        The workspace, in which they run.
    program : sequence of str
        What their words are arguments of.
    """

    def __init__(self, folder: Path, jobs: Sequence[Job], root: Path, program: Sequence[str] = ()) -> None:
        self.folder, self.jobs, self.root = folder, tuple(jobs), root
        self.program = list(program) or [sys.executable, "-m", "dolphin"]
        self.path = folder / "jobs.jsonl"
        self._lock = threading.Lock()
        self._running: set[str] = set()

    def last(self) -> dict[str, dict[str, Any]]:
        """The newest run of every job, as its line says; lines that cannot be read are none."""
        found = {}
        for line in ledger.lines_of(self.path)[0]:
            try:
                entry = json.loads(line)
                found[str(entry["job"])] = entry
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def register(self, now_ns: int) -> None:
        """Note the jobs that are new: of these nothing has been missed yet."""
        known = self.last()
        for job in self.jobs:
            if job.name not in known:
                self._note(job=job.name, due=format_time(job.due(now_ns)), code=None)

    def missed(self, now_ns: int) -> list[tuple[Job, int]]:
        """Jobs whose newest run was not made, and when it was due; too old ones are not worth it any more."""
        known, out = self.last(), []
        for job in self.jobs:
            due = job.due(now_ns)
            before = known.get(job.name)
            if before is not None and parse_time(before["due"]) < due and now_ns - due <= job.catch_up_ns:
                out.append((job, due))
        return out

    def run(self, job: Job, due_ns: int) -> int | None:
        """Run it, unless this run was made already or one is still running; its exit code."""
        with self._lock:
            before = self.last().get(job.name)
            if job.name in self._running or (before is not None and parse_time(before["due"]) >= due_ns):
                return None
            self._running.add(job.name)
        begun = time.time_ns()
        try:
            code, tail = self._execute(job, due_ns)
            self._note(
                job=job.name, due=format_time(due_ns), begun=format_time(begun),
                seconds=round((time.time_ns() - begun) / SECOND_NS, 3), code=code, tail=tail if code else [],
            )  # fmt: skip
            return code
        finally:
            self._running.discard(job.name)

    def serve(self, stop: threading.Event, *, catch_up: bool = True) -> None:
        """Run jobs until told to stop: first what was missed, then each at its time.

        Raises
        ------
        DolphinError
            If another process runs the jobs of this workspace.
        """
        from apscheduler.schedulers.background import BackgroundScheduler

        with hold(self.folder / ".jobs.lock", busy="another process runs the jobs", where=str(self.folder)):
            self.register(time.time_ns())
            scheduler = BackgroundScheduler(timezone=UTC)
            for job in self.jobs:
                self._schedule(scheduler, job)
            scheduler.start()
            try:
                for job, due in self.missed(time.time_ns()) if catch_up else ():
                    scheduler.add_job(self.run, args=(job, due), name=f"{job.name}, missed")
                stop.wait()
            finally:
                scheduler.shutdown(wait=True)

    def next_runs(self, now_ns: int) -> list[tuple[str, str]]:
        """Each job and when it is due next."""
        return [(job.name, format_time(job.due(now_ns) + job.every_ns)) for job in self.jobs]

    def _schedule(self, scheduler: Any, job: Job) -> None:
        from apscheduler.triggers.interval import IntervalTrigger

        # From one of its times on: an interval that divides a day falls on the same times every day.
        begin = datetime.fromtimestamp(job.due(time.time_ns()) // SECOND_NS, UTC)
        trigger = IntervalTrigger(seconds=job.every_ns // SECOND_NS, start_date=begin, timezone=UTC)
        grace = max(1, int(job.catch_up_ns // SECOND_NS))  # a machine that slept: once, late
        scheduler.add_job(
            lambda: self.run(job, job.due(time.time_ns())),
            trigger, id=job.name, coalesce=True, misfire_grace_time=grace, max_instances=1,
        )  # fmt: skip

    def _execute(self, job: Job, due_ns: int) -> tuple[int, list[str]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        output = self.folder / f"{job.name}.log"
        try:
            with output.open("wb") as stream:
                done = subprocess.run(
                    [*self.program, *job.arguments(due_ns)],
                    cwd=self.root, stdout=stream, stderr=stream, timeout=job.timeout_s, check=False,
                )  # fmt: skip
            code = done.returncode
        except subprocess.TimeoutExpired:
            return 124, [f"not done within {job.timeout_s:g} s"]
        except OSError as error:
            return 127, [f"cannot start it: {error.strerror}"]
        return code, output.read_text(errors="replace").splitlines()[-TAIL:]

    def _note(self, **entry: Any) -> None:
        with self._lock:
            _, end = ledger.last_line(self.path)
            ledger.append(self.path, json.dumps(entry).encode(), end)
