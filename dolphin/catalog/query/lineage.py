"""Where a dataset comes from: version, scan days, days, source files, each by its digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.catalog.store.dataset import open_dataset
from dolphin.catalog.store.layout import current_manifest, kind_of
from dolphin.catalog.store.scan_layout import folder_of, read_manifest
from dolphin.catalog.store.tables import open_table
from dolphin.catalog.store.versions import Version, find_version, split_name
from dolphin.errors import DolphinError
from dolphin.files import sha256_file
from dolphin.workspace import Workspace


@dataclass(frozen=True)
class Node:
    """One thing that something was made from.

    Attributes
    ----------
    what : str
        champion, candidate, config, engine, run, dataset, scans, day, source, ...
    label : str
        Its name or digest.
    facts : mapping
        What else is known: digests, rows, times.
    made_from : tuple of Node
        One step further back.
    broken : str
        Why it cannot be followed any further; empty if it can.
    """

    what: str
    label: str
    facts: Mapping[str, Any]
    made_from: tuple[Node, ...] = ()
    broken: str = ""

    def walk(self) -> Iterator[Node]:
        """This node and everything behind it."""
        yield self
        for node in self.made_from:
            yield from node.walk()

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``."""
        document: dict[str, Any] = {"what": self.what, "label": self.label, **self.facts}
        if self.broken:
            document["broken"] = self.broken
        if self.made_from:
            document["made_from"] = [node.as_dict() for node in self.made_from]
        return document


def dataset_lineage(workspace: Workspace, name: str, *, check_sources: bool = False) -> Node:
    """The lineage of ``name`` or ``name@digest``.

    A version that is not on this machine any more, or is damaged, gives a broken node.

    Parameters
    ----------
    check_sources : bool
        Hash the source files where they are still found, and say which are changed or gone.

    Raises
    ------
    DolphinError
        If the dataset is unknown altogether.
    """
    plain, digest = split_name(name)
    current = current_manifest(workspace.catalog, plain)
    try:
        version = find_version(workspace.catalog, plain, digest or current.get("digest", ""))
        (open_table if kind_of(version.manifest) != "bars" else open_dataset)(workspace, version.label)
    except DolphinError as error:
        if digest is None and not current:
            open_dataset(workspace, plain)  # says what is there
        facts = {"digest": digest or current["digest"], "name": plain}
        return Node("dataset", f"{plain}@{facts['digest'][:16]}", facts, (), str(error))
    manifest = version.manifest
    facts = {
        "name": plain,
        "digest": version.digest,
        "kind": kind_of(manifest),
        "rows": manifest["rows"],
        "days": len(manifest["days"]),
        "current": version.current,
        "made": manifest.get("made"),
        "ingest_id": manifest.get("ingest_id"),
    }
    scans = _scans(workspace.catalog, version)
    made_from = manifest.get("made_from")
    if made_from is None:
        behind = _sources(manifest, check_sources)
    else:  # made of other data of the catalog, each by its own digest
        behind = tuple(dataset_lineage(workspace, label, check_sources=check_sources) for label in made_from)
    return Node("dataset", version.label, facts, (*_days(manifest, scans), *behind))


def _scans(catalog: Path, version: Version) -> dict[str, Any]:
    """The scan manifest of this very version; empty if there is none."""
    found = read_manifest(folder_of(catalog, version.label))
    return found if found.get("dataset") == version.digest else {}


def _days(manifest: Mapping[str, Any], scans: Mapping[str, Any]) -> tuple[Node, ...]:
    """Per day the digest of its rows and of its file; a scan day stands before the day it is made from."""
    scanned = scans.get("days", {})
    nodes = []
    for date, entry in sorted(manifest["days"].items()):
        facts = {key: entry[key] for key in ("content", "sha256", "rows")}
        day = Node("day", date, facts, tuple(Node("source", file, {}) for file in entry.get("sources", ())))
        files = (scanned.get(date) or {}).get("files", {})
        if files:
            digests = {file: what["sha256"] for file, what in files.items()}
            facts = {"scanner": scans.get("scanner"), "files": digests, "content": entry["content"]}
            day = Node("scan day", date, facts, (day,))
        nodes.append(day)
    return tuple(nodes)


def _sources(manifest: Mapping[str, Any], check: bool) -> tuple[Node, ...]:
    """The files that the rows were read from; what has none was generated."""
    sources = manifest.get("sources")
    if not sources:
        what = {key: manifest[key] for key in ("preset", "seed") if key in manifest}
        return (Node("made by", str(manifest.get("made", "unknown")), what),)
    source = Path(str(manifest.get("source", "")))
    nodes = []
    for entry in sources:
        facts, broken = dict(entry), ""
        if check:
            path = next((p for p in (Path(entry["file"]), source / entry["file"], source) if p.is_file()), None)
            if path is None:
                broken = "not on this machine any more"
            elif sha256_file(path) != entry["sha256"]:
                broken = "changed since it was imported"
        nodes.append(Node("source", entry["file"], facts, (), broken))
    return tuple(nodes)
