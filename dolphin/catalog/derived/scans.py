"""Feature rows of a dataset on disk: one Parquet file per UTC day, one row per bar of the grid.

Where they lie and what they hold is :mod:`dolphin.catalog.store.scan_layout`'s to say. A manifest names the
dataset version and the scanner they were made from, and per day the digest of the prices it depends on: days
whose inputs are those of another version are kept for it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog.store.cache import Array, Arrays
from dolphin.catalog.store.dataset import Dataset
from dolphin.catalog.store.intact import check_files
from dolphin.catalog.store.layout import writing
from dolphin.catalog.store.scan_layout import (
    DETAIL,
    FEATURES,
    SCAN_NUMBER,
    SCAN_SCHEMA,
    STATE,
    day_files,
    feature_names,
    folder_of,
    manifest_of,
    read_manifest,
    state_file,
)
from dolphin.catalog.store.sessions import ALWAYS_OPEN
from dolphin.errors import DolphinError
from dolphin.files import publish, read_json, sha256_file, sweep, write_json
from dolphin.times import DAY_NS, parse_time

_RESCAN = "remove it and run 'dolphin scan' again"

FLUSH_SECONDS = 2.0  # between two writings of the manifest: what a kill may cost

#: Columns by name, each of the dtype that its day was scanned with.
Columns = Mapping[str, Array]


class ScanDays:
    """The scanned days of one dataset version by one scanner.

    Parameters
    ----------
    dataset : Dataset
    scanner : str
        Digest of the scanner (its sources and options).
    windows : sequence of int, optional
        Windows other than the default: their scans lie in a folder of their own.
    """

    def __init__(self, dataset: Dataset, scanner: str, windows: Sequence[int] | None = None) -> None:
        self.dataset = dataset
        self.features = feature_names(windows) if windows else FEATURES
        self.folder = scan_folder(dataset, windows)
        self._fresh = {"schema": SCAN_SCHEMA, "dataset": dataset.digest, "scanner": scanner}
        self._written: dict[str, Any] = {}
        self._flushed = 0.0
        self._before: dict[str, Any] | None = None  # the manifest's days when the first one was written

    @property
    def days(self) -> dict[str, Any]:
        """What the manifest says of each scanned day of this version: rows, files, inputs, content."""
        found = self._read()
        return (found["days"] if found.get("dataset") == self.dataset.digest else {}) | self._written

    def missing(self, *, deep: bool = False) -> tuple[str, ...]:
        """Days of the grid without an intact scan; ``deep`` re-hashes the files."""
        days = self.days
        return tuple(date for date in self.dataset.days if not self._intact(date, days.get(date), deep))

    def adopt(self, inputs: Callable[[str, int], str]) -> list[str]:
        """Take over the days of another version of the dataset that depend on equal prices.

        Parameters
        ----------
        inputs : callable
            Digest of what the first so many rows of a day depend on, or "" if it has not so many.

        Returns
        -------
        list of str
            Days taken over. One that has more rows now is still missing; see :meth:`begun`.
        """
        found = self._read()
        if not found["days"] or found["dataset"] == self.dataset.digest:
            return []
        known = set(self.dataset.days)
        kept = {
            date: entry
            for date, entry in found["days"].items()
            if date in known and entry["inputs"] and entry["inputs"] == inputs(date, entry["rows"])
        }
        write_json(manifest_of(self.folder), self._fresh | {"days": kept})
        return sorted(kept)

    def write(
        self,
        date: str,
        columns: Columns,
        close: NDArray[np.float64],
        inputs: str | None = None,
        state: Columns | None = None,
    ) -> None:
        """Write the scan of one day atomically; :meth:`flush` enters it in the manifest.

        Parameters
        ----------
        date : str
            ``YYYY-MM-DD``.
        columns : mapping of ndarray [T]
            ``ts`` (int64 ns close), all the features, and any further columns: they go to the detail.
        close : float64 [T, N]
            Prices of the symbols.
        inputs : str, optional
            Digest of what the rows depend on.
        state : mapping of ndarray, optional
            The scanner's state after the dataset's last row, kept in place of an older one.

        Raises
        ------
        DolphinError
            If the day was there with equal inputs and other contents: scans are append-only.
        """
        required = ("ts", *self.features)
        absent = [name for name in required if name not in columns]
        if absent:
            raise ValueError(f"scan columns missing: {absent}")
        content = _content(columns)
        if self._before is None:
            self._before = self.days
            sweep(self.folder, self.folder / DETAIL, self.folder / STATE)
        before = self._before.get(date)
        if before and inputs and before["inputs"] == inputs and before["content"] != content:
            raise DolphinError(
                "a day whose prices are unchanged would change: scans are append-only",
                where=str(self.folder / day_files(date)[0]),
                mend="run 'dolphin doctor'; remove the scan folder only if you know why",
            )
        prices = {symbol: close[:, j] for j, symbol in enumerate(self.dataset.symbols)}
        further = {name: values for name, values in columns.items() if name not in required}
        scan, detail = day_files(date)
        if before:
            self._forget(date)
        files = {
            scan: self._write_file(scan, {name: columns[name] for name in required} | prices),
            detail: self._write_file(detail, {"ts": columns["ts"]} | further),
        }
        entry = {"rows": int(columns["ts"].size), "files": files, "inputs": inputs, "content": content}
        self._written[date] = entry | ({"state": self._keep_state(date, state)} if state else {})
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def _write_file(self, file: str, columns: Columns) -> dict[str, Any]:
        """Write one Parquet file atomically; what the manifest says of it."""
        path = self.folder / file
        with publish(path) as part, writing(path):
            pl.DataFrame(columns).write_parquet(part, compression="zstd", compression_level=1)
        return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}

    def _forget(self, date: str) -> None:
        """Take a day out of the manifest before its files change: a kill leaves it missing, not damaged."""
        days = self.days
        if days.pop(date, None):
            write_json(manifest_of(self.folder), self._fresh | {"days": dict(sorted(days.items()))})

    def flush(self) -> None:
        """Enter what was written in the manifest (beside what others have entered meanwhile)."""
        if self._written:
            write_json(manifest_of(self.folder), self._fresh | {"days": dict(sorted(self.days.items()))})
            self._written.clear()
        self._flushed = time.monotonic()

    def read(self, days: Sequence[str] | None = None) -> Arrays:
        """Feature columns and ``ts``, one array each, of these days (by default the whole grid).

        Raises
        ------
        DolphinError
            If a day is missing or its file damaged.
        """
        days = self.dataset.days if days is None else days
        entries = self.days
        missing = [date for date in days if not self._intact(date, entries.get(date), deep=False)]
        if missing:
            raise DolphinError(
                f"{len(missing)} days are not scanned, the first {missing[0]}",
                where=self.dataset.name,
                mend=f"run 'dolphin scan {self.dataset.name}'",
            )
        self._check([what for date in days for what in entries[date]["files"].items()])  # all at once
        frame = pl.concat([self._frame(entries[date]) for date in days])
        return {name: np.ascontiguousarray(frame[name].to_numpy()) for name in frame.columns if name != SCAN_NUMBER}

    def begun(self, date: str) -> Columns | None:
        """The stored columns of a day that has more rows by now, if they are intact."""
        entry = self.days.get(date)
        if entry is None or not 0 < entry["rows"] < self._rows(date) or not self._files_intact(entry, deep=True):
            return None
        frame = self._frame(entry)
        return {name: np.ascontiguousarray(frame[name].to_numpy()) for name in frame.columns}

    def _keep_state(self, date: str, state: Columns) -> str:
        """The state after the newest day's last row takes the place of an older one; its SHA-256."""
        path = self.folder / state_file(date)
        with publish(path) as part, writing(path), part.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **state)
        for other in path.parent.glob("*.npz"):
            if other.name != path.name:
                other.unlink(missing_ok=True)
        return sha256_file(path)

    def state(self, date: str) -> Columns | None:
        """The state that was kept after a day's last row, if it is there and intact."""
        path, entry = self.folder / state_file(date), self.days.get(date)
        if entry is None or "state" not in entry or not path.is_file() or sha256_file(path) != entry["state"]:
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays}

    def _frame(self, entry: Mapping[str, Any]) -> pl.DataFrame:
        parts = []
        self._check(entry["files"].items())
        for path, _ in self._files(entry):
            known = [c for c in pl.read_parquet_schema(path) if c not in self.dataset.symbols]
            parts.append(pl.read_parquet(path, columns=known, hive_partitioning=False))
        return pl.concat([parts[0], *(part.drop("ts") for part in parts[1:])], how="horizontal")

    def _check(self, files: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        mend = f"remove it and run 'dolphin scan {self.dataset.name}'"
        check_files(self.folder, ((file, what["sha256"]) for file, what in files), mend)

    def _rows(self, date: str) -> int:
        """Bars of the grid on this day."""
        if self.dataset.calendar != ALWAYS_OPEN:
            midnight = parse_time(date)
            low, high = np.searchsorted(self.dataset.grid(), [midnight, midnight + DAY_NS])
            return int(high - low)
        spacing, start = self.dataset.spacing_ns, parse_time(date) - self.dataset.first_ts
        return min((start + DAY_NS - 1) // spacing + 1, self.dataset.n_bars) - max(-(-start // spacing), 0)

    def _intact(self, date: str, entry: Mapping[str, Any] | None, deep: bool) -> bool:
        if entry is None or entry["rows"] != self._rows(date):
            return False
        return self._files_intact(entry, deep)

    def _files_intact(self, entry: Mapping[str, Any], deep: bool) -> bool:
        for path, what in self._files(entry):
            if not path.is_file() or path.stat().st_size != what["bytes"]:
                return False
            if deep and sha256_file(path) != what["sha256"]:
                return False
        return True

    def _files(self, entry: Mapping[str, Any]) -> list[tuple[Path, Any]]:
        """The files of a day, with what the manifest says of them."""
        return [(self.folder / file, what) for file, what in entry["files"].items()]

    def _read(self) -> dict[str, Any]:
        """The manifest of this scanner; a fresh one when it is absent, damaged or of another scanner."""
        fresh = self._fresh | {"days": {}}
        found = read_manifest(self.folder)
        same = all(found.get(k) == fresh[k] for k in ("schema", "scanner"))
        return found if same and isinstance(found.get("days"), dict) else fresh


def scan_folder(dataset: Dataset, windows: Sequence[int] | None = None) -> Path:
    """Where the scan days of a dataset lie; other windows than the default in a folder below."""
    return folder_of(dataset.root, dataset.label, windows)


def scanned_files(folder: Path) -> dict[str, str]:
    """Name and SHA-256 of every file that the manifest of a scan folder lists, of whatever version or scanner."""
    found = read_json(folder / "manifest.json")
    try:
        return {file: what["sha256"] for day in found["days"].values() for file, what in day["files"].items()}
    except (KeyError, TypeError, AttributeError):
        raise DolphinError("damaged manifest", where=str(folder / "manifest.json"), mend=_RESCAN) from None


def check_scans(folder: Path, names: Iterable[str]) -> None:
    """Check files of a scan folder against its manifest at first opening."""
    listed = scanned_files(folder)
    check_files(folder, ((name, listed.get(name, "")) for name in names), _RESCAN)


def missing_days(dataset: Dataset, scanner: str, *, deep: bool = False) -> tuple[str, ...]:
    """Days of the grid that have no scan of this dataset version by this scanner (default windows)."""
    return ScanDays(dataset, scanner).missing(deep=deep)


def read_features(dataset: Dataset, scanner: str, days: Sequence[str] | None = None) -> Arrays:
    """Feature columns and ``ts`` of these days over the default windows; see :meth:`ScanDays.read`."""
    return ScanDays(dataset, scanner).read(days)


def write_day(dataset: Dataset, scanner: str, date: str, columns: Columns, close: NDArray[np.float64]) -> None:
    """Write one day and enter it in the manifest; see :meth:`ScanDays.write`."""
    days = ScanDays(dataset, scanner)
    days.write(date, columns, close)
    days.flush()


def _content(columns: Columns) -> str:
    """SHA-256 of the values, whatever Parquet makes of them."""
    digest = hashlib.sha256()
    for name in sorted(columns):
        values = np.ascontiguousarray(columns[name])
        digest.update(f"{name} {values.dtype.str}\0".encode() + values.tobytes())
    return digest.hexdigest()
