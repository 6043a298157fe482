"""The recording of a workspace: three spools, their snapshots, and what a killed recorder left."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dolphin import locks
from dolphin.core.records import Ints
from dolphin.errors import Damaged, DolphinError
from dolphin.feeds.health import Health
from dolphin.feeds.meter import Record
from dolphin.feeds.poller import Value
from dolphin.feeds.sequence import Counted
from dolphin.feeds.spool import KINDS, Spool, read_snapshot, snapshot
from dolphin.files import read_json, sweep
from dolphin.times import DAY_NS, format_day
from dolphin.workspace import Workspace

SOURCE = b"binance"


def recording_folder(workspace: Workspace) -> Path:
    """Where a workspace's recording lies; git ignores it as it does all data."""
    return workspace.catalog / "recorded"


class Recorder:
    """Takes rows; :meth:`run` writes them every second and makes snapshots.

    Parameters
    ----------
    snapshot_ns : int
        How long a spool lives.
    clock : callable
        ns UTC.
    """

    def __init__(self, folder: Path, snapshot_ns: int, health: Health, clock: Callable[[], int] = time.time_ns) -> None:
        self.folder, self._snapshot_ns, self._health, self._clock = folder, snapshot_ns, health, clock
        self._part = health.component("recorder", limit_s=30.0)
        self._last_start = 0
        self.spools: dict[str, Spool] = {}

    @contextmanager
    def opened(self) -> Iterator[Recorder]:
        """Hold the folder, snapshot what an earlier recorder left, and leave nothing open.

        Raises
        ------
        Busy
            If another process records here.
        """
        mend = "stop it, or give this one another workspace"
        with locks.hold(self.folder / ".lock", busy="another process records here", mend=mend):
            self.recover()
            self.spools = {kind: self._new(kind) for kind in KINDS}
            try:
                yield self
            finally:
                for spool in self.spools.values():
                    spool.close()
                    snapshot(self.folder, spool.path)

    def recover(self) -> list[Path]:
        """Snapshots of the spools that a killed recorder left; half-made files of its go."""
        sweep(*(self.folder / kind / day.name for kind in KINDS for day in (self.folder / kind).glob("*")))
        found = []
        for spool in sorted((self.folder / "spool").glob("*.spool")):
            torn = spool.stat().st_size % KINDS[spool.stem.split("-")[0]].itemsize
            self._part.counts["torn rows cut"] += bool(torn)
            made = snapshot(self.folder, spool)
            if made:
                found.append(made)
        self._part.counts["spools recovered"] += len(found)
        return found

    def _new(self, kind: str) -> Spool:
        self._last_start = max(self._clock(), self._last_start + 1)
        return Spool(self.folder, kind, self._last_start)

    def value(self, value: Value) -> None:
        """Record an external factor."""
        row = (value.name.encode(), value.basis.encode()[:64], value.reference_ns, value.public_ns, value.received_ns)
        self.spools["exf"].rows.append((*row, value.value))

    def book(self, record: Record) -> None:
        """Record a book's figures."""
        row = (record.symbol.encode(), record.ts, record.seq, *record.book, record.bids, record.asks, SOURCE)
        self.spools["books"].rows.append(row)

    def tick(self, row: tuple[Any, ...]) -> None:
        """Record a trade: a row of the kind, its source left out."""
        self.spools["ticks"].rows.append((*row, SOURCE))

    def flush(self) -> bool:
        """Write what has come, and say whether all of it is written; a full disk is an alert, and the rows are kept."""
        try:
            for kind, spool in self.spools.items():
                self._part.counts[f"{kind} rows"] += spool.flush()
        except OSError as error:
            why = error.strerror or str(error)
            self._health.alert("recorder:disk", "critical", "recorder", f"cannot write: {why}; rows are kept in memory")
            return False
        self._health.clear("recorder:disk")
        self._part.last_ns = self._clock()
        return True

    async def roll(self) -> None:
        """Close the spools, open new ones, and make snapshots of the old beside the running loop."""
        old = list(self.spools.values())
        self.flush()
        self.spools = {kind: self._new(kind) for kind in KINDS}
        for spool in old:
            self.spools[spool.kind].rows[:0] = spool.rows  # what a full disk did not take
            spool.rows = []
            spool.close()
            try:
                await asyncio.to_thread(snapshot, self.folder, spool.path)
            except DolphinError as error:
                self._health.alert("recorder:snapshot", "critical", "recorder", str(error))
            else:
                self._health.clear("recorder:snapshot")
        self._part.counts["snapshots"] += 1

    async def run(self, stop: asyncio.Event) -> None:
        """Write every second, snapshot at every multiple of the snapshot's length."""
        end = (self._clock() // self._snapshot_ns + 1) * self._snapshot_ns
        while not stop.is_set():
            try:
                async with asyncio.timeout(1.0):
                    await stop.wait()
            except TimeoutError:
                pass
            self.flush()
            if self._clock() >= end:
                end = (self._clock() // self._snapshot_ns + 1) * self._snapshot_ns
                await self.roll()

    def note(self, what: dict[str, Any]) -> None:
        """A line in ``gaps.jsonl``: what is missing for good."""
        line = json.dumps(what, sort_keys=True) + "\n"
        handle = os.open(self.folder / "gaps.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


def trades_so_far(folder: Path, now_ns: int) -> dict[str, Counted]:
    """Where each symbol's trades stand: the highest id on disk, and every hole that is not closed.

    From the newest snapshots of today and yesterday, and from ``holes.json``, which a running recorder keeps for
    what is older. A hole that a kill or a stop left open is asked for again.
    """
    ids: dict[str, list[Ints]] = {}
    for day in (now_ns // DAY_NS - 1, now_ns // DAY_NS):
        for path in sorted((folder / "ticks" / format_day(day)).glob("*.npz"))[-2:]:
            try:
                rows = read_snapshot(path, "ticks")
            except Damaged:
                continue
            for symbol in np.unique(rows["symbol"]):
                ids.setdefault(symbol.decode(), []).append(rows["trade_id"][rows["symbol"] == symbol])
    found = _holes(folder, now_ns)
    for name, parts in ids.items():
        numbers = np.unique(np.concatenate(parts))
        counted = found.setdefault(name, Counted(int(numbers[0])))
        assert counted.last is not None
        for first, end, _ in list(counted.missing):
            for number in numbers[(numbers >= first) & (numbers <= end)].tolist():
                counted.fill(number)
        newer = np.concatenate([[counted.last], numbers[numbers > counted.last]])
        for k in np.flatnonzero(np.diff(newer) > 1).tolist():
            counted.missing.append((int(newer[k]) + 1, int(newer[k + 1]) - 1, now_ns))
        counted.last = int(newer[-1])
    return found


def _holes(folder: Path, now_ns: int) -> dict[str, Counted]:
    """What ``holes.json`` says; nothing where it cannot be read."""
    found: dict[str, Counted] = {}
    try:
        for name, entry in read_json(folder / "holes.json").items():
            found[name] = Counted(int(entry["last"]))
            found[name].missing = [(int(first), int(end), now_ns) for first, end in entry["missing"]]
    except (DolphinError, LookupError, TypeError, ValueError, AttributeError):
        return {}
    return found


def holes_document(trades: Mapping[str, Counted]) -> dict[str, Any]:
    """What ``holes.json`` holds."""
    return {
        name: {"last": counted.last, "missing": [[first, end] for first, end, _ in counted.missing]}
        for name, counted in trades.items()
        if counted.last is not None
    }
