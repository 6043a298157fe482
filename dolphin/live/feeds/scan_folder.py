"""A folder in which another program writes scans: each file once, in order, when it is whole."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from dolphin.errors import DolphinError
from dolphin.live.feeds.scan_record import ScanRecord, read_scan_file

#: A file of the folder that is no scan: ticks and lots of its symbols.
INSTRUMENTS = "instruments.json"
SUFFIXES = (".arrow", ".arrows", ".ipc", ".feather", ".json")
#: Seconds for which a file that cannot be read is waited for after its last change.
PATIENCE = 2.0
#: Seconds within which a folder may change again without its time of change telling.
COARSE = 0.05

#: Size and time of change: what tells a file from what it was.
Stamp = tuple[int, int]


@dataclass
class Pending:
    """A file that could not be read yet: as it was, since when (monotonic), and why."""

    stamp: Stamp
    since: float
    reason: str


class ScanFolder:
    """The scans of a folder and of the folders directly in it (such as one a day), in the order of their names.

    A file that is not whole is waited for while it changes and ``patience`` seconds beyond; files of later names wait
    with it. Then it is refused, and named in ``refused`` until it changes. Names that begin with a dot or end in
    neither of the known suffixes are none of ours: write to such a name and rename, and nothing ever has to wait.

    Parameters
    ----------
    folder : Path
    patience : float
        Seconds.

    Raises
    ------
    DolphinError
        If there is no such folder.
    """

    def __init__(self, folder: Path, patience: float = PATIENCE) -> None:
        if not folder.is_dir():
            raise DolphinError("no such folder", where=str(folder), mend="make it, or name the one with the scans")
        self.folder, self.patience = folder, patience
        self.refused: dict[Path, str] = {}
        self.read = 0
        self._stamps: dict[Path, Stamp] = {}
        self._pending: dict[Path, Pending] = {}
        self._found: set[Path] = set()  # and not read yet: those that are not whole, and those that wait with them
        self._looked: dict[Path, tuple[int, float]] = {folder: (-1, 0.0)}

    def poll(self) -> list[ScanRecord]:
        """The scans that have become whole since the last call."""
        found: list[ScanRecord] = []
        for path in self._changed():
            stamp = _stamp(path)
            if stamp is None:  # gone again
                self._pending.pop(path, None)
                self._found.discard(path)
                continue
            try:
                scans = read_scan_file(path)
            except (DolphinError, OSError) as error:
                if self._wait_for(path, stamp, str(error)):
                    break  # what has a later name comes later
                continue
            if _stamp(path) != stamp:
                self._wait_for(path, stamp, "it changes")
                break
            self._done(path, stamp)
            self.read += 1
            found += scans
        return found

    def waiting(self) -> dict[Path, str]:
        """Files that are not whole yet, and why."""
        return {path: pending.reason for path, pending in self._pending.items()}

    def _wait_for(self, path: Path, stamp: Stamp, reason: str) -> bool:
        """Whether it may yet become whole; else it is refused."""
        now, before = time.monotonic(), self._pending.get(path)
        if before is None or before.stamp != stamp:
            self._pending[path] = before = Pending(stamp, now, reason)
        if now - before.since < self.patience:
            return True
        self._done(path, stamp)
        self.refused[path] = reason
        return False

    def _done(self, path: Path, stamp: Stamp) -> None:
        self._pending.pop(path, None)
        self._found.discard(path)
        self.refused.pop(path, None)
        self._stamps[path] = stamp

    def _changed(self) -> list[Path]:
        """Files to read, in order: new ones, changed ones, and those that could not be read before."""
        for folder in list(self._looked):  # a folder in it that is found now is looked into next time
            try:
                changed = folder.stat().st_mtime_ns
            except OSError:
                continue
            before = self._looked[folder]
            # A folder tells names that come and go; files that are written in place are looked at until they are whole.
            if before[0] == changed and before[1] - changed / 1e9 > COARSE:
                continue
            self._looked[folder] = changed, time.time()
            self._found |= self._in(folder)
        self._found |= {path for path in self.refused if _stamp(path) not in (None, self._stamps.get(path))}
        return sorted(self._found, key=lambda path: natural(str(path.relative_to(self.folder))))

    def _in(self, folder: Path) -> set[Path]:
        """The files of a folder that are to be read."""
        found: set[Path] = set()
        try:
            entries = list(os.scandir(folder))
        except OSError:  # gone since
            return found
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith(".") or entry.name == INSTRUMENTS:
                continue
            if path.suffix.lower() in SUFFIXES:
                if (stamp := _stamp(path)) is not None and self._stamps.get(path) != stamp:
                    found.add(path)
            elif folder == self.folder and path not in self._looked and entry.is_dir():
                self._looked[path] = (-1, 0.0)
                found |= self._in(path)
        return found


def natural(name: str) -> list[tuple[int, int, str]]:
    """What names are ordered by: numbers in them by value, so that scan_9 comes before scan_10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
