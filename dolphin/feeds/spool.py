"""What is recorded, until it is a file of its own: rows of one width at the end of a file.

A write is one call; what a kill cut off is the rest of a division, and goes. Every few minutes the spool becomes a
snapshot (``.npz`` with its ``.sha256``), under a name that follows from its own, and only then is removed: a kill in
between makes the same snapshot again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.core.records import Records
from dolphin.errors import Damaged
from dolphin.files import publish, sha256_file, write_bytes
from dolphin.times import DAY_NS, SECOND_NS, format_day

#: Rows of each kind. Prices and quantities of ticks are in 1e-8; bid and ask -1 where unknown.
KINDS: dict[str, np.dtype[Any]] = {
    "ticks": np.dtype(
        [
            ("symbol", "S20"), ("ts", "i8"), ("price", "i8"), ("quantity", "i8"), ("buyer_is_maker", "?"),
            ("trade_id", "i8"), ("bid", "i8"), ("ask", "i8"), ("received_ts", "i8"), ("source", "S8"),
        ]
    ),
    "books": np.dtype(
        [
            ("symbol", "S20"), ("ts", "i8"), ("seq", "i8"), ("imbalance", "f8"), ("spread_bps", "f8"),
            ("fill_prob", "f8"), ("depth_quality", "f8"), ("agreement", "f8"), ("bids", "f8"), ("asks", "f8"),
            ("source", "S8"),
        ]
    ),
    "exf": np.dtype(
        [
            ("indicator", "S20"), ("basis", "S64"), ("reference_ts", "i8"), ("public_ts", "i8"),
            ("received_ts", "i8"), ("value", "f8"),
        ]
    ),
}  # fmt: skip


class Spool:
    """The open end of one kind.

    Parameters
    ----------
    folder : Path
        Of the recording; spools lie in ``spool``.
    start_ns : int
        Names it.
    """

    def __init__(self, folder: Path, kind: str, start_ns: int) -> None:
        self.kind, self.path = kind, folder / "spool" / f"{kind}-{start_ns}.spool"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.rows: list[tuple[Any, ...]] = []
        self.written = 0
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def flush(self) -> int:
        """Write what has come since; returns the rows."""
        if not self.rows:
            return 0
        rows, self.rows = self.rows, []
        data = memoryview(np.array(rows, KINDS[self.kind]).tobytes())
        begin = os.fstat(self._handle).st_size
        try:
            while data:
                data = data[os.write(self._handle, data) :]
        except OSError:
            os.ftruncate(self._handle, begin)
            self.rows = rows + self.rows  # the disk is full: kept until it is not
            raise
        self.written += len(rows)
        return len(rows)

    def close(self) -> None:
        """No more rows."""
        self.flush()
        os.close(self._handle)


def snapshot(folder: Path, spool: Path) -> Path | None:
    """Make a spool's snapshot and remove it; None where it held no whole row."""
    kind, start = spool.stem.split("-")
    rows = read_spool(spool)
    if not len(rows):
        spool.unlink()
        return None
    target = snapshot_path(folder, kind, int(start))
    with publish(target) as part, part.open("wb") as stream:
        np.savez(stream, **{name: rows[name] for name in rows.dtype.names or ()})  # type: ignore[arg-type]
    write_bytes(target.with_name(target.name + ".sha256"), f"{sha256_file(target)}  {target.name}\n".encode())
    spool.unlink()
    return target


def snapshot_path(folder: Path, kind: str, start_ns: int) -> Path:
    """Where the snapshot of a spool lies: by the UTC day and time of its start."""
    clock = start_ns % DAY_NS // SECOND_NS
    name = f"{clock // 3600:02d}{clock // 60 % 60:02d}{clock % 60:02d}-{start_ns}__{kind.capitalize()}.npz"
    return folder / kind / format_day(start_ns // DAY_NS) / name


def read_spool(spool: Path) -> Records:
    """The whole rows of a spool."""
    dtype = KINDS[spool.stem.split("-")[0]]
    data = spool.read_bytes()
    return np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)


def read_snapshot(path: Path, kind: str) -> Records:
    """The rows of a snapshot.

    Raises
    ------
    Damaged
        If its checksum is missing or another, or it is not of that kind.
    """
    problem = snapshot_problem(path)
    if problem:
        raise Damaged(problem, where=str(path), mend="restore it; 'dolphin feeds verify' lists all that is damaged")
    with np.load(path, allow_pickle=False) as arrays:
        dtype = KINDS[kind]
        rows = np.zeros(len(arrays["received_ts" if kind != "books" else "ts"]), dtype)
        for name in dtype.names or ():
            rows[name] = arrays[name]
    return rows


def snapshot_problem(path: Path) -> str | None:
    """Why a snapshot cannot be trusted, in a few words; None where it can."""
    beside = path.with_name(path.name + ".sha256")
    if not beside.is_file():
        return "no checksum beside it"
    words = beside.read_text(encoding="utf-8", errors="replace").split()
    if not words or words[0] != sha256_file(path):
        return "its SHA-256 is not the one beside it"
    return None
