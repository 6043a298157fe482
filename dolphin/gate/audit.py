"""The audit log: one canonical JSON line per move of a pointer, each carrying the hash of the one before.

A line counts once its newline is on disk. Pointers carry the hash of the line that moved them, which is
how a line torn by a crash (no pointer knows it) is told from one that was changed (a pointer misses it).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError
from dolphin.files import canonical_json
from dolphin.ledger import GENESIS, follows, lines_of, sealed
from dolphin.ledger import append as append_line

FIELDS = ("seq", "time_ns", "time", "who", "action", "pointer", "reason", "old", "new", "previous", "hash")
#: What lines have besides since the trial registry is anchored in them.
ANCHOR = "registry"


@dataclass(frozen=True)
class AuditLog:
    """The log as it was read.

    Attributes
    ----------
    lines : tuple of dict
        Entries up to the first problem.
    problem : str
        Where the chain breaks; empty if it holds.
    torn : int
        Bytes at the end that are no whole line; 0 if there are none.
    """

    path: Path
    lines: tuple[dict[str, Any], ...]
    problem: str
    torn: int

    @property
    def head(self) -> str:
        """Hash of the last line."""
        return str(self.lines[-1]["hash"]) if self.lines else GENESIS

    def of(self, pointer: str) -> list[dict[str, Any]]:
        """The lines of one pointer, oldest first."""
        return [line for line in self.lines if line["pointer"] == pointer]


def read_audit(path: Path) -> AuditLog:
    """Read and check the whole chain."""
    whole, torn = lines_of(path)
    lines: list[dict[str, Any]] = []
    previous = GENESIS
    for number, raw in enumerate(whole, 1):
        entry = _entry(raw)
        if entry is None or entry["seq"] != number or not follows(entry, previous, canonical_json):
            return AuditLog(path, tuple(lines), f"{path}: line {number} was changed or does not follow", torn)
        lines.append(entry)
        previous = entry["hash"]
    return AuditLog(path, tuple(lines), "", torn)


def next_entry(log: AuditLog, **fields: Any) -> dict[str, Any]:
    """The entry that would follow, with its hash."""
    entry = sealed({"seq": len(log.lines) + 1, "previous": log.head, **fields}, canonical_json)
    assert _has_fields(entry)
    return entry


def append(log: AuditLog, entry: dict[str, Any]) -> int:
    """Write the entry to the end of the log and sync it; the caller holds the lock.

    If the disk is full, what was written of the line is taken back.

    Returns
    -------
    int
        The size of the log before, for :func:`dolphin.ledger.cut`.
    """
    try:
        size = log.path.stat().st_size if log.path.exists() else 0
        append_line(log.path, canonical_json(entry), size)
    except OSError as error:
        raise DolphinError(
            f"cannot write: {error.strerror}", where=str(log.path), mend="free some space; nothing was moved"
        ) from error
    return size


def _entry(raw: bytes) -> dict[str, Any] | None:
    """A line's entry; None unless it has the fields of one, written as this module writes them."""
    try:
        entry = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not _has_fields(entry) or canonical_json(entry) != raw:
        return None
    return entry


def _has_fields(entry: dict[str, Any]) -> bool:
    return {*entry} - {ANCHOR} == {*FIELDS}
