"""How large the hot cache may grow, and what goes first.

The limit is ``[cache] limit = "20GB"`` in the workspace's ``dolphin.toml``. It is enforced after every
build: entries of data that is not there any more go first, then those that were not used for longest.
Entries of the data that was just built, and those being built, stay, even where they alone exceed it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dolphin.catalog.store.cache import drop, remove_leftovers
from dolphin.catalog.store.layout import manifest_path
from dolphin.errors import BadInput, DolphinError
from dolphin.files import write_bytes
from dolphin.workspace import MARKER, Workspace

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    f"{letter}IB": 2 ** (10 * power) for power, letter in enumerate("KMGT", 1)
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_EXAMPLE = "write it like 20GB, 500MB or 16GiB"


@dataclass(frozen=True)
class Entry:
    """One entry of the hot cache.

    Attributes
    ----------
    key : str
        Its folder's name.
    what, dataset, digest : str
        What it holds and of which data; ``-`` where a damaged entry does not say it.
    present : bool
        Whether that version of the data is still in the catalog.
    bytes : int
        Room on disk.
    used_ns : int
        Last opening, UTC.
    """

    key: str
    what: str
    dataset: str
    digest: str
    present: bool
    bytes: int
    used_ns: int


def list_entries(catalog: Path) -> list[Entry]:
    """All entries in the order in which they would be evicted."""
    found = [entry for folder in _folders(catalog / "cache") if (entry := _entry(catalog, folder)) is not None]
    return sorted(found, key=lambda e: (e.present, e.used_ns, e.key))


def shrink(catalog: Path, limit: int, *, keep: str | None = None) -> list[Entry]:
    """Evict entries until all together take at most ``limit`` bytes; returns those evicted.

    Parameters
    ----------
    keep : str, optional
        Digest of the data whose entries stay.

    Notes
    -----
    A process that has an entry mapped keeps what it has; the disk gets the room back when it ends.
    """
    root = catalog / "cache"
    if not root.is_dir():
        return []
    remove_leftovers(root)
    entries = list_entries(catalog)
    total, evicted = sum(entry.bytes for entry in entries), []
    for entry in entries:
        if total <= limit:
            break
        if (keep is None or entry.digest != keep) and drop(root, entry.key):
            total -= entry.bytes
            evicted.append(entry)
    return evicted


def read_limit(workspace: Workspace) -> int | None:
    """The limit of the workspace's hot cache in bytes; None without one.

    Raises
    ------
    DolphinError
        If ``dolphin.toml`` cannot be read, or its limit is no size.
    """
    path = workspace.root / MARKER
    try:
        return _limit_in(path.read_bytes().decode(), path)
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise BadInput(f"not readable as TOML ({error})", where=str(path)) from error


def write_limit(workspace: Workspace, limit: str | None) -> None:
    """Put the limit into ``dolphin.toml``, or take it out; every other line stays as it is.

    Raises
    ------
    DolphinError
        If the limit is no size, or the file is written in a way that this cannot change.
    """
    wanted = None if limit is None else parse_size(limit)
    path = workspace.root / MARKER
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    head = next((n for n, line in enumerate(lines) if re.match(r"\s*\[\s*cache\s*\]", line)), None)
    if head is None:
        lines += ["", "[cache]"]
        head = len(lines) - 1
    stop = next((n for n in range(head + 1, len(lines)) if re.match(r"\s*\[", lines[n])), len(lines))
    section = [line for line in lines[head + 1 : stop] if not re.match(r"\s*limit\s*=", line)]
    if limit is not None:
        section.insert(0, f'limit = "{limit.strip()}"')
    text = "\n".join([*lines[: head + 1], *section, *lines[stop:]]) + "\n"
    try:
        sound = _limit_in(text, path) == wanted
    except BadInput:
        sound = False
    if not sound:
        raise DolphinError(
            "cannot change the limit there", where=str(path), mend='write it by hand: [cache] limit = "20GB"'
        )
    write_bytes(path, text.encode())


def _limit_in(text: str, path: Path) -> int | None:
    try:
        table = tomllib.loads(text).get("cache", {})
    except ValueError as error:
        raise BadInput(f"not readable as TOML ({error})", where=str(path)) from error
    if not isinstance(table, dict):
        raise BadInput("cache must be a table", where=str(path), mend='write [cache] limit = "20GB"')
    limit = table.get("limit")
    return None if limit is None else parse_size(limit, where=f"{path}: [cache] limit")


def parse_size(text: object, where: str | None = None) -> int:
    """Bytes of a size such as ``20GB`` (powers of 1,000) or ``16GiB`` (of 1,024)."""
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise BadInput(f"'{text}' is no size", where=where, mend=_EXAMPLE)
    return int(float(match[1]) * unit)


def format_size(count: int) -> str:
    """A number of bytes as people read it, in powers of 1,000."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value /= 1000.0
        units.pop(0)
    return f"{count} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def _folders(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from (path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _entry(catalog: Path, folder: Path) -> Entry | None:
    """What lies in a folder of the cache; None if it is evicted in this moment."""
    try:
        sizes = [path.stat().st_size for path in folder.iterdir()]
        used = folder / "used"
        used_ns = (used if used.exists() else folder).stat().st_mtime_ns
    except FileNotFoundError:
        return None
    try:
        about = json.loads((folder / "meta.json").read_bytes())["about"]
        what, dataset, digest = (str(about[name]) for name in ("what", "dataset", "digest"))
    except (OSError, ValueError, KeyError, TypeError):  # a damaged entry, or one of an older scheme
        return Entry(folder.name, "-", "-", "-", False, sum(sizes), used_ns)
    names = _names(catalog, digest)
    name = dataset if dataset in names or not names else names[0]
    return Entry(folder.name, what, name, digest, bool(names), sum(sizes), used_ns)


def _names(catalog: Path, digest: str) -> list[str]:
    """Datasets of which this version is in the catalog."""
    found = sorted(path.parent.name for path in (catalog / "bars").glob(f"*/{digest[:16]}"))
    return [name for name in found if manifest_path(catalog, name).is_file()]
