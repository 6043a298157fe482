"""Shifts that are done, kept in a small file, so that an interrupted gate goes on where it was."""

from __future__ import annotations

import json
import time
from pathlib import Path

from dolphin.files import canonical_json, sha256_bytes, write_json

#: Seconds between two writes, and the files that are kept in all.
EVERY, MOST = 1.0, 64


class Kept:
    """Numbers by shift, in a file whose name is the hash of everything that they depend on.

    Parameters
    ----------
    folder : Path
        Where the files lie; it may be removed at any time.
    depends : object
        Plain JSON types.
    """

    def __init__(self, folder: Path, depends: object) -> None:
        self.path = folder / f"{sha256_bytes(canonical_json(depends))[:32]}.json"
        self._written = 0.0
        self.values: dict[int, float] = {}
        try:
            document = json.loads(self.path.read_bytes())
            if document["sha256"] == sha256_bytes(canonical_json(document["values"])):
                self.values = {int(shift): float(value) for shift, value in document["values"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # none, or not whole: they are run again

    def add(self, shift: int, value: float) -> None:
        """Keep one more; it is on disk within about a second."""
        self.values[shift] = value
        if time.monotonic() - self._written > EVERY:
            self.write()

    def write(self) -> None:
        """Write them all, and let the oldest files of others go."""
        values = {str(shift): repr(value) for shift, value in self.values.items()}
        write_json(self.path, {"values": values, "sha256": sha256_bytes(canonical_json(values))})
        self._written = time.monotonic()
        files = sorted(self.path.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in files[:-MOST]:
            path.unlink(missing_ok=True)
