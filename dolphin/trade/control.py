"""The operator's hand on a session: halt, flatten, resume; each on record."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.errors import Damaged, DolphinError
from dolphin.files import canonical_json, write_json
from dolphin.ledger import GENESIS, append, follows, last_line, lines_of, sealed, who_am_i
from dolphin.locks import hold
from dolphin.times import format_time
from dolphin.trade.folder import StateFolder


@dataclass(frozen=True)
class Wanted:
    """What the operator wants: no entries, and with ``flatten`` no positions either."""

    halted: bool = False
    flatten: bool = False
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"halted": self.halted, "flatten": self.flatten, "reason": self.reason}


class Control:
    """Reads the file of a session's operator; looks again only when it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._wanted = Wanted()

    def wanted(self) -> Wanted:
        """What is wanted now. A file that cannot be read halts: fail closed."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen, self._wanted = None, Wanted()
            return self._wanted
        stamp = found.st_mtime_ns, found.st_size, found.st_ino
        if stamp != self._seen:
            self._seen, self._wanted = stamp, _read(self._path)
        return self._wanted


def _read(path: Path) -> Wanted:
    try:
        held = json.loads(path.read_bytes())
        return Wanted(bool(held["halted"]), bool(held.get("flatten", False)), str(held.get("reason", "")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Wanted(True, False, f"{path.name} cannot be read")


def order(folder: StateFolder, wanted: Wanted, action: str) -> dict[str, Any]:
    """Write what is wanted, and a line on who wanted it and why; the line.

    Raises
    ------
    DolphinError
        Without a reason, or on a damaged record.
    """
    if not wanted.reason.strip():
        raise DolphinError("a reason is mandatory", mend="say why: --reason TEXT")
    with hold(folder.root / ".audit.lock"):
        line = record(folder, action, wanted.document())
        write_json(folder.control, wanted.document())
    return line


def record(folder: StateFolder, action: str, details: dict[str, Any]) -> dict[str, Any]:
    """Append a line to the session's audit record."""
    last, end = last_line(folder.audit)
    previous = GENESIS
    if last is not None:
        entry = json.loads(last)
        if not follows(entry, entry.get("previous", ""), canonical_json):
            raise Damaged("its last line was changed", where=str(folder.audit), mend="restore it from a copy")
        previous = str(entry["hash"])
    body = {
        "time": format_time(time.time_ns()), "who": who_am_i(), "action": action, **details, "previous": previous,
    }  # fmt: skip
    line = sealed(body, canonical_json)
    append(folder.audit, canonical_json(line), end)
    return line


def read_audit(folder: StateFolder) -> list[dict[str, Any]]:
    """The lines of the record, the chain checked.

    Raises
    ------
    Damaged
        If a line was changed or is missing.
    """
    found, previous = [], GENESIS
    for number, line in enumerate(lines_of(folder.audit)[0], 1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {}
        if not follows(entry, previous, canonical_json):
            raise Damaged(f"line {number} was changed or does not follow the one before", where=str(folder.audit))
        previous = str(entry["hash"])
        found.append(entry)
    return found
