"""A look at a store that another process has open: values and health, nothing is written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from dolphin.errors import DolphinError
from dolphin.locks import passing
from dolphin.stores.embedded import FILE, LOCK
from dolphin.stores.ledger_file import LedgerFile
from dolphin.stores.opening import embedded_folder, open_store
from dolphin.stores.protocol import Health, Reading
from dolphin.stores.values import decode


class Looks(Protocol):
    """What can be looked at; every :class:`~dolphin.stores.protocol.Store` can."""

    def get(self, place: str, key: str) -> Reading | None:
        """The newest value of a key."""
        ...

    def health(self) -> Health:
        """How the store is."""
        ...

    def close(self) -> None:
        """Look no more."""
        ...


class EmbeddedLook:
    """The file of an embedded store, read again when it has changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp: tuple[int, int, int] | None = None
        self._file = LedgerFile(folder / FILE, looked=True)

    def get(self, place: str, key: str) -> Reading | None:
        """See :class:`Looks`."""
        self._read_again()
        entry = self._file.live.get((place, key))
        if entry is None:
            return None
        try:
            value = decode(entry.raw, f"{place} {key}")
        except DolphinError:
            return None
        return Reading(value, entry.raw, max(0, time.time_ns() - entry.at))

    def health(self) -> Health:
        """A node where some process has the store open; silent since its last write."""
        with passing(self.folder / LOCK, wait=False) as free:
            nodes = int(not free)
        newest = max((entry.at for entry in self._file.live.values()), default=0)
        return Health(nodes, max(0, time.time_ns() - newest), 0, 0, None)

    def close(self) -> None:
        """See :class:`Looks`."""

    def _read_again(self) -> None:
        path = self.folder / FILE
        try:
            found = path.stat()
        except OSError:
            return
        stamp = found.st_ino, found.st_size, found.st_mtime_ns
        if stamp != self._stamp:
            self._file, self._stamp = LedgerFile(path, looked=True), stamp


def look_at(url: str) -> Looks:
    """Look at the store of a URL: an embedded one through its file, a cluster as a client of its own.

    Raises
    ------
    DolphinError
        As :func:`~dolphin.stores.opening.open_store`.
    """
    folder = embedded_folder(url)
    return open_store(url) if folder is None else EmbeddedLook(folder)
