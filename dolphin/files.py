"""Files that are either the old ones or the new ones, never half."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dolphin.errors import Damaged, DolphinError, NotFound


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; on success fsync it and rename it into place.

    If the block raises (also on a full disk or an interrupt), the temporary file is removed and
    ``target`` stays what it was.
    """
    target = Path(target)
    with _explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, part = _part_of(target)
        try:
            yield part
            sync(part)
            part.chmod(mode_in(target.parent))
            part.replace(target)
            sync(target.parent)
        finally:
            part.unlink(missing_ok=True)
            os.close(handle)


def mode_in(folder: Path) -> int:
    """The permissions of a new file there: its owner's alone where the folder is (0600), else to be read by all."""
    return 0o644 if folder.stat().st_mode & 0o077 else 0o600


def _part_of(target: Path) -> tuple[int, Path]:
    """A new temporary file beside ``target``, locked for as long as the handle is open."""
    while True:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # somebody swept it between its making and its lock


def sweep(*folders: Path) -> None:
    """Remove what killed writers of :func:`publish` and :func:`publish_folder` left; what living ones write stays."""
    for part in (path for folder in folders for path in folder.glob(".*.part")):
        try:
            handle = os.open(part, os.O_RDONLY)
        except OSError:  # gone meanwhile, or somebody else's
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if part.is_dir():
                _give_up(part)
            elif part.is_file():
                part.unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(handle)
    # Without its part beside it the new folder is in place, and only the removal of the old one was cut short.
    for old in (path for folder in folders for path in folder.glob(".*.old")):
        if old.is_dir() and _target_of(old).exists() and not old.with_suffix(".part").exists():
            shutil.rmtree(old, ignore_errors=True)


def _target_of(part: Path) -> Path:
    """The folder that ``.name.random.part`` is a part of."""
    return part.with_name(part.stem[1:].rpartition(".")[0])


def _give_up(part: Path) -> None:
    """Remove an unfinished folder; what its writer moved aside goes back to its place."""
    old, target = part.with_suffix(".old"), _target_of(part)
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def publish_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``; on success sync its files and move it into place.

    An existing ``target`` is moved aside for the blink between two renames and removed afterwards;
    if the block raises, it stays what it was. What killed writers left beside it is removed first.
    """
    target = Path(target)
    with _explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
        handle, part = _folder_part_of(target)
        old = part.with_suffix(".old")
        try:
            yield part
            sync_files(part.rglob("*"))
            part.chmod(0o755)
            sync(part)
            if target.exists():
                target.rename(old)
            part.rename(target)
            sync(target.parent)
        finally:
            _give_up(part)
            os.close(handle)


def _folder_part_of(target: Path) -> tuple[int, Path]:
    """A new temporary folder beside ``target``, locked for as long as the handle is open."""
    while True:
        part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
        try:
            handle = os.open(part, os.O_RDONLY)
        except FileNotFoundError:  # somebody swept it between its making and its opening
            continue
        fcntl.flock(handle, fcntl.LOCK_EX)
        if part.exists():
            return handle, part
        os.close(handle)


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into one clear line."""
    try:
        yield
    except OSError as error:
        raise DolphinError(
            f"cannot write: {error.strerror or ' '.join(str(error).split())}",
            where=str(target),
            mend="free some space or choose another folder; what was there before is untouched",
        ) from error


def write_bytes(target: Path, data: bytes) -> None:
    """Write ``data`` to ``target`` atomically."""
    with publish(target) as part:
        part.write_bytes(data)


def write_json(target: Path, document: Any) -> None:
    """Write ``document`` as sorted, indented JSON, atomically. NaN is refused."""
    write_bytes(target, json_bytes(document))


def json_bytes(document: Any) -> bytes:
    """What :func:`write_json` writes."""
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """Read JSON; a damaged or missing file is a :class:`DolphinError` that names it."""
    try:
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise NotFound("no such file", where=str(path)) from None
    except (OSError, ValueError) as error:
        raise Damaged(f"not readable as JSON ({error})", where=str(path)) from error


def json_value(value: Any) -> Any:
    """A value, and all below it, for JSON: infinity and not-a-number as the strings "inf", "-inf", "nan"."""
    if isinstance(value, Mapping):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def from_json_value(value: Any) -> Any:
    """The number that :func:`json_value` wrote as a string; any other value as it is."""
    return float(value) if value in ("inf", "-inf", "nan") else value


def canonical_json(document: Any) -> bytes:
    """The one byte form of a document: sorted keys, no spaces, shortest-repr floats, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_files(paths: Iterable[Path]) -> None:
    """Make the bytes of many files durable: side by side, so that a disk can write them in one go."""
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda path: sync(path), paths):
            pass


def sync(path: Path) -> None:
    """Make a file's bytes, or the names in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
