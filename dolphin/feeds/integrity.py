"""What a running feed holds against what lies on disk, once a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError
from dolphin.feeds.health import Health
from dolphin.feeds.recorder import Recorder
from dolphin.feeds.spool import KINDS, snapshot_problem
from dolphin.files import read_json
from dolphin.times import DAY_NS, SECOND_NS, format_day, parse_time

#: Seconds between two looks, and how old ``latest.json`` may be.
EVERY, OLDEST = 60.0, 30.0
#: Snapshots that one look hashes at most: the newest that were not hashed yet.
HASHED = 12


class Integrity:
    """Looks whether what is on disk is what was written.

    Parameters
    ----------
    recorder : Recorder
        Whose open spools must be as long as the rows that it wrote, and whose snapshots must have their checksum.
    latest : callable
        The record of now, whose factors ``latest.json`` must have.
    """

    def __init__(
        self, recorder: Recorder, latest: Callable[[], Mapping[str, Any]], health: Health, clock: Callable[[], int]
    ) -> None:
        self._recorder, self._latest, self._health, self._clock = recorder, latest, health, clock
        self._part = health.component("integrity", limit_s=5.0 * EVERY)
        self._hashed: set[Path] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Look every minute until told to stop."""
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await stop.wait()
            if not stop.is_set():
                await self.look()

    async def look(self) -> dict[str, str | None]:
        """What is wrong, by part; None where nothing is. Each is an alert while it stands."""
        found = {"spool": self._spools(), "latest": self._told()}
        found["snapshot"] = await asyncio.to_thread(self._snapshots)
        for what, wrong in found.items():
            key = f"integrity:{what}"
            if wrong is None:
                self._health.clear(key)
            else:
                self._health.alert(key, "critical", "integrity", wrong)
        self._part.counts["looks"] += 1
        self._part.last_ns = self._clock()
        return found

    def _spools(self) -> str | None:
        for spool in self._recorder.spools.values():
            rows = spool.written
            try:
                size = spool.path.stat().st_size
            except OSError as error:
                return f"{spool.path.name} cannot be read: {error.strerror or error}"
            if size != rows * KINDS[spool.kind].itemsize:
                return f"{spool.path.name} has {size:,} bytes, {rows:,} rows were written"
        return None

    def _told(self) -> str | None:
        path = self._recorder.folder / "latest.json"
        try:
            told = read_json(path)
            age = (self._clock() - parse_time(told["timestamp"])) / SECOND_NS
            factors = told["factors"]
        except (DolphinError, LookupError, TypeError, ValueError) as error:
            return f"latest.json cannot be read: {' '.join(str(error).split())[:100]}"
        if age > OLDEST:
            return f"latest.json is {age:.0f} s old"
        now = self._latest()["factors"]
        lost = [name for name, held in factors.items() if held["last"] is not None and now[name]["last"] is None]
        return f"latest.json has {', '.join(lost)}, which is not held" if lost else None

    def _snapshots(self) -> str | None:
        """Hash the snapshots of today and yesterday that were not hashed yet, the newest first."""
        day = self._clock() // DAY_NS
        today, before = ([self._recorder.folder / kind / format_day(d) for kind in KINDS] for d in (day, day - 1))
        folders = [*today, *before]
        paths = sorted((path for folder in folders for path in folder.glob("*.npz")), reverse=True)
        gone = {path for path in self._hashed if path.parent in today and not path.is_file()}  # older ones may go
        if gone:
            return f"{sorted(gone)[0].name} is gone"
        for path in [path for path in paths if path not in self._hashed][:HASHED]:
            problem = snapshot_problem(path)
            if problem and path.is_file():
                return f"{path.name}: {problem}"
            self._hashed.add(path)
            self._part.counts["snapshots hashed"] += 1
        self._hashed = {path for path in self._hashed if path.parent in folders}
        return None
