"""An opened dataset: what its manifest says, its rows, and its prices on the full time grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog.store.cache import Arrays, Writer, cached
from dolphin.catalog.store.cache_limit import read_limit, shrink
from dolphin.catalog.store.filling import Filler
from dolphin.catalog.store.instruments import Instrument
from dolphin.catalog.store.intact import check_files
from dolphin.catalog.store.layout import (
    SCHEMA_VERSION,
    check_name,
    check_sizes,
    columns_of,
    damaged_files,
    dataset_digest,
    dataset_names,
    kind_of,
    label_of,
    manifest_path,
    mend_of,
    rows_digest,
    unknown_dataset,
    version_folder,
)
from dolphin.catalog.store.sessions import ALWAYS_OPEN, calendar, session_closes
from dolphin.catalog.store.versions import find_version, split_name
from dolphin.errors import Damaged, DamagedFile, DolphinError, MissingFile
from dolphin.files import read_json
from dolphin.times import DAY_NS, days_between, format_day
from dolphin.workspace import Workspace


class Prices(NamedTuple):
    """Closing prices of every symbol at every bar of the grid.

    Attributes
    ----------
    ts : int64 [T]
        Close of the bar, ns UTC, one spacing apart without holes.
    close : float64 [T, N]
        Price, forward-filled; NaN before a symbol's first.
    age : int32 [T, N]
        Bars since the last real price: 0 is real, -1 is before the first.
    """

    ts: NDArray[np.int64]
    close: NDArray[np.float64]
    age: NDArray[np.int32]


@dataclass(frozen=True)
class Dataset:
    """One immutable version of a dataset; see :func:`open_dataset`.

    ``digest`` is the SHA-256 of its logical content: equal on every machine for equal data. ``pinned``
    is True for a version that its name does not mean any more.
    """

    name: str
    digest: str
    spacing_ns: int
    symbols: tuple[str, ...]
    reference: str
    instruments: tuple[Instrument, ...]
    synthetic: bool
    source: str
    n_bars: int
    first_ts: int
    last_ts: int
    root: Path = field(repr=False)
    manifest: Mapping[str, Any] = field(repr=False, compare=False)
    pinned: bool = field(default=False, repr=False, compare=False)

    @property
    def days(self) -> tuple[str, ...]:
        """Every UTC day that has a bar of the grid (``YYYY-MM-DD``), also those without a row."""
        if self.calendar == ALWAYS_OPEN and self.spacing_ns <= DAY_NS:
            return tuple(format_day(d) for d in days_between(self.first_ts, self.last_ts))
        return tuple(format_day(int(d)) for d in np.unique(self.grid() // DAY_NS))

    @property
    def session_dates(self) -> tuple[str, ...]:
        """Every session date of the grid: its UTC days where it is always open."""
        sessions = calendar(self.calendar, self.spacing_ns)
        first, last = sessions.date_of(np.array([self.first_ts, self.last_ts])).tolist()
        return tuple(format_day(d) for d in sessions.days(first, last + 1))

    @property
    def calendar(self) -> str:
        """Whose sessions the grid follows: ``ALWAYS_OPEN``, or an exchange's calendar."""
        return str(self.manifest.get("calendar", ALWAYS_OPEN))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its rows: symbol, ts, open, high, low, close, volume; bid and ask where it has quotes."""
        return columns_of(self.manifest)

    @property
    def label(self) -> str:
        """What opens this very version: the name, or ``name@digest`` if it is pinned."""
        return label_of(self.name, self.digest, current=not self.pinned)

    @property
    def reference_column(self) -> int:
        """Column of the reference symbol."""
        return self.symbols.index(self.reference)

    @property
    def cache_root(self) -> Path:
        """Folder of the hot caches."""
        return self.root / "cache"

    def grid(self) -> NDArray[np.int64]:
        """Close of every bar, ns UTC, ascending, int64 [T]: one spacing apart, without holes inside a session."""
        if self.calendar != ALWAYS_OPEN:
            return session_closes(self.calendar, self.first_ts, self.last_ts, self.spacing_ns)
        return self.first_ts + self.spacing_ns * np.arange(self.n_bars, dtype=np.int64)

    def prices(self) -> Prices:
        """Closing prices from the hot cache, which is built when missing or damaged."""
        arrays = self.cached("prices", self._build_prices)
        return Prices(arrays["ts"], arrays["close"], arrays["age"])

    def cached(self, what: str, build: Callable[[Writer], None], version: str = "") -> Arrays:
        """Arrays derived from this dataset, from the hot cache, which is kept within its limit.

        Parameters
        ----------
        what : str
            What they are, e.g. ``prices``.
        build : callable
            Writes them; see :func:`dolphin.catalog.store.cache.cached`.
        version : str
            Digest of all that they depend on beside the dataset.
        """
        key = "-".join(part[:20] for part in (what, self.digest, version) if part)
        about = {"what": what, "dataset": self.name, "digest": self.digest}
        limit = read_limit(Workspace(self.root.parent))

        def after() -> None:
            if limit is not None:
                shrink(self.root, limit, keep=self.digest)

        return cached(self.cache_root, key, build, about=about, after=after)

    def frame(self) -> pl.LazyFrame:
        """The rows as they were stored: :attr:`columns`; ``ts`` is the close, ns."""
        return pl.scan_parquet(self.files(), hive_partitioning=False)

    def files(self, dates: Sequence[str] | None = None) -> list[Path]:
        """The Parquet files of these days, by default of all, checked against the manifest at first opening.

        Raises
        ------
        DolphinError
            If one is missing or damaged; its name is in the message.
        """
        dates = tuple(self.manifest["days"]) if dates is None else dates
        entries = [self.manifest["days"][date] for date in dates]
        folder = version_folder(self.root, self.name, self.digest)
        check_files(folder, ((entry["file"], entry["sha256"]) for entry in entries), mend_of(self.manifest))
        return [folder / entry["file"] for entry in entries]

    def day(self, date: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows (of these columns, by default all) of one UTC day, after checking the file against the manifest.

        Raises
        ------
        DolphinError
            If the file is missing or damaged; its name is in the message.
        """
        return pl.read_parquet(self.files([date])[0], columns=list(columns or self.columns), hive_partitioning=False)

    def _path(self, date: str) -> Path:
        return version_folder(self.root, self.name, self.digest) / self.manifest["days"][date]["file"]

    def _build_prices(self, writer: Writer) -> None:
        """Day by day: memory holds one day's rows, and the last price and age of every symbol."""
        grid, shape = self.grid(), (self.n_bars, len(self.symbols))
        writer.put("ts", grid)
        close = writer.array("close", shape, np.float64)
        age = writer.array("age", shape, np.int32)
        self.files()  # all at once, before the first is read
        fill, symbols, low = Filler(shape[1]), pl.Enum(list(self.symbols)), 0
        for date in sorted(self.manifest["days"]):
            frame = self.day(date, ("symbol", "ts", "close"))
            column = frame["symbol"].cast(symbols).to_physical().to_numpy()
            row = self.rows_of(grid, frame["ts"].to_numpy(), date)
            high = int(row.max()) + 1
            close[low:high] = np.nan
            close[row, column] = frame["close"].to_numpy()
            fill(close[low:high], age[low:high])
            low = high

    def rows_of(self, grid: NDArray[np.int64], ts: NDArray[np.int64], date: str) -> NDArray[np.int64]:
        """Rows of the grid at which these bars close."""
        row = np.clip((ts - grid[0]) // self.spacing_ns, 0, len(grid) - 1)
        if not (grid[row] == ts).all():  # a grid with holes
            row = np.minimum(np.searchsorted(grid, ts), len(grid) - 1)
            if not (grid[row] == ts).all():
                raise Damaged("rows off the grid", where=str(self._path(date)), mend=mend_of(self.manifest))
        return row


def list_datasets(workspace: Workspace) -> list[str]:
    """Names of the datasets that have a manifest."""
    return dataset_names(workspace.catalog)


def open_dataset(workspace: Workspace, name: str) -> Dataset:
    """The current version of a dataset; with ``name@digest`` (8 digits or more) that version.

    Raises
    ------
    DolphinError
        If there is none of that name (the nearest is suggested), or its manifest or files are damaged
        or not on this machine.
    """
    name, digest = split_name(name)
    check_name(name)
    path = manifest_path(workspace.catalog, name)
    if not path.is_file():
        raise unknown_dataset(workspace.catalog, name, "'dolphin data import' or 'data generate'")
    if digest is not None:
        version = find_version(workspace.catalog, name, digest)
        return from_manifest(workspace.catalog, version.manifest, version.manifest_file)
    return from_manifest(workspace.catalog, read_json(path), path)


def from_manifest(catalog: Path, manifest: dict[str, Any], path: Path) -> Dataset:
    """A dataset by its manifest; the manifest's digest and the files' sizes are checked."""
    if isinstance(manifest, dict) and (kind := kind_of(manifest)) != "bars":
        make = f"make bars of them: dolphin data bars {path.stem} --name N --spacing 1m"
        raise DolphinError(
            f"'{path.stem}' holds {kind}, no bars", mend=make if kind == "ticks" else "name a dataset of bars"
        )
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA_VERSION:
        raise DolphinError(f"not a manifest of schema {SCHEMA_VERSION}", where=str(path), mend="import the data again")
    try:
        instruments = tuple(Instrument(**entry) for entry in manifest["instruments"])
        dataset = Dataset(
            name=manifest["name"],
            digest=manifest["digest"],
            spacing_ns=manifest["spacing_ns"],
            symbols=tuple(manifest["symbols"]),
            reference=manifest["reference"],
            instruments=instruments,
            synthetic=manifest["synthetic"],
            source=manifest["source"],
            n_bars=manifest["bars"],
            first_ts=manifest["first_ts"],
            last_ts=manifest["last_ts"],
            root=catalog,
            manifest=manifest,
            pinned=path != manifest_path(catalog, manifest["name"]),
        )
        identity = ["schema", "spacing_ns", "symbols", "reference", "instruments", "synthetic"]
        identity += [key for key in ("calendar", "quotes") if key in manifest]
        digest = dataset_digest({key: manifest[key] for key in identity}, manifest["days"])
        sizes = {entry["file"]: entry["bytes"] for entry in manifest["days"].values()}
    except (KeyError, TypeError, AttributeError) as error:
        raise Damaged(
            f"damaged manifest ({error})", where=str(path), mend="restore it from git or import again"
        ) from error
    if digest != dataset.digest:
        raise Damaged(
            "damaged manifest (its digest does not match its contents)",
            where=str(path),
            mend="restore it from git or import again",
        )
    check_sizes(version_folder(catalog, dataset.name, dataset.digest), sizes.items(), mend_of(manifest))
    return dataset


def verify(workspace: Workspace, name: str) -> list[str]:
    """Re-hash every file of a dataset and its rows; return one line per problem (none: intact)."""
    path = manifest_path(workspace.catalog, name)
    try:
        dataset = open_dataset(workspace, name)
    except (MissingFile, DamagedFile):
        if not path.is_file():  # a version that its name does not mean any more
            raise
        return list(damaged_files(workspace.catalog, read_json(path)).values())
    damaged = damaged_files(workspace.catalog, dataset.manifest)
    problems = list(damaged.values())
    for date, entry in dataset.manifest["days"].items():
        if dataset._path(date) in damaged:
            continue
        frame = pl.read_parquet(dataset._path(date), columns=list(dataset.columns), hive_partitioning=False)
        if rows_digest(frame, dataset.symbols) != entry["content"]:
            problems.append(f"{dataset._path(date)}: its rows are not those of the dataset digest")
    return problems
