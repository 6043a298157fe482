"""What a session must not lose, in a file of its own before anybody else hears of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dolphin import ledger
from dolphin.errors import Damaged
from dolphin.files import canonical_json, json_value
from dolphin.times import format_time


class Kept(NamedTuple):
    """A line: where it is mirrored, what, and when it was written (ns UTC)."""

    place: str
    key: str
    value: dict[str, Any]
    at: int


class LocalLedger:
    """Records in a hash-chained file, synced one by one; one writer, who holds the session's lock.

    Parameters
    ----------
    path : Path

    Raises
    ------
    DolphinError
        If its last line is not as it was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        line, self._end = ledger.last_line(path)
        self._previous = ledger.GENESIS if line is None else self._hash_of(line)

    def write(self, place: str, key: str, value: dict[str, Any]) -> None:
        """Write a record and sync it.

        Raises
        ------
        OSError
            If it cannot be written; then it is not there.
        """
        with self._lock:
            body = {"map": place, "key": key, "at": time.time_ns(), "value": json_value(value)}
            body["time"], body["previous"] = format_time(body["at"]), self._previous
            sealed = ledger.sealed(body, canonical_json)
            line = canonical_json(sealed)
            ledger.append(self.path, line, self._end)
            self._end += len(line) + 1
            self._previous = sealed["hash"]

    def records(self) -> Iterator[Kept]:
        """Every record in order; a torn last line is none.

        Raises
        ------
        DolphinError
            At the first line that is not as it was written.
        """
        previous = ledger.GENESIS
        for number, line in enumerate(ledger.lines_of(self.path)[0], 1):
            entry = self._read(line)
            if entry is None or not ledger.follows(entry, previous, canonical_json):
                raise Damaged(
                    f"line {number} is not as it was written", where=str(self.path), mend="take it from a backup"
                )
            previous = entry["hash"]
            yield Kept(entry["map"], entry["key"], entry["value"], entry["at"])

    def _hash_of(self, line: bytes) -> str:
        entry = self._read(line)
        if entry is None or not isinstance(entry.get("hash"), str):
            raise Damaged("its last line is not as it was written", where=str(self.path), mend="take it from a backup")
        return str(entry["hash"])

    @staticmethod
    def _read(line: bytes) -> dict[str, Any] | None:
        try:
            entry = json.loads(line)
        except ValueError:
            return None
        return entry if isinstance(entry, dict) else None
