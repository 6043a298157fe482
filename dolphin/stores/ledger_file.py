"""The embedded store's file: a line per write, each with the hash of the one before; the newest of a key counts."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from dolphin import ledger
from dolphin.errors import Damaged
from dolphin.files import canonical_json, publish
from dolphin.stores.values import Raw

#: The file is written anew when it is larger than this and than four times what lives in it.
COMPACT_BYTES, COMPACT_TIMES = 16 << 20, 4


class Entry(NamedTuple):
    """A write: where, what, and when (ns UTC)."""

    place: str
    key: str
    raw: Raw
    at: int


class LedgerFile:
    """Entries on disk, one writer at a time (its owner holds a lock).

    Opening reads them all and, unless it is only to be ``looked`` at, cuts off what a crash left behind the last
    newline.

    Raises
    ------
    DolphinError
        If a line is not as it was written.
    """

    def __init__(self, path: Path, compact_bytes: int = COMPACT_BYTES, *, looked: bool = False) -> None:
        self.path, self.compact_bytes = path, compact_bytes
        self.live: dict[tuple[str, str], Entry] = {}
        self._previous, self.size = ledger.GENESIS, 0
        lines, torn = ledger.lines_of(path)
        for number, line in enumerate(lines, 1):
            entry = self._read(line, number)
            self.live[entry.place, entry.key] = entry
            self.size += len(line) + 1
        if torn and not looked:
            ledger.cut(path, self.size)

    def append(self, entries: Iterable[Entry]) -> None:
        """Write these, in order, with one sync; then the file anew where it has grown too large.

        Raises
        ------
        OSError
            If it cannot be written; then none of them is.
        """
        entries = list(entries)
        lines, previous = _lines(entries, self._previous)
        data = b"\n".join(lines)
        ledger.append(self.path, data, self.size)
        self._previous, self.size = previous, self.size + len(data) + 1
        self.live |= {(entry.place, entry.key): entry for entry in entries}
        if self.size > self.compact_bytes:
            living = sum(len(entry.raw) for entry in self.live.values())
            if self.size > COMPACT_TIMES * living:
                self.compact()

    def compact(self) -> None:
        """Write what lives to a new file that takes the old one's place."""
        lines, previous = _lines(self.live.values(), ledger.GENESIS)
        data = b"".join(line + b"\n" for line in lines)
        with publish(self.path) as part:
            part.write_bytes(data)
        self._previous, self.size = previous, len(data)

    def _read(self, line: bytes, number: int) -> Entry:
        try:
            found = json.loads(line)
            if not ledger.follows(found, self._previous, canonical_json):
                raise ValueError("its hash, or that of the line before, is another")
            raw = base64.b64decode(found["bytes"]) if "bytes" in found else found["text"]
            self._previous = found["hash"]
            return Entry(found["map"], found["key"], raw, found["at"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Damaged(
                f"line {number} is not as it was written ({error})",
                where=str(self.path),
                mend="move the file aside: a store is never the only copy, its writers fill a new one",
            ) from None


def _lines(entries: Iterable[Entry], previous: str) -> tuple[list[bytes], str]:
    """The lines of entries, and the last one's hash."""
    out = []
    for entry in entries:
        what = {"text": entry.raw} if isinstance(entry.raw, str) else {"bytes": base64.b64encode(entry.raw).decode()}
        body = {"map": entry.place, "key": entry.key, "at": entry.at, "previous": previous, **what}
        sealed = ledger.sealed(body, canonical_json)
        previous = sealed["hash"]
        out.append(canonical_json(sealed))
    return out, previous
