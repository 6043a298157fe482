"""The versions of a dataset that this machine holds: by digest, with what refers to none removed."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.catalog.store.draft import drafting
from dolphin.catalog.store.layout import VERSION_MANIFEST, current_manifest, kind_of, label_of, manifest_path
from dolphin.catalog.store.scan_layout import folder_of
from dolphin.errors import DolphinError, NotFound
from dolphin.files import read_json

#: Folders of the catalog that hold versions, ``<folder>/<name>/<digest16>``.
KINDS = ("bars", "ticks", "features", "series", "risk")
_PREFIX = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class Version:
    """One version of a dataset.

    Attributes
    ----------
    current : bool
        True for the one that the name means.
    manifest_file : Path
        Where ``manifest`` was read: the catalog's for the current version, else the version's own.
    """

    name: str
    digest: str
    current: bool
    folder: Path
    manifest_file: Path
    manifest: dict[str, Any]

    @property
    def label(self) -> str:
        """What opens it: the name, or ``name@digest`` for one that the name does not mean."""
        return label_of(self.name, self.digest, current=self.current)


def split_name(text: str) -> tuple[str, str | None]:
    """``name@digest`` parted; the digest is None where only a name is given.

    Raises
    ------
    DolphinError
        If what follows the ``@`` is no 8 to 64 hexadecimal digits.
    """
    name, at, digest = text.partition("@")
    if not at:
        return name, None
    if not _PREFIX.fullmatch(digest):
        raise DolphinError(f"'{digest}' is no digest", where=text, mend="give its first 8 hexadecimal digits or more")
    return name, digest


def list_versions(catalog: Path, name: str) -> list[Version]:
    """Every version of ``name`` on this machine, the current one first, then the newest first."""
    current = current_manifest(catalog, name)
    found = []
    for kind in KINDS:
        for folder in (catalog / kind / name).glob("[0-9a-f]*"):
            file = folder / VERSION_MANIFEST
            if current and folder.name == current["digest"][:16] and kind == current.get("kind", "bars"):
                found.append(Version(name, current["digest"], True, folder, manifest_path(catalog, name), current))
            elif file.is_file():
                manifest = read_json(file)
                if isinstance(manifest, dict) and isinstance(manifest.get("digest"), str):
                    found.append(Version(name, manifest["digest"], False, folder, file, manifest))
    return sorted(found, key=lambda v: (not v.current, -v.folder.stat().st_mtime_ns, v.digest))


def find_version(catalog: Path, name: str, digest: str) -> Version:
    """The version whose digest begins with ``digest``.

    Raises
    ------
    DolphinError
        If none or several do; the versions that are here are listed.
    """
    versions = list_versions(catalog, name)
    fits = [version for version in versions if version.digest.startswith(digest)]
    if len(fits) == 1:
        return fits[0]
    here = ", ".join(version.digest[:16] for version in versions)
    raise NotFound(
        f"{len(fits)} versions begin with '{digest}'" if fits else f"no version {digest[:16]} on this machine",
        where=name,
        mend=f"versions here: {here}" if here else "make or copy the dataset first",
    )


def prune_versions(
    catalog: Path, name: str, *, keep: int = 0, used: Collection[str] = (), dry: bool = False
) -> list[Version]:
    """Remove versions of ``name``, oldest first; the files of other versions stay (links count).

    Parameters
    ----------
    keep : int
        So many of the newest old versions stay.
    used : collection of str
        Digests that something refers to: they stay, like the current version.
    dry : bool
        Only say which would go.

    Returns
    -------
    list of Version
        What was removed.
    """
    current = current_manifest(catalog, name)
    if not current:
        raise NotFound(f"no dataset '{name}'", where=str(catalog), mend="see 'dolphin data list'")
    with drafting(catalog, name, kind_of(current)):  # nobody else writes meanwhile
        old = [version for version in list_versions(catalog, name) if not version.current]
        gone = [version for version in old[keep:] if version.digest not in used]
        for version in () if dry else gone:
            # Moved aside first: a reader sees the whole version or none. The next writer sweeps a leftover.
            grave = Path(tempfile.mkdtemp(dir=version.folder.parent, prefix=".old."))
            version.folder.rename(grave / version.folder.name)
            shutil.rmtree(grave, ignore_errors=True)
            shutil.rmtree(folder_of(catalog, version.label), ignore_errors=True)
    return gone
