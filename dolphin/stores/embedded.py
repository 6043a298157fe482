"""The store in our own process: a dict, and a thread that keeps it in a ledger file."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dolphin.locks import hold
from dolphin.stores.hub import Held, Hub
from dolphin.stores.ledger_file import Entry, LedgerFile
from dolphin.stores.outcome import Outcome, settled
from dolphin.stores.protocol import Change, Health, Reading
from dolphin.stores.values import Raw, Value, decode, encode

FILE, LOCK = "store.jsonl", ".store.lock"
#: Seconds between attempts to write to a disk that refuses.
AGAIN = 1.0


class Embedded(Hub):
    """One process's store; what it holds survives the process.

    Parameters
    ----------
    folder : Path
        Where its file lies; one process at a time.

    Raises
    ------
    DolphinError
        If another process has it, or the file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._held = ExitStack()
        self._held.enter_context(hold(folder / LOCK, busy="another process has this store open", where=str(folder)))
        try:
            self._file = LedgerFile(folder / FILE)
        except BaseException:
            self._held.close()
            raise
        super().__init__(f"embedded:{folder}")
        now, clock = time.time_ns(), time.monotonic_ns()
        for entry in self._file.live.values():
            self._view[entry.place, entry.key] = Held(entry.raw, clock - max(0, now - entry.at))
        self._lock = threading.Condition()
        self._entries: list[Entry] = []
        self._outcomes: list[Outcome] = []
        self._writing = 0
        self._failing_since: int | None = None
        self._writer = threading.Thread(target=self._write, name="store-writes", daemon=True)
        self._writer.start()

    def fetch(self, place: str, key: str) -> Reading | None:
        """See :class:`~dolphin.stores.protocol.Store`: here the view is the store."""
        return self.get(place, key)

    def put(self, place: str, key: str, value: Value) -> Outcome:
        """See :class:`~dolphin.stores.protocol.Store`; True once it is on disk."""
        self._check_open()
        raw = encode(value, f"{place} {key}")
        with self._lock:
            return self._set(place, key, raw)

    def swap(self, place: str, key: str, seen: Reading | None, value: Value) -> Outcome:
        """See :class:`~dolphin.stores.protocol.Store`."""
        self._check_open()
        raw = encode(value, f"{place} {key}")
        with self._lock:
            held = self._view.get((place, key))
            if (None if held is None else held.raw) != (None if seen is None else seen.raw):
                return settled(False)
            return self._set(place, key, raw)

    def update(self, place: str, key: str, change: Change) -> Outcome:
        """See :class:`~dolphin.stores.protocol.Store`."""
        self._check_open()
        with self._lock:
            held = self._view.get((place, key))
            value = change(None if held is None else decode(held.raw, f"{place} {key}"))
            return settled(True) if value is None else self._set(place, key, encode(value, f"{place} {key}"))

    def publish(self, topic: str, message: dict[str, Any]) -> Outcome:
        """See :class:`~dolphin.stores.protocol.Store`."""
        self._check_open()
        self._heard(topic, encode(message, topic))
        return settled(True)

    def health(self) -> Health:
        """See :class:`~dolphin.stores.protocol.Store`; silent for as long as the disk refuses."""
        failing = self._failing_since
        silent = 0 if failing is None else time.monotonic_ns() - failing
        pending = len(self._entries) + self._writing
        return Health(int(failing is None and not self.closed), silent, pending, self.errors, self.last_error)

    def settle(self, seconds: float) -> bool:
        """See :class:`~dolphin.stores.protocol.Store`."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._entries and not self._writing, seconds)

    def close(self) -> None:
        """See :class:`~dolphin.stores.protocol.Store`."""
        if self.closed:
            return
        self.closed = True
        with self._lock:
            self._lock.notify_all()
        self._writer.join(2.0)
        self._end_telling()
        self._held.close()

    def _set(self, place: str, key: str, raw: Raw) -> Outcome:
        outcome = Outcome()
        self._take(place, key, raw)
        self._entries.append(Entry(place, key, raw, time.time_ns()))
        self._outcomes.append(outcome)
        self._lock.notify_all()
        return outcome

    def _write(self) -> None:
        """Bring to disk what has come, as much at once as there is."""
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._entries or self.closed)
                if not self._entries:
                    return
                entries, outcomes = self._entries, self._outcomes
                self._entries, self._outcomes, self._writing = [], [], len(self._entries)
            while not self._written(entries) and not self.closed:
                time.sleep(AGAIN)
            for outcome in outcomes:
                outcome.settle(self._failing_since is None, self.last_error if self._failing_since else None)
            with self._lock:
                self._writing = 0
                self._lock.notify_all()

    def _written(self, entries: list[Entry]) -> bool:
        try:
            self._file.append(entries)
        except Exception as error:  # a full disk, a folder that went: tried again, and said in health()
            self._note(error)
            self._failing_since = self._failing_since or time.monotonic_ns()
            return False
        self._failing_since = None
        return True
