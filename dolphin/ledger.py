"""Append-only records in a file of JSON lines, each of which carries the hash of the one before.

A line counts once its newline is on disk: what a crash left behind the last newline was never written. Who
appends holds a lock (:mod:`dolphin.locks`). What a line says, and how its hash is taken, is the owner's.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dolphin.files import mode_in, sha256_bytes, sync

#: What the first line carries as the hash of the one before it.
GENESIS = "0" * 64

#: Bytes that are read from a ledger's end for its last line; four times as many for one that is longer, and so on.
TAIL = 4096

Entry = dict[str, Any]
Encode = Callable[[Entry], bytes]


def sealed(body: Entry, encode: Encode) -> Entry:
    """``body`` with its ``hash``, which is the SHA-256 of its bytes without one."""
    return {**body, "hash": sha256_bytes(encode(body))}


def follows(entry: Entry, previous: str, encode: Encode) -> bool:
    """Whether an entry carries the hash ``previous`` of the one before and the right one of its own."""
    body = {key: value for key, value in entry.items() if key != "hash"}
    return entry.get("previous") == previous and entry.get("hash") == sha256_bytes(encode(body))


def who_am_i() -> str:
    """``DOLPHIN_USER``, else the user's login name, else (a container without one) the user's number."""
    try:
        return os.environ.get("DOLPHIN_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def lines_of(path: Path) -> tuple[list[bytes], int]:
    """The whole lines of a ledger, without their newlines, and how many bytes after them are none."""
    try:
        *whole, tail = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], 0
    return whole, len(tail)


def last_line(path: Path) -> tuple[bytes | None, int]:
    """The last whole line, if any, and where in the file the next one goes."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            length = TAIL
            while True:
                start = stream.seek(max(0, size - length))
                tail = stream.read(size - start)
                whole = tail[: tail.rfind(b"\n") + 1]
                begin = whole.rfind(b"\n", 0, -1) + 1
                if begin or not start:
                    return (whole[begin:-1] if whole else None), start + len(whole)
                length *= 4
    except FileNotFoundError:
        return None, 0


def append(path: Path, line: bytes, end: int) -> None:
    """Write a line at ``end`` and sync it; what a crash left after ``end`` goes first.

    Raises
    ------
    OSError
        If it cannot be written, as on a full disk: what was written of it is taken back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, mode_in(path.parent))
    try:
        os.ftruncate(handle, end)
        os.lseek(handle, end, os.SEEK_SET)
        rest = line + b"\n"
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, end)
        raise
    finally:
        os.close(handle)
    if not end:
        sync(path.parent)


def cut(path: Path, end: int) -> None:
    """Cut a ledger back to its first ``end`` bytes: a line that was called off, or a torn one."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.ftruncate(handle, end)
        os.fsync(handle)
    finally:
        os.close(handle)
