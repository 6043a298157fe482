"""Immutable dataset versions: where their files lie, what their digest covers, whether they are intact."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog.store.instruments import Instrument
from dolphin.catalog.store.intact import check_files
from dolphin.catalog.store.sessions import ALWAYS_OPEN
from dolphin.errors import Damaged, DamagedFile, DolphinError, MissingFile, NotFound, nearest
from dolphin.files import canonical_json, read_json, sha256_bytes, sha256_file

SCHEMA_VERSION = 1
COLUMNS = ("symbol", "ts", "open", "high", "low", "close", "volume")
VALUES = COLUMNS[2:]
#: The best bid and offer at the close: rows of a dataset have both, or neither; null where nobody quoted.
QUOTES = ("bid", "ask")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
#: The manifest of a version, inside its folder.
VERSION_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Identity:
    """What, beside the rows, makes a dataset the one it is; it enters the digest."""

    spacing_ns: int
    symbols: tuple[str, ...]
    reference: str
    instruments: tuple[Instrument, ...]
    synthetic: bool = False
    calendar: str = ALWAYS_OPEN
    quotes: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its rows."""
        return columns_of(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """The part of the manifest that the digest covers, days aside."""
        # a dataset of around the clock, or without quotes, does not say so, as it did before there were others
        calendar = {} if self.calendar == ALWAYS_OPEN else {"calendar": self.calendar}
        quotes = {"quotes": True} if self.quotes else {}
        return {
            **calendar,
            **quotes,
            "schema": SCHEMA_VERSION,
            "spacing_ns": self.spacing_ns,
            "symbols": list(self.symbols),
            "reference": self.reference,
            "instruments": [i.as_dict() for i in self.instruments],
            "synthetic": self.synthetic,
        }


def columns_of(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of a dataset's rows."""
    return (*COLUMNS, *QUOTES) if manifest.get("quotes") else COLUMNS


def dataset_digest(identity: Mapping[str, Any], days: Mapping[str, Mapping[str, Any]]) -> str:
    """SHA-256 of the logical content: identity and, per day, the digest of its rows.

    It does not depend on how Parquet encodes them, hence not on the machine or the writer's version.
    """
    rows = {date: entry["content"] for date, entry in days.items()}
    return sha256_bytes(canonical_json({**identity, "days": rows}))


def rows_digest(frame: pl.DataFrame, symbols: Sequence[str]) -> str:
    """SHA-256 over the columns of one day, rows sorted by symbol and time, little-endian; no quote is NaN."""
    order = frame["symbol"].cast(pl.Enum(list(symbols))).to_physical().to_numpy()
    digest = hashlib.sha256(np.ascontiguousarray(order, "<i4"))
    digest.update(np.ascontiguousarray(frame["ts"].to_numpy(), "<i8"))
    for name in VALUES:
        digest.update(np.ascontiguousarray(frame[name].to_numpy() + 0.0, "<f8"))
    for name in (name for name in QUOTES if name in frame.columns):
        values = frame[name].to_numpy()
        digest.update(np.ascontiguousarray(np.where(np.isnan(values), np.nan, values + 0.0), "<f8"))
    return digest.hexdigest()


def check_name(name: str) -> None:
    """Raise unless ``name`` can name a dataset."""
    if not NAME.fullmatch(name):
        raise DolphinError(f"'{name}' cannot name a dataset", mend="use letters, digits, '_', '-' and '.', at most 64")


def manifest_path(catalog: Path, name: str) -> Path:
    """The small file, versioned by git, that says what the dataset is now."""
    return catalog / f"{name}.json"


def version_folder(catalog: Path, name: str, digest: str, kind: str = "bars") -> Path:
    """Where the files of one version lie."""
    return catalog / kind / name / digest[:16]


def kind_of(manifest: Mapping[str, Any]) -> str:
    """What the rows of a dataset are: ``bars`` (their manifests do not say it), or a kind of table."""
    return str(manifest.get("kind", "bars"))


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """Turn what a full disk or a forbidden folder raises into one clear line."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DolphinError(
            f"cannot write: {_reason(error)}",
            where=str(where),
            mend="free some space or choose another folder; what was there before is untouched",
        ) from error


def _reason(error: Exception) -> str:
    """What the system said, without what a Parquet writer makes of it."""
    said = getattr(error, "strerror", None) or " ".join(str(error).split())
    system = re.search(r"\(os error (\d+)\)", said)
    if system:
        return os.strerror(int(system[1]))
    return "the disk took only a part of the file" if "File out of specification" in said else said


def files_beside(catalog: Path, manifest: Mapping[str, Any], folder: str) -> list[Path]:
    """The files beside the rows of a version: ``rejected`` (one per rule) or ``quality``."""
    home = version_folder(catalog, manifest["name"], manifest["digest"], kind_of(manifest))
    return sorted(home / file for file, _ in files_of(manifest, folder))


def checked_files_beside(catalog: Path, manifest: Mapping[str, Any], folder: str) -> list[Path]:
    """:func:`files_beside`, checked against the manifest at first opening."""
    home = version_folder(catalog, manifest["name"], manifest["digest"], kind_of(manifest))
    check_files(home, files_of(manifest, folder), f"make it again: {manifest.get('made', 'dolphin data import')}")
    return files_beside(catalog, manifest, folder)


def files_of(manifest: Mapping[str, Any], folder: str) -> list[tuple[str, str]]:
    """Name and SHA-256 of the files beside the rows of a version whose names begin with ``folder``."""
    found = [(e["file"], e["sha256"]) for name, e in manifest.get("files", {}).items() if name.startswith(folder)]
    if manifest.get("rejected") and folder == "rejected":  # of a version made before there was one per rule
        found.append((manifest["rejected"]["file"], manifest["rejected"]["sha256"]))
    return found


def current_manifest(catalog: Path, name: str) -> dict[str, Any]:
    """The manifest that the name means now; empty if there is none that can be read."""
    try:
        found = read_json(manifest_path(catalog, name))
    except (NotFound, Damaged):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("digest"), str) else {}


def dataset_names(catalog: Path) -> list[str]:
    """The names of all datasets, of whatever kind, in order."""
    return sorted(path.stem for path in catalog.glob("*.json"))


def current_manifests(catalog: Path) -> dict[str, dict[str, Any]]:
    """What every name of the catalog means now, by name; empty for one whose manifest cannot be read."""
    return {name: current_manifest(catalog, name) for name in dataset_names(catalog)}


def label_of(name: str, digest: str, *, current: bool) -> str:
    """What opens a version: the name, or ``name@digest`` for one that the name does not mean."""
    return name if current else f"{name}@{digest[:16]}"


def damaged_files(catalog: Path, manifest: Mapping[str, Any]) -> dict[Path, str]:
    """One line, by its path, per file of a version that is missing or whose SHA-256 is not the manifest's."""
    folder = version_folder(catalog, manifest["name"], manifest["digest"], kind_of(manifest))
    entries = [*manifest["days"].values(), *manifest.get("files", {}).values()]
    if manifest.get("rejected"):  # of a version made before rejected rows had a file per rule
        entries.append(manifest["rejected"])
    problems = {}
    for entry in entries:
        path = folder / entry["file"]
        if not path.is_file():
            problems[path] = f"{path}: missing"
        elif sha256_file(path) != entry["sha256"]:
            problems[path] = f"{path}: damaged (its SHA-256 is not the manifest's)"
    return problems


def check_sizes(folder: Path, files: Iterable[tuple[str, int]], mend: str) -> None:
    """Check that files of a folder are there, and as long as their manifest says; what they hold is not read.

    Raises
    ------
    MissingFile, DamagedFile
        For the first that is not.
    """
    for file, size in files:
        path = folder / file
        if not path.is_file():
            raise MissingFile("data file is missing", where=str(path), mend=mend)
        if path.stat().st_size != size:
            raise DamagedFile("damaged: digest differs from the manifest's", where=str(path), mend=mend)


def unknown_dataset(catalog: Path, name: str, make: str) -> NotFound:
    """Why a name opens nothing: the nearest that does, or how to ``make`` the first one."""
    known = dataset_names(catalog)
    return NotFound(
        f"no dataset '{name}'", where=str(catalog), mend=nearest(name, known) if known else f"make one with {make}"
    )


def mend_of(manifest: Mapping[str, Any]) -> str:
    """How a version whose files are missing or damaged is made again."""
    return f"make it again: {manifest.get('made', 'dolphin data import')}"
