"""The audit log: one canonical JSON line per move of a pointer, each carrying the hash of the one before.

A line counts once its newline is on disk. Pointers carry the hash of the line that moved them, which is
how a line torn by a crash (no pointer knows it) is told from one that was changed (a pointer misses it).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError
from dolphin.files import canonical_json, sha256_bytes, sync

GENESIS = "0" * 64
FIELDS = ("seq", "time_ns", "time", "who", "action", "pointer", "reason", "old", "new", "previous", "hash")


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
    data = path.read_bytes() if path.is_file() else b""
    *whole, tail = data.split(b"\n")
    lines: list[dict[str, Any]] = []
    previous = GENESIS
    for number, raw in enumerate(whole, 1):
        entry = _entry(raw)
        if entry is None or entry["previous"] != previous or entry["seq"] != number:
            return AuditLog(path, tuple(lines), f"{path}: line {number} was changed or does not follow", len(tail))
        lines.append(entry)
        previous = entry["hash"]
    return AuditLog(path, tuple(lines), "", len(tail))


def next_entry(log: AuditLog, **fields: Any) -> dict[str, Any]:
    """The entry that would follow, with its hash."""
    entry = {"seq": len(log.lines) + 1, "previous": log.head, **fields}
    entry["hash"] = sha256_bytes(canonical_json(entry))
    assert sorted(entry) == sorted(FIELDS)
    return entry


def append(log: AuditLog, entry: dict[str, Any]) -> int:
    """Write the entry to the end of the log and sync it; the caller holds the lock.

    If the disk is full, what was written of the line is taken back.

    Returns
    -------
    int
        The size of the log before, for :func:`take_back`.
    """
    log.path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(log.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    size = os.fstat(handle).st_size
    try:
        rest = canonical_json(entry) + b"\n"
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
        sync(log.path.parent)
    except OSError as error:
        os.ftruncate(handle, size)
        raise DolphinError(
            f"cannot write: {error.strerror}", where=str(log.path), mend="free some space; nothing was moved"
        ) from error
    finally:
        os.close(handle)
    return size


def take_back(log: AuditLog, size: int) -> None:
    """Cut the log back to an earlier size: a line whose move did not happen, or a torn one."""
    handle = os.open(log.path, os.O_RDWR)
    try:
        os.ftruncate(handle, size)
        os.fsync(handle)
    finally:
        os.close(handle)


def _entry(raw: bytes) -> dict[str, Any] | None:
    """A line's entry; None unless every byte of it is what its hash was taken over."""
    try:
        entry = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(entry, dict) or sorted(entry) != sorted(FIELDS):
        return None
    body = {key: entry[key] for key in entry if key != "hash"}
    if entry["hash"] != sha256_bytes(canonical_json(body)) or canonical_json(entry) != raw:
        return None
    return entry
