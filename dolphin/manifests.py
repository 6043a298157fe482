"""The manifest of a folder of results: name, size and SHA-256 of each file, checked by whoever reads them.

``manifest.json`` holds ``files`` and the SHA-256 of ``files`` itself. An entry is a list, because a file that
is replaced is for a moment the old or the new one: both are listed until the new one is in place, so that a
kill in between leaves nothing that looks damaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dolphin.errors import Damaged, DamagedFile, DolphinError, MissingFile, NotFound
from dolphin.files import canonical_json, read_json, sha256_bytes, sha256_file, write_bytes, write_json

MANIFEST = "manifest.json"

_AGAIN = "make it again with the command that wrote it"

Entries = dict[str, list[dict[str, Any]]]


def write_manifest(folder: Path) -> None:
    """Write down every file that lies in ``folder``."""
    files = sorted(path for path in Path(folder).iterdir() if path.is_file() and path.name != MANIFEST)
    _write(folder, {path.name: [_entry(path)] for path in files})


def write_listed(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a folder, each atomically, and keep its manifest true whenever the process dies."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    held: Entries = _read(folder) if (folder / MANIFEST).is_file() else {}
    new = {name: {"bytes": len(data), "sha256": sha256_bytes(data)} for name, data in contents.items()}
    before = {name: _entry(folder / name) for name in new if (folder / name).is_file()}
    _write(folder, held | {name: [*([before[name]] if name in before else []), new[name]] for name in new})
    for name, data in contents.items():
        write_bytes(folder / name, data)
    _write(folder, held | {name: [entry] for name, entry in new.items()})


def check_manifest(folder: Path, *names: str) -> None:
    """Hash the files of a folder: those named, or all that its manifest lists.

    Raises
    ------
    DolphinError
        If the manifest or a file is missing or damaged, or a file is not listed; its name is in the line.
    """
    folder = Path(folder)
    listed = _read(folder)
    for name in names or sorted(listed):
        path = folder / name
        if name not in listed:
            raise DolphinError(f"is not in the folder's {MANIFEST}", where=str(path), mend=_AGAIN)
        if not path.is_file():
            raise MissingFile("no such file", where=str(path), mend=_AGAIN)
        if _entry(path) not in listed[name]:
            raise DamagedFile("damaged: its SHA-256 is not the manifest's", where=str(path), mend=_AGAIN)


def _entry(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _write(folder: Path, files: Entries) -> None:
    write_json(folder / MANIFEST, {"files": files, "sha256": sha256_bytes(canonical_json(files))})


def _read(folder: Path) -> Entries:
    path = folder / MANIFEST
    if not path.is_file():
        raise NotFound("no such file", where=str(path), mend=_AGAIN)
    document = read_json(path)
    try:
        files: Entries = document["files"]
        whole = document["sha256"] == sha256_bytes(canonical_json(files)) and all(
            isinstance(entries, list) for entries in files.values()
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        whole = False
    if not whole:
        raise Damaged("damaged: its SHA-256 is not its contents'", where=str(path), mend=_AGAIN)
    return files
