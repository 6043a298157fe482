"""The hot cache: arrays as uncompressed ``.npy`` files, memory-mapped, rebuilt when missing or damaged.

An entry ``root/<key>/`` holds its arrays, ``meta.json`` (sizes, checksums, what it is), ``verified.json``
(inode, time and size of the files at the last full check) and ``used`` (its time: the last opening). It is
built in ``root/.<key>.part`` under the lock ``root/.<key>.lock``, array by array into mapped files, so that
building takes no memory of its own, and then moved into place whole.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dolphin.errors import DolphinError
from dolphin.files import canonical_json, sweep, sync_files, write_bytes, write_json
from dolphin.locks import passing

#: An array of whatever dtype it was built with, and such by name.
Array = NDArray[Any]
Arrays = dict[str, Array]
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class Writer:
    """Where a build puts its arrays; each is a file from the start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: Arrays = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """A new array of zeros, mapped to its file: what is written to it goes to disk, not to memory.

        Raises
        ------
        OSError
            If the disk has no room for all of it.
        """
        if not _NAME.fullmatch(name) or name in self._made:
            raise ValueError(f"not the name of a new array: {name!r}")
        path = self._folder / f"{name}.npy"
        kind = np.dtype(dtype)
        if kind.hasobject:
            raise ValueError(f"{name}: objects are not kept")
        if not math.prod(shape):  # cannot be mapped
            self._made[name] = np.empty(shape, kind)
            np.save(path, self._made[name])
            return self._made[name]
        # The room is taken first: a page that finds none when it is written kills the process.
        mapped = np.lib.format.open_memmap(path, "w+", kind, shape)
        with path.open("rb+") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
        self._made[name] = mapped
        return mapped

    def put(self, name: str, values: Array) -> None:
        """A whole array at once."""
        values = np.asarray(values)
        self.array(name, values.shape, values.dtype)[...] = values

    def finish(self, about: Mapping[str, Any]) -> None:
        """Make everything durable and write down what it is."""
        files = {name: self._folder / f"{name}.npy" for name in self._made}
        for array in self._made.values():
            if isinstance(array, np.memmap):
                array.flush()
        sync_files(files.values())
        arrays = {name: {"size": path.stat().st_size, "blake2b": _checksum(path)} for name, path in files.items()}
        write_json(self._folder / "meta.json", {"about": dict(about), "arrays": arrays})
        _remember(self._folder, {name: _stamp(path) for name, path in files.items()})


def cached(
    root: Path,
    key: str,
    build: Callable[[Writer], None],
    *,
    about: Mapping[str, Any] | None = None,
    after: Callable[[], None] | None = None,
) -> Arrays:
    """The arrays that ``build`` writes, built once and then memory-mapped from ``root/key``.

    Parameters
    ----------
    root : Path
        Folder of all caches.
    key : str
        Names the content: two builds with one key must give equal arrays.
    build : callable
        Writes the arrays; called only when they are missing or damaged.
    about : mapping, optional
        What the entry is, for people (JSON).
    after : callable, optional
        Called after a build, when the entry is in place.

    Returns
    -------
    dict of ndarray
        Mapped copy-on-write: writable to the program, never written back. Reading costs no memory but
        the kernel's page cache, which all processes share.

    Notes
    -----
    Of several processes that want the same entry one builds and the others wait for it. Checksums are
    verified in full whenever inode, time or size of a file differ from those at the last full
    verification: a truncated or flipped file is rebuilt. What a killed builder left is removed by the
    next one, whatever it builds.
    """
    if not _NAME.fullmatch(key):
        raise ValueError(f"not a cache key: {key!r}")
    root = Path(root)
    try:
        arrays = _open(root / key)
        if arrays is not None:
            return arrays
        root.mkdir(parents=True, exist_ok=True)
        remove_leftovers(root)
        with locked(root, key):
            arrays = _open(root / key)  # somebody may have built it while we waited
            if arrays is not None:
                return arrays
            arrays = _build(root, key, build, about or {})
        if after is not None:
            after()
        return arrays
    except OSError as error:
        raise DolphinError(
            f"cannot keep the cache: {error.strerror or error}", where=str(root / key), mend="free some space"
        ) from error


def _build(root: Path, key: str, build: Callable[[Writer], None], about: Mapping[str, Any]) -> Arrays:
    """Build beside the entry, then move the new one in; the caller holds the lock."""
    folder, part = root / key, _part(root, key)
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        writer = Writer(part)
        build(writer)
        writer.finish(about)
        _remove(root, key)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    arrays = _open(folder)
    if arrays is None:
        raise DolphinError("damaged as soon as written", where=str(folder), mend="check the disk")
    return arrays


def drop(root: Path, key: str) -> bool:
    """Remove an entry; False if it is being built. Who has it mapped keeps what is mapped."""
    with locked(root, key, wait=False) as mine:
        if mine:
            _remove(root, key)
    return mine


def remove_leftovers(root: Path) -> None:
    """Remove what killed builders left: parts whose lock nobody holds."""
    for name in {path.name for pattern in (".*.lock", ".*.part", ".*.old") for path in root.glob(pattern)}:
        key = name[1:].rpartition(".")[0]
        with locked(root, key, wait=False) as mine:
            if mine:
                shutil.rmtree(_part(root, key), ignore_errors=True)
                shutil.rmtree(_old(root, key), ignore_errors=True)


def locked(root: Path, key: str, *, wait: bool = True) -> AbstractContextManager[bool]:
    """Hold the lock of an entry; yields False if another holds it and we do not wait."""
    return passing(root / f".{key}.lock", wait=wait)


def _open(folder: Path) -> Arrays | None:
    """The arrays of an intact entry, else None."""
    try:
        meta = json.loads((folder / "meta.json").read_bytes())["arrays"]
        files = {name: folder / f"{name}.npy" for name in meta}
        stamp = {name: _stamp(path) for name, path in files.items()}
        if stamp != _last_stamp(folder):
            for name, path in files.items():
                if path.stat().st_size != meta[name]["size"] or _checksum(path) != meta[name]["blake2b"]:
                    return None
            with suppress(OSError, DolphinError):  # a folder that we may only read: checked in full each time
                _remember(folder, stamp)
        arrays = {name: _map(path) for name, path in files.items()}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError):  # a damaged meta.json or header
        return None
    _touch(folder)
    return arrays


def intact(folder: Path) -> bool:
    """Whether every array of an entry has the checksum it was written with; all of them are read."""
    try:
        arrays = json.loads((folder / "meta.json").read_bytes())["arrays"]
        return all(_checksum(folder / f"{name}.npy") == about["blake2b"] for name, about in arrays.items())
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _part(root: Path, key: str) -> Path:
    return root / f".{key}.part"


def _old(root: Path, key: str) -> Path:
    return root / f".{key}.old"


def _remove(root: Path, key: str) -> None:
    """Move an entry out of the way first: readers never see it half removed. Under its lock."""
    old = _old(root, key)
    shutil.rmtree(old, ignore_errors=True)
    try:
        (root / key).rename(old)
    except FileNotFoundError:
        return
    shutil.rmtree(old, ignore_errors=True)


def _touch(folder: Path) -> None:
    """Note the time of use; what cannot be written to is simply not noted."""
    with suppress(OSError):
        (folder / "used").touch()


def _map(path: Path) -> Array:
    try:
        return np.load(path, mmap_mode="c", allow_pickle=False)
    except ValueError:
        array = np.load(path, allow_pickle=False)  # an empty array cannot be mapped
        if array.size:
            raise
        return array


def _checksum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _stamp(path: Path) -> list[int]:
    info = path.stat()
    return [info.st_ino, info.st_mtime_ns, info.st_size]


def _last_stamp(folder: Path) -> Any:
    try:
        return json.loads((folder / "verified.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _remember(folder: Path, stamp: Mapping[str, list[int]]) -> None:
    sweep(folder)  # of those who were killed between the two steps of what follows
    write_bytes(folder / "verified.json", canonical_json(stamp))
