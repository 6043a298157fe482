"""Locks between processes: a file that one of them holds. The kernel lets go of it when its holder dies.

Who has taken the lock checks that the file is still at its path: a holder may remove it, or its folder,
before letting go, and a lock on a file that nobody else can find means nothing. It is then taken again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dolphin.errors import Busy, DolphinError


@contextmanager
def hold(path: Path, *, busy: str | None = None, where: str | None = None, mend: str | None = None) -> Iterator[None]:
    """Hold the lock of a file within the block; the file and its folder are made if need be.

    Parameters
    ----------
    path : Path
        The file. It stays when the block ends, unless the block removes it.
    busy : str, optional
        What to say if another process holds it; without it this waits.
    where, mend : str, optional
        Further parts of that line; ``where`` is the folder by default.

    Raises
    ------
    Busy
        At once, if another process holds it and ``busy`` is given.
    DolphinError
        If the file cannot be made.
    """
    try:
        handle = _take(path, wait=busy is None)
    except OSError as error:
        raise DolphinError(
            f"cannot write: {error.strerror}", where=str(path.parent), mend="make it writable or choose another folder"
        ) from error
    if handle is None:
        assert busy is not None
        raise Busy(busy, where=where or str(path.parent), mend=mend or "wait for it, then try again")
    with _released(handle):
        yield


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file now; looks only, and makes no file."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def passing(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file that is there only while it is held; False if we do not ``wait`` and another has it.

    Raises
    ------
    OSError
        If the file cannot be made.
    """
    handle = _take(path, wait=wait)
    if handle is None:
        yield False
        return
    with _released(handle):
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)


def _take(path: Path, *, wait: bool) -> int | None:
    """An open handle that holds the lock; None if another process holds it and we do not wait."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # the folder went between the two lines
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except FileNotFoundError:  # its holder removed it
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextmanager
def _released(handle: int) -> Iterator[None]:
    """Let go at the end of the block, also where a child process has inherited the handle."""
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
