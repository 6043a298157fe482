"""Every file of a workspace's data re-hashed: versions, scans, hot cache."""

from __future__ import annotations

from pathlib import Path

from dolphin.catalog.store.cache import intact
from dolphin.catalog.store.dataset import verify
from dolphin.catalog.store.layout import current_manifest, damaged_files, dataset_names, kind_of
from dolphin.catalog.store.scan_layout import folder_of, listed_files, manifest_of
from dolphin.catalog.store.tables import verify_table
from dolphin.catalog.store.versions import list_versions, split_name
from dolphin.errors import Damaged, DolphinError, NotFound
from dolphin.files import read_json, sha256_file
from dolphin.progress import Progress
from dolphin.workspace import Workspace


def check(workspace: Workspace, name: str) -> list[str]:
    """Problems of a dataset: its current version, old versions, scans and caches; empty if intact.

    With ``name@digest`` it is that version alone.
    """
    plain, digest = split_name(name)
    manifest = current_manifest(workspace.catalog, plain)
    problems = (verify if kind_of(manifest) == "bars" else verify_table)(workspace, name)
    if digest is not None:
        return problems
    for version in list_versions(workspace.catalog, plain):
        if not version.current:
            mend = f"remove {version.folder}, or import that data again"
            problems += [f"{line}; {mend}" for line in damaged_files(workspace.catalog, version.manifest).values()]
        problems += damaged_scans(folder_of(workspace.catalog, version.label), version.label)
        problems += damaged_caches(workspace.catalog / "cache", version.digest)
    return problems


def check_all(workspace: Workspace, progress: Progress | None = None) -> dict[str, list[str]]:
    """Problems by dataset; those that cannot even be opened say why."""
    names, found = dataset_names(workspace.catalog), {}
    for number, name in enumerate(names):
        if progress:
            progress(number, len(names), "verifying")
        try:
            found[name] = check(workspace, name)
        except DolphinError as error:
            found[name] = [str(error)]
    return found


def damaged_scans(folder: Path, label: str) -> list[str]:
    """One line per scan file that is missing or not what the scan manifest says."""
    return [line for path in sorted(folder.rglob(manifest_of(folder).name)) for line in _damaged_scans(path, label)]


def _damaged_scans(path: Path, label: str) -> list[str]:
    folder = path.parent
    mend = f"remove it and run 'dolphin scan {label}'"
    try:
        files = listed_files(read_json(path))
    except (NotFound, Damaged, KeyError, TypeError, AttributeError):
        return [f"{path}: damaged; {mend}"]
    problems = []
    for file, sha256 in files.items():
        if not (folder / file).is_file():
            problems.append(f"{folder / file}: missing; run 'dolphin scan {label}'")
        elif sha256_file(folder / file) != sha256:
            problems.append(f"{folder / file}: damaged (its SHA-256 is not the manifest's); {mend}")
    return problems


def damaged_caches(root: Path, digest: str) -> list[str]:
    """One line per cache entry of a dataset version whose bytes are not what its checksums say."""
    entries = [path for path in sorted(root.glob(f"*-{digest[:16]}*")) if path.is_dir() and path.name[0] != "."]
    return [f"{path}: damaged; remove it, it is built again when used" for path in entries if not intact(path)]
