"""Files of the catalog checked at their first opening: SHA-256 once, then inode, time and size remembered.

What was found whole is kept in ``verified.json`` of the folder, as in the hot cache, and for the process. A folder
that may only be read is checked in full by every process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from dolphin.errors import DamagedFile, DolphinError, MissingFile
from dolphin.files import canonical_json, sha256_file, sweep, write_bytes

VERIFIED = "verified.json"

#: Per file: inode, time of change (ns), size and SHA-256 at the last full check.
Stamp = list[Any]

_seen: dict[Path, Stamp] = {}


def check_files(folder: Path, files: Iterable[tuple[str, str]], mend: str) -> None:
    """Check files of a folder against their SHA-256: in full where they are new or changed.

    Parameters
    ----------
    files : iterable of (str, str)
        Name inside the folder and expected SHA-256.
    mend : str
        What to do about a damaged one.

    Raises
    ------
    DolphinError
        If one is missing or damaged; its name is in the message.
    """
    wanted = {name: [*_stat(folder / name, mend), digest] for name, digest in files}
    new = {name: stamp for name, stamp in wanted.items() if _seen.get(folder / name) != stamp}
    if not new:
        return
    kept = _verified(folder)
    fresh = {name: stamp for name, stamp in new.items() if kept.get(name) != stamp}
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(sha256_file, [folder / name for name in fresh])
        for (name, stamp), digest in zip(fresh.items(), found, strict=True):
            if digest != stamp[-1]:
                raise DamagedFile("damaged: digest differs from the manifest's", where=str(folder / name), mend=mend)
    _seen.update({folder / name: stamp for name, stamp in new.items()})
    if fresh:
        with suppress(OSError, DolphinError):
            _keep(folder, _verified(folder) | fresh)


def _stat(path: Path, mend: str) -> Stamp:
    try:
        info = path.stat()
    except FileNotFoundError:
        raise MissingFile("data file is missing", where=str(path), mend=mend) from None
    return [info.st_ino, info.st_mtime_ns, info.st_size]


def _verified(folder: Path) -> dict[str, Stamp]:
    try:
        found = json.loads((folder / VERIFIED).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(folder: Path, stamps: dict[str, Stamp]) -> None:
    sweep(folder)  # of those who were killed between the two steps of what follows
    write_bytes(folder / VERIFIED, canonical_json(stamps))
