"""Immutable dataset versions: daily Parquet files and the manifest that names them.

A version is drafted in a folder of its own, synced, moved into place whole, and only then does the
manifest point at it. Whatever interrupts this, the old manifest and the old files are still there.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog.instruments import Instrument
from dolphin.catalog.times import format_day, format_spacing
from dolphin.errors import DolphinError
from dolphin.files import canonical_json, read_json, sha256_bytes, sha256_file, sync, write_json

SCHEMA_VERSION = 1
COLUMNS = ("symbol", "ts", "open", "high", "low", "close", "volume")
VALUES = COLUMNS[2:]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Identity:
    """What, beside the rows, makes a dataset the one it is; it enters the digest."""

    spacing_ns: int
    symbols: tuple[str, ...]
    reference: str
    instruments: tuple[Instrument, ...]
    synthetic: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The part of the manifest that the digest covers, days aside."""
        return {
            "schema": SCHEMA_VERSION,
            "spacing_ns": self.spacing_ns,
            "symbols": list(self.symbols),
            "reference": self.reference,
            "instruments": [i.as_dict() for i in self.instruments],
            "synthetic": self.synthetic,
        }


def dataset_digest(identity: Mapping[str, Any], days: Mapping[str, Mapping[str, Any]]) -> str:
    """SHA-256 of the logical content: identity and, per day, the digest of its rows.

    It does not depend on how Parquet encodes them, hence not on the machine or the writer's version.
    """
    rows = {date: entry["content"] for date, entry in days.items()}
    return sha256_bytes(canonical_json({**identity, "days": rows}))


def rows_digest(frame: pl.DataFrame, symbols: Sequence[str]) -> str:
    """SHA-256 over the columns of one day, rows sorted by symbol and time, little-endian."""
    order = frame["symbol"].cast(pl.Enum(list(symbols))).to_physical().to_numpy()
    parts = [order.astype("<i4").tobytes(), frame["ts"].to_numpy().astype("<i8").tobytes()]
    parts += [(frame[name].to_numpy() + 0.0).astype("<f8").tobytes() for name in VALUES]
    return sha256_bytes(b"".join(parts))


def check_name(name: str) -> None:
    """Raise unless ``name`` can name a dataset."""
    if not NAME.fullmatch(name):
        raise DolphinError(f"'{name}' cannot name a dataset", mend="use letters, digits, '_', '-' and '.', at most 64")


def manifest_path(catalog: Path, name: str) -> Path:
    """The small file, versioned by git, that says what the dataset is now."""
    return catalog / f"{name}.json"


def version_folder(catalog: Path, name: str, digest: str) -> Path:
    """Where the files of one version lie."""
    return catalog / "bars" / name / digest[:16]


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """Turn what a full disk or a forbidden folder raises into one clear line."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DolphinError(
            f"cannot write: {reason}",
            where=str(where),
            mend="free some space or choose another folder; what was there before is untouched",
        ) from error


def write_parquet(frame: pl.DataFrame, path: Path) -> str:
    """Write and sync one zstd Parquet file; return its SHA-256."""
    with writing(path):
        frame.write_parquet(path, compression="zstd", compression_level=3, row_group_size=1 << 20)
        sync(path)
        return sha256_file(path)


@dataclass
class Draft:
    """A version in the making; see :func:`drafting`."""

    catalog: Path
    name: str
    folder: Path
    identity: Identity | None = None
    days: dict[str, dict[str, Any]] = field(default_factory=dict)
    rejected: dict[str, Any] | None = None

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
        frame = frame.select(COLUMNS)
        sha256 = write_parquet(frame, path)
        ts = frame["ts"]
        self.days[date] = {
            "file": f"{folder.name}/{path.name}",
            "rows": frame.height,
            "bytes": path.stat().st_size,
            "sha256": sha256,
            "content": rows_digest(frame, self.identity.symbols),
            "first_ts": ts.min(),
            "last_ts": ts.max(),
        }

    def set_aside(self, rejected: pl.DataFrame) -> None:
        """Keep the rows that a quality rule refused, with the rule's name."""
        if rejected.height:
            sha256 = write_parquet(rejected, self.folder / "rejected.parquet")
            self.rejected = {"file": "rejected.parquet", "rows": rejected.height, "sha256": sha256}

    def publish(self, about: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Move the version into place and point the manifest at it.

        Returns
        -------
        manifest : dict
            The one that holds now.
        unchanged : bool
            True if this very dataset was there, intact, and nothing was written.
        """
        assert self.identity is not None and self.days
        shutil.rmtree(self.folder / "stage", ignore_errors=True)
        identity = self.identity.as_dict()
        days = dict(sorted(self.days.items()))
        digest = dataset_digest(identity, days)
        first = min(entry["first_ts"] for entry in days.values())
        last = max(entry["last_ts"] for entry in days.values())
        manifest = {
            **identity,
            "name": self.name,
            "spacing": format_spacing(self.identity.spacing_ns),
            "digest": digest,
            "rows": sum(entry["rows"] for entry in days.values()),
            "bars": (last - first) // self.identity.spacing_ns + 1,
            "first_ts": first,
            "last_ts": last,
            "days": days,
            "rejected": self.rejected,
            **about,
        }
        target, path = version_folder(self.catalog, self.name, digest), manifest_path(self.catalog, self.name)
        old = read_json(path) if path.exists() and target.exists() else {}
        kept = old.get("digest") == digest and not damaged_files(self.catalog, old)
        if kept and old.get("rejected") == self.rejected:
            return old, True
        with writing(target):
            if kept:  # the same rows, but other ones were refused on the way: add those
                self._move_rejected(target, manifest)
            elif damaged_files(self.catalog, manifest):  # none of them there, as a rule
                self._move(target)
        write_json(path, manifest)
        return manifest, False

    def _move(self, target: Path) -> None:
        """Put the draft where the version belongs; a damaged one there makes way."""
        if target.exists():
            target.rename(Path(tempfile.mkdtemp(dir=target.parent, prefix=".old.")) / target.name)
        for folder in (*(p for p in self.folder.iterdir() if p.is_dir()), self.folder):
            sync(folder)
        self.folder.rename(target)
        sync(target.parent)

    def _move_rejected(self, target: Path, manifest: dict[str, Any]) -> None:
        """Add the rows set aside to an existing version, beside those of an earlier import."""
        if self.rejected is None:
            return
        file = self.rejected["file"]
        if (target / file).exists():
            file = f"rejected-{self.rejected['sha256'][:16]}.parquet"
        (self.folder / self.rejected["file"]).rename(target / file)
        sync(target)
        manifest["rejected"] = {**self.rejected, "file": file}


@contextmanager
def drafting(catalog: Path, name: str) -> Iterator[Draft]:
    """A draft of a new version of ``name``; without ``publish`` it leaves nothing behind.

    Raises
    ------
    DolphinError
        On a bad name, a full disk, or while another process writes the same dataset.
    """
    check_name(name)
    home = catalog / "bars" / name
    fresh = not home.exists()
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
        handle = os.open(home / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DolphinError(
                "another process is writing this dataset", where=name, mend="wait for it, then try again"
            ) from None
        _sweep(home)
        with writing(home):
            folder = Path(tempfile.mkdtemp(dir=home, prefix=".draft."))
            folder.chmod(0o755)
        try:
            yield Draft(catalog, name, folder)
        finally:
            _sweep(home)
            if fresh and [p.name for p in home.iterdir()] == [".lock"]:
                shutil.rmtree(home, ignore_errors=True)
    finally:
        os.close(handle)


def _sweep(home: Path) -> None:
    """Remove what an interrupted writer left; only its holder of the lock may call this."""
    for leftover in (*home.glob(".draft.*"), *home.glob(".old.*")):
        shutil.rmtree(leftover, ignore_errors=True)


def damaged_files(catalog: Path, manifest: Mapping[str, Any]) -> list[str]:
    """One line per file of a version that is missing or whose SHA-256 is not the manifest's."""
    folder = version_folder(catalog, manifest["name"], manifest["digest"])
    entries = [*manifest["days"].values()]
    if manifest.get("rejected"):
        entries.append(manifest["rejected"])
    problems = []
    for entry in entries:
        path = folder / entry["file"]
        if not path.is_file():
            problems.append(f"{path}: missing")
        elif sha256_file(path) != entry["sha256"]:
            problems.append(f"{path}: damaged (its SHA-256 is not the manifest's)")
    return problems
