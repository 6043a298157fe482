"""Immutable datasets that are not bars: ticks, features of other producers, external series, risk tables.

They are versions like those of bars: drafted, synced, moved into place whole, named by a manifest. A part
is one date, or one symbol of one date, in ``<kind>/<name>/<digest>/date=D[/symbol=S]/<kind>.parquet``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog.store.draft import Draft, drafting, write_parquet
from dolphin.catalog.store.intact import check_files
from dolphin.catalog.store.layout import (
    check_name,
    check_sizes,
    damaged_files,
    kind_of,
    manifest_path,
    mend_of,
    unknown_dataset,
    version_folder,
    writing,
)
from dolphin.catalog.store.versions import find_version, split_name
from dolphin.errors import Damaged, DamagedFile, DolphinError, MissingFile
from dolphin.files import canonical_json, read_json, sha256_bytes
from dolphin.progress import Progress
from dolphin.workspace import Workspace

TABLE_KINDS = ("ticks", "features", "series", "risk")
TABLE_SCHEMA = 1
TIME = {"ticks": "ts", "features": "ts", "series": "available_ts", "risk": "ts"}

Part = tuple[str, str | None, pl.DataFrame]
About = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
Parts = Iterable[Part] | Callable[[Path], Iterable[Part]]


@dataclass(frozen=True)
class Table:
    """One immutable version of a table; see :func:`open_table`.

    Attributes
    ----------
    kind : {"ticks", "features", "series", "risk"}
        What its rows are.
    digest : str
        SHA-256 of columns and rows: equal on every machine for equal data, whatever Parquet does.
    unchanged : bool
        True where :func:`write_table` found this very version in place and wrote nothing.
    """

    name: str
    kind: str
    digest: str
    root: Path = field(repr=False)
    manifest: Mapping[str, Any] = field(repr=False, compare=False)
    unchanged: bool = field(default=False, repr=False, compare=False)

    @property
    def dates(self) -> tuple[str, ...]:
        """Every date that has a file (``YYYY-MM-DD``); series have one a year, its first of January."""
        return tuple(sorted({entry["date"] for entry in self.manifest["days"].values()}))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the rows; none where the rows have no symbol."""
        return tuple(self.manifest["symbols"])

    @property
    def files(self) -> tuple[Path, ...]:
        """Every Parquet file, by date and symbol, checked against the manifest at first opening."""
        return self._checked(entry for _, entry in sorted(self.manifest["days"].items()))

    def files_of(self, date: str) -> tuple[Path, ...]:
        """The Parquet files of one date, by symbol."""
        days = sorted(self.manifest["days"].items())
        return self._checked(entry for _, entry in days if entry["date"] == date)

    def frame(self) -> pl.LazyFrame:
        """All rows, by date, symbol and time."""
        return pl.scan_parquet(list(self.files), hive_partitioning=False)

    def day(self, date: str) -> pl.DataFrame:
        """The rows of one date, after checking its files against the manifest.

        Raises
        ------
        DolphinError
            If a file is missing or damaged, or there is no such date.
        """
        entries = [entry for _, entry in sorted(self.manifest["days"].items()) if entry["date"] == date]
        if not entries:
            raise DolphinError(
                f"no rows of {date}", where=self.name, mend=f"it has {' to '.join(self.dates[:1] + self.dates[-1:])}"
            )
        return pl.concat([self._read(entry) for entry in entries])

    def _read(self, entry: Mapping[str, Any]) -> pl.DataFrame:
        return pl.read_parquet(self._checked([entry])[0], hive_partitioning=False)

    def _checked(self, entries: Iterable[Mapping[str, Any]]) -> tuple[Path, ...]:
        chosen = list(entries)
        folder = version_folder(self.root, self.name, self.digest, self.kind)
        check_files(folder, ((entry["file"], entry["sha256"]) for entry in chosen), mend_of(self.manifest))
        return tuple(folder / entry["file"] for entry in chosen)

    def _path(self, entry: Mapping[str, Any]) -> Path:
        return version_folder(self.root, self.name, self.digest, self.kind) / entry["file"]


def write_table(
    workspace: Workspace,
    name: str,
    *,
    kind: str,
    parts: Parts,
    about: About,
    rejected: Callable[[], pl.DataFrame] | None = None,
    progress: Progress | None = None,
) -> Table:
    """Publish a table, one file per part.

    Parameters
    ----------
    kind : {"ticks", "features", "series", "risk"}
        What the rows are.
    parts : iterable of (date, symbol or None, frame), or a callable that gives one
        Each sorted, all of the same columns; taken one at a time, so that memory holds one. A callable
        gets a scratch folder that is gone afterwards.
    about : mapping, or a callable that gives one after the last part
        Goes into the manifest: ``source``, ``made``, ``sources`` (file, SHA-256, rows), ``notes``, ...
    rejected : callable, optional
        Gives, after the last part, the rows that a quality rule refused.

    Raises
    ------
    DolphinError
        Where there is no row, the name means another kind of data, the disk is full, or another process
        writes the same name. What the name meant before stays.
    """
    if kind not in TABLE_KINDS:
        raise ValueError(f"not a kind of table: {kind!r}")
    with drafting(workspace.catalog, name, kind) as draft:
        columns: dict[str, str] = {}
        symbols: set[str] = set()
        for date, symbol, frame in parts(draft.stage) if callable(parts) else parts:
            found = {c: str(dtype) for c, dtype in frame.schema.items()}
            if columns and found != columns:
                raise ValueError(f"{date}: columns {found}, those before {columns}")
            columns = found
            _add(draft, date, symbol, frame)
            if "symbol" in columns:
                symbols.update(frame["symbol"].drop_nulls().unique().to_list())
            if progress:
                progress(len(draft.days), len(draft.days), f"writing {name}")
        if rejected is not None:
            draft.set_aside(rejected())
        if not draft.days:
            raise DolphinError("no row is left", where=name, mend="check --from, --to and the data")
        manifest = _manifest(draft, columns, sorted(symbols), about() if callable(about) else about)
        committed, unchanged = draft.commit(manifest)
    return Table(name, kind, committed["digest"], workspace.catalog, committed, unchanged)


def _add(draft: Draft, date: str, symbol: str | None, frame: pl.DataFrame) -> None:
    """Write one part and enter it."""
    key = date if symbol is None else f"{date}/{symbol}"
    if key in draft.days:
        raise ValueError(f"part {key} twice")
    file = f"date={date}" + (f"/symbol={symbol}" if symbol is not None else "") + f"/{draft.kind}.parquet"
    path = draft.folder / file
    with writing(path):
        path.parent.mkdir(parents=True)
    sha256 = write_parquet(frame, path)
    time = frame[TIME[draft.kind]]
    draft.days[key] = {
        "date": date,
        "symbol": symbol,
        "file": file,
        "rows": frame.height,
        "bytes": path.stat().st_size,
        "sha256": sha256,
        "content": frame_digest(frame),
        "first_ts": time.min(),
        "last_ts": time.max(),
    }


def _manifest(draft: Draft, columns: dict[str, str], symbols: list[str], about: Mapping[str, Any]) -> dict[str, Any]:
    identity = {"schema": TABLE_SCHEMA, "kind": draft.kind, "columns": columns}
    days = dict(sorted(draft.days.items()))
    return {
        **identity,
        "name": draft.name,
        "digest": table_digest(identity, days),
        "symbols": symbols,
        "rows": sum(entry["rows"] for entry in days.values()),
        "first_ts": min(entry["first_ts"] for entry in days.values()),
        "last_ts": max(entry["last_ts"] for entry in days.values()),
        "days": days,
        "ingest_id": str(uuid.uuid4()),
        **about,
    }


def table_digest(identity: Mapping[str, Any], days: Mapping[str, Mapping[str, Any]]) -> str:
    """SHA-256 of kind, columns and, per part, the digest of its rows."""
    kept = {key: identity[key] for key in ("schema", "kind", "columns")}
    return sha256_bytes(canonical_json({**kept, "days": {key: entry["content"] for key, entry in days.items()}}))


def frame_digest(frame: pl.DataFrame) -> str:
    """SHA-256 over names, types and values of a frame, little-endian; decimals as 128-bit integers."""
    parts = [canonical_json([[name, str(dtype)] for name, dtype in frame.schema.items()])]
    for column in frame.iter_columns():
        parts += _column_bytes(column)
    return sha256_bytes(b"".join(parts))


def _column_bytes(column: pl.Series) -> list[bytes]:
    dtype, there = column.dtype, column.is_not_null().to_numpy()
    parts = [np.packbits(there, bitorder="little").tobytes()]
    values = column.drop_nulls()
    if dtype == pl.String:
        parts.append(values.str.len_bytes().to_numpy().astype("<i8").tobytes())
        parts.append("".join(values.to_list()).encode())
    elif isinstance(dtype, pl.List):
        parts.append(values.list.len().to_numpy().astype("<i8").tobytes())
        parts += _column_bytes(values.list.explode(empty_as_null=False))
    elif isinstance(dtype, pl.Decimal):
        whole = values.rechunk().to_arrow()
        begin = 16 * whole.offset
        parts.append(memoryview(whole.buffers()[1] or b"")[begin : begin + 16 * len(whole)].tobytes())
    elif dtype == pl.Boolean:
        parts.append(values.to_numpy().astype("u1").tobytes())
    elif dtype.is_integer():
        parts.append(values.to_numpy().astype("<i8").tobytes())
    elif dtype.is_float():
        numbers = values.to_numpy().astype("<f8") + 0.0
        numbers[np.isnan(numbers)] = np.nan  # the sign of a NaN differs between CPUs
        parts.append(numbers.tobytes())
    else:
        raise ValueError(f"column '{column.name}' is {dtype}: no table holds that")
    return parts


def open_table(workspace: Workspace, name: str) -> Table:
    """The current version of a table; with ``name@digest`` that version.

    Raises
    ------
    DolphinError
        If there is none of that name, it holds bars, or its manifest or files are damaged or not here.
    """
    name, digest = split_name(name)
    check_name(name)
    path = manifest_path(workspace.catalog, name)
    if not path.is_file():
        raise unknown_dataset(workspace.catalog, name, "'dolphin data import'")
    manifest = read_json(path)
    if digest is not None:
        version = find_version(workspace.catalog, name, digest)
        manifest, path = version.manifest, version.manifest_file
    table = _from_manifest(workspace.catalog, manifest, path)
    sizes = [(entry["file"], entry["bytes"]) for entry in table.manifest["days"].values()]
    folder = version_folder(workspace.catalog, table.name, table.digest, table.kind)
    check_sizes(folder, sizes, mend_of(table.manifest))
    return table


def _from_manifest(catalog: Path, manifest: Any, path: Path) -> Table:
    if isinstance(manifest, dict) and kind_of(manifest) == "bars":
        raise DolphinError(f"'{path.stem}' holds bars, no table", mend="open it with open_dataset")
    mend = "restore it from git or import again"
    if not isinstance(manifest, dict) or manifest.get("kind") not in TABLE_KINDS:
        raise DolphinError("not a manifest of a table", where=str(path), mend=mend)
    if manifest.get("schema") != TABLE_SCHEMA:
        raise DolphinError(f"not a manifest of schema {TABLE_SCHEMA}", where=str(path), mend="import the data again")
    try:
        same = table_digest(manifest, manifest["days"]) == manifest["digest"]
        table = Table(manifest["name"], manifest["kind"], manifest["digest"], catalog, manifest)
        files = [(entry["file"], entry["date"], entry["bytes"]) for entry in manifest["days"].values()]
    except (KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"damaged manifest ({error})", where=str(path), mend=mend) from error
    if not same or not files:
        raise Damaged("damaged manifest (its digest does not match its contents)", where=str(path), mend=mend)
    return table


def verify_table(workspace: Workspace, name: str) -> list[str]:
    """Re-hash every file of a table and its rows; return one line per problem (none: intact)."""
    check_name(split_name(name)[0])
    try:
        table = open_table(workspace, name)
    except (MissingFile, DamagedFile):
        path = manifest_path(workspace.catalog, name)
        if not path.is_file():  # a version that its name does not mean any more
            raise
        return list(damaged_files(workspace.catalog, read_json(path)).values())
    damaged = damaged_files(workspace.catalog, table.manifest)
    problems = list(damaged.values())
    for entry in table.manifest["days"].values():
        path = table._path(entry)
        if path in damaged:
            continue
        if frame_digest(pl.read_parquet(path, hive_partitioning=False)) != entry["content"]:
            problems.append(f"{path}: its rows are not those of the dataset digest")
    return problems
