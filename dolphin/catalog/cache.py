"""The hot cache: arrays as uncompressed ``.npy`` files, memory-mapped, rebuilt when missing or damaged."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.errors import DolphinError
from dolphin.files import canonical_json, write_json

Arrays = dict[str, NDArray[Any]]
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def cached(root: Path, key: str, build: Callable[[], Arrays]) -> Arrays:
    """The arrays of ``build()``, built once and then memory-mapped from ``root/key``.

    Parameters
    ----------
    root : Path
        Folder of all caches.
    key : str
        Names the content: two builds with one key must give equal arrays.
    build : callable
        Makes the arrays; called only when they are missing or damaged.

    Returns
    -------
    dict of ndarray
        Mapped copy-on-write: writable to the program, never written back.

    Notes
    -----
    An entry is moved into place whole, so builders in several processes cannot disturb each other. Its
    checksums are verified in full whenever inode, time or size of a file differ from those at the last
    full verification: a truncated or flipped file is rebuilt.
    """
    if not _NAME.fullmatch(key):
        raise ValueError(f"not a cache key: {key!r}")
    folder = Path(root) / key
    try:
        arrays = _open(folder)
        if arrays is None:
            arrays = _replace(folder, build)
    except OSError as error:
        raise DolphinError(
            f"cannot keep the cache: {error.strerror or error}", where=str(folder), mend="free some space"
        ) from error
    return arrays


def _open(folder: Path) -> Arrays | None:
    """The arrays of an intact entry, else None."""
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
        files = {name: folder / f"{name}.npy" for name in meta}
        stamp = {name: _stamp(path) for name, path in files.items()}
        if stamp != _last_stamp(folder):
            for name, path in files.items():
                if path.stat().st_size != meta[name]["size"] or _checksum(path) != meta[name]["blake2b"]:
                    return None
            _remember(folder, stamp)
        return {name: _map(path) for name, path in files.items()}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError):  # a damaged meta.json or header
        return None


def _replace(folder: Path, build: Callable[[], Arrays]) -> Arrays:
    """Build beside the entry, then move the new one in; whoever comes second uses the first one's."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        _write(part, build())
        while True:
            try:
                part.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
                arrays = _open(folder)
                if arrays is not None:
                    return arrays
                _discard(folder)
                continue
            arrays = _open(folder)
            if arrays is None:
                raise DolphinError("damaged as soon as written", where=str(folder), mend="check the disk")
            return arrays
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(part: Path, arrays: Arrays) -> None:
    meta = {}
    for name, array in arrays.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"not an array name: {name!r}")
        path = part / f"{name}.npy"
        with path.open("wb") as stream:
            np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        meta[name] = {"size": path.stat().st_size, "blake2b": _checksum(path)}
    write_json(part / "meta.json", meta)
    _remember(part, {name: _stamp(part / f"{name}.npy") for name in meta})


def _discard(folder: Path) -> None:
    """Move a damaged entry out of the way first: readers never see it half removed."""
    grave = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        folder.rename(grave / "old")
    except FileNotFoundError:
        pass  # another builder was quicker
    finally:
        shutil.rmtree(grave, ignore_errors=True)


def _map(path: Path) -> NDArray[Any]:
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


def _remember(folder: Path, stamp: dict[str, list[int]]) -> None:
    part = folder / f".verified.{os.getpid()}"
    part.write_bytes(canonical_json(stamp))
    part.replace(folder / "verified.json")
