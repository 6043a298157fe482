"""A version in the making: drafted in a folder of its own, synced, moved into place whole, then pointed at.

Whatever interrupts this, the old manifest and the old files are still there. Each version keeps a manifest
of its own, so that it stays readable when the name means another one; a day whose rows did not change is
the same file in both (a hard link).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog.store.layout import (
    VERSION_MANIFEST,
    Identity,
    check_name,
    current_manifest,
    damaged_files,
    dataset_digest,
    kind_of,
    manifest_path,
    rows_digest,
    version_folder,
    writing,
)
from dolphin.catalog.store.sessions import session_closes
from dolphin.errors import Damaged, DolphinError, NotFound
from dolphin.files import canonical_json, read_json, sha256_file, sync, sync_files, write_json
from dolphin.locks import hold
from dolphin.times import format_day, format_spacing

_DAY = ("file", "rows", "bytes", "sha256", "content", "first_ts", "last_ts")


def write_parquet(frame: pl.DataFrame, path: Path) -> str:
    """Write one zstd Parquet file of a draft; return its SHA-256. Publishing syncs it."""
    with writing(path):
        frame.write_parquet(path, compression="zstd", compression_level=3, row_group_size=1 << 20)
        return sha256_file(path)


@dataclass
class Draft:
    """A version in the making; see :func:`drafting`."""

    catalog: Path
    name: str
    folder: Path
    current: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "bars"
    identity: Identity | None = None
    days: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def stage(self) -> Path:
        """Scratch space that never becomes part of the version."""
        path = self.folder / "stage"
        path.mkdir(exist_ok=True)
        return path

    def write_day(self, day: int, frame: pl.DataFrame) -> None:
        """Add one UTC day: real rows only, sorted by symbol and close time."""
        assert self.identity is not None
        date = format_day(day)
        folder = self.folder / format_spacing(self.identity.spacing_ns)
        with writing(folder):
            folder.mkdir(exist_ok=True)
        path = folder / f"date={date}.parquet"
        frame = frame.select(self.identity.columns)
        content = rows_digest(frame, self.identity.symbols)
        linked = self._link(date, content, path)
        if linked is not None:
            self.days[date] = linked
            return
        sha256 = write_parquet(frame, path)
        ts = frame["ts"]
        values = (
            f"{folder.name}/{path.name}",
            frame.height,
            path.stat().st_size,
            sha256,
            content,
            ts.min(),
            ts.max(),
        )
        self.days[date] = dict(zip(_DAY, values, strict=True))

    def _link(self, date: str, content: str, path: Path) -> dict[str, Any] | None:
        """The day's entry if the version that holds now has the very rows, its file linked to ``path``."""
        assert self.identity is not None
        identity, old = self.identity.as_dict(), self.current
        if any(old.get(key) != identity.get(key) for key in ("schema", "symbols", "spacing_ns", "quotes")):
            return None
        entry = old.get("days", {}).get(date, {})
        if entry.get("content") != content:
            return None
        source = version_folder(self.catalog, self.name, old["digest"]) / entry["file"]
        try:
            if sha256_file(source) != entry["sha256"]:
                return None
            os.link(source, path)
        except OSError:  # gone, or a file system without links: written again then
            return None
        return {key: entry[key] for key in _DAY}

    def write_file(self, name: str, rows: pl.LazyFrame) -> None:
        """Add a Parquet file that tells of the version and does not enter its digest: quality, rejected rows."""
        path = self.folder / name
        with writing(path):
            path.parent.mkdir(exist_ok=True)
            rows.sink_parquet(path, compression="zstd", compression_level=3)
            height = pl.scan_parquet(path).select(pl.len()).collect().item()
            self.files[name] = {"file": name, "rows": height, "sha256": sha256_file(path)}

    def set_aside(self, rejected: pl.DataFrame) -> None:
        """Keep the rows that quality rules refused: a file per name in the column ``rule``."""
        if rejected.height:
            for (rule,), rows in rejected.group_by("rule", maintain_order=True):
                self.write_file(f"rejected/{rule}.parquet", rows.lazy())

    def publish(self, about: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Move the version of bars into place and point the manifest at it; see :meth:`commit`."""
        assert self.identity is not None and self.days
        identity = self.identity.as_dict()
        days = dict(sorted(self.days.items()))
        first = min(entry["first_ts"] for entry in days.values())
        last = max(entry["last_ts"] for entry in days.values())
        manifest = {
            **identity,
            "name": self.name,
            "spacing": format_spacing(self.identity.spacing_ns),
            "digest": dataset_digest(identity, days),
            "rows": sum(entry["rows"] for entry in days.values()),
            "bars": len(session_closes(self.identity.calendar, first, last, self.identity.spacing_ns)),
            "first_ts": first,
            "last_ts": last,
            "days": days,
            **about,
        }
        return self.commit(manifest)

    def commit(self, manifest: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Move the version into place and point its finished manifest, which tells the digest, at it.

        Returns
        -------
        manifest : dict
            The one that holds now.
        unchanged : bool
            True if the name meant this very version, intact, with the same files beside the rows; of the
            manifest, notes and sources are brought up to date all the same.
        """
        shutil.rmtree(self.folder / "stage", ignore_errors=True)
        manifest["files"] = dict(sorted(self.files.items()))
        digest, path = manifest["digest"], manifest_path(self.catalog, self.name)
        target = version_folder(self.catalog, self.name, digest, self.kind)
        own = self._manifest_of(target, digest)
        if own and _same(own, manifest):
            manifest = own
        unchanged = bool(own) and self.current.get("digest") == digest and _hashes(own) == _hashes(manifest)
        if own and manifest is own and self.current == own:
            return own, True
        self._keep_current()
        with writing(target):
            if damaged_files(self.catalog, {**manifest, "files": {}}):  # no such rows there, as a rule
                write_json(self.folder / VERSION_MANIFEST, manifest)
                self._move(target)
            elif manifest is not own:
                self._add_files(target, manifest, own)
                write_json(target / VERSION_MANIFEST, manifest)
        write_json(path, manifest)
        return manifest, unchanged

    def _manifest_of(self, target: Path, digest: str) -> dict[str, Any]:
        """The manifest of the version in ``target`` if that is this one and intact, else nothing."""
        file = target / VERSION_MANIFEST
        try:
            own = read_json(file) if file.is_file() else dict(self.current)
        except (NotFound, Damaged):
            return {}
        if not isinstance(own, dict) or own.get("digest") != digest or damaged_files(self.catalog, own):
            return {}
        return own

    def _keep_current(self) -> None:
        """Give the version that holds now a manifest of its own, if it was made without one."""
        if self.current:
            folder = version_folder(self.catalog, self.name, self.current["digest"], self.kind)
            if folder.is_dir() and not (folder / VERSION_MANIFEST).is_file():
                write_json(folder / VERSION_MANIFEST, self.current)

    def _move(self, target: Path) -> None:
        """Put the draft where the version belongs; a damaged one there makes way."""
        if target.exists():
            target.rename(Path(tempfile.mkdtemp(dir=target.parent, prefix=".old.")) / target.name)
        sync_files(path for path in self.folder.rglob("*") if path.is_file())
        for folder in (*(p for p in self.folder.rglob("*") if p.is_dir()), self.folder):
            sync(folder)
        self.folder.rename(target)
        sync(target.parent)

    def _add_files(self, target: Path, manifest: dict[str, Any], own: Mapping[str, Any]) -> None:
        """Put the files beside the rows into a version that is there; those of an earlier import stay."""
        there = own.get("files", {})
        for name, entry in manifest["files"].items():
            if there.get(name, {}).get("sha256") == entry["sha256"]:
                manifest["files"][name] = there[name]
                continue
            place = target / name
            if place.exists():
                place = place.with_name(f"{place.stem}-{entry['sha256'][:16]}{place.suffix}")
            place.parent.mkdir(exist_ok=True)
            sync(self.folder / name)
            (self.folder / name).rename(place)
            sync(place.parent)
            manifest["files"][name] = {**entry, "file": str(place.relative_to(target))}
        sync(target)


def _hashes(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in manifest.get("files", {}).items()}


def _same(own: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Whether two manifests say the same, however the files are called and whichever import it was."""
    aside = ("files", "ingest_id")
    one, two = ({k: v for k, v in m.items() if k not in aside} for m in (own, manifest))
    return canonical_json(one) == canonical_json(two) and _hashes(own) == _hashes(manifest)


@contextmanager
def drafting(catalog: Path, name: str, kind: str = "bars") -> Iterator[Draft]:
    """A draft of a new version of ``name``; without ``publish`` it leaves nothing behind.

    Raises
    ------
    DolphinError
        On a bad name, one that means data of another kind, a full disk, or while another process writes
        the same dataset.
    """
    check_name(name)
    current = current_manifest(catalog, name)
    if current and kind_of(current) != kind:
        raise DolphinError(f"'{name}' names {kind_of(current)} already, not {kind}", mend="choose another --name")
    home = catalog / kind / name
    fresh = not home.exists()
    with hold(home / ".lock", busy="another process is writing this dataset", where=name):
        _sweep(home)
        _sweep_manifests(catalog, home)
        try:  # from here on an interrupt leaves nothing behind
            with writing(home):
                folder = Path(tempfile.mkdtemp(dir=home, prefix=".draft."))
                folder.chmod(0o755)
            yield Draft(catalog, name, folder, current_manifest(catalog, name), kind)
        finally:
            _sweep(home)
            if fresh and [p.name for p in home.iterdir()] == [".lock"]:
                shutil.rmtree(home, ignore_errors=True)


def _sweep(home: Path) -> None:
    """Remove what an interrupted writer left; only its holder of the lock may call this."""
    for leftover in (*home.glob(".draft.*"), *home.glob(".old.*")):
        shutil.rmtree(leftover, ignore_errors=True)


def _sweep_manifests(catalog: Path, home: Path) -> None:
    """Remove manifests that a killed writer had not yet moved into place; under the same lock."""
    for leftover in (*catalog.glob(f".{home.name}.json.????????.part"), *home.glob("*/.*.part")):
        leftover.unlink(missing_ok=True)
