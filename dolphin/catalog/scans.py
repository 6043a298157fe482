"""Feature rows of a dataset on disk: one Parquet file per UTC day, one row per bar of the grid.

They lie in ``data_catalog/scans/<name>/`` and hold exactly the columns of the data specification. What
else the scanner knows (absorption ratios, active assets, residuals, ...) lies in a file of
the same name in ``detail/``. A manifest names the dataset and the scanner they were made from; when
either has another digest, no day counts as there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog.dataset import Dataset
from dolphin.catalog.store import writing
from dolphin.errors import DolphinError
from dolphin.files import publish, read_json, sha256_file, write_json

SCAN_SCHEMA = 2
FEATURES = (
    "vel_div", "v50_vel", "v150_vel", "v300_vel", "v750_vel",
    "instability_50", "instability_150", "vol", "bull_pct",
)  # fmt: skip


def scan_folder(dataset: Dataset) -> Path:
    """Where the scan days of a dataset lie."""
    return dataset.root / "scans" / dataset.name


def missing_days(dataset: Dataset, scanner: str, *, deep: bool = False) -> tuple[str, ...]:
    """Days of the grid that have no scan of this dataset version by this scanner.

    Parameters
    ----------
    scanner : str
        Digest of the scanner (its sources and options).
    deep : bool
        Re-hash the files; otherwise a day is there if its file has the size in the manifest.
    """
    days = _manifest(dataset, scanner)["days"]

    def intact(date: str) -> bool:
        for path, entry in _files(dataset, date, days.get(date)):
            if not path.is_file() or path.stat().st_size != entry["bytes"]:
                return False
            if deep and sha256_file(path) != entry["sha256"]:
                return False
        return date in days

    return tuple(date for date in dataset.days if not intact(date))


def _files(dataset: Dataset, date: str, entry: Mapping[str, Any] | None) -> list[tuple[Path, Any]]:
    """The files of a day in the manifest, with what it says of them."""
    return [(scan_folder(dataset) / file, what) for file, what in (entry or {}).get("files", {}).items()]


def write_day(
    dataset: Dataset,
    scanner: str,
    date: str,
    columns: Mapping[str, NDArray[Any]],
    close: NDArray[np.float64],
) -> None:
    """Write the scan of one day atomically and enter it in the manifest.

    Parameters
    ----------
    date : str
        ``YYYY-MM-DD``.
    columns : mapping of ndarray [T]
        ``ts`` (int64 ns close), all of ``FEATURES``, and any further columns: they go to the detail.
    close : float64 [T, N]
        Prices of the symbols.
    """
    required = ("ts", *FEATURES)
    absent = [name for name in required if name not in columns]
    if absent:
        raise ValueError(f"scan columns missing: {absent}")
    prices = {symbol: close[:, j] for j, symbol in enumerate(dataset.symbols)}
    further = {name: values for name, values in columns.items() if name not in required}
    written = {
        f"{date}.parquet": {name: columns[name] for name in required} | prices,
        f"detail/{date}.parquet": {"ts": columns["ts"]} | further,
    }
    folder = scan_folder(dataset)
    files = {}
    for file, data in written.items():
        path = folder / file
        with publish(path) as part, writing(path):
            pl.DataFrame(data).write_parquet(part, compression="zstd", compression_level=1)
        files[file] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    manifest = _manifest(dataset, scanner)
    manifest["days"][date] = {"rows": int(columns["ts"].size), "files": files}
    write_json(folder / "manifest.json", manifest)


def read_features(
    dataset: Dataset,
    scanner: str,
    days: Sequence[str] | None = None,
) -> dict[str, NDArray[Any]]:
    """All feature columns and ``ts``, one array each, of these days (by default the whole grid).

    Raises
    ------
    DolphinError
        If a day is missing or its file damaged.
    """
    days = dataset.days if days is None else days
    missing = [date for date in missing_days(dataset, scanner) if date in days]
    if missing:
        raise DolphinError(
            f"{len(missing)} days are not scanned, the first {missing[0]}",
            where=dataset.name,
            mend=f"run 'dolphin scan {dataset.name}'",
        )
    entries = _manifest(dataset, scanner)["days"]
    frames = []
    for date in days:
        parts = []
        for path, entry in _files(dataset, date, entries[date]):
            if sha256_file(path) != entry["sha256"]:
                raise DolphinError(
                    "damaged: digest differs from the manifest's",
                    where=str(path),
                    mend=f"remove it and run 'dolphin scan {dataset.name}'",
                )
            known = [c for c in pl.read_parquet_schema(path) if c not in dataset.symbols]
            parts.append(pl.read_parquet(path, columns=known, hive_partitioning=False))
        frames.append(pl.concat([parts[0], *(part.drop("ts") for part in parts[1:])], how="horizontal"))
    frame = pl.concat(frames)
    return {name: np.ascontiguousarray(frame[name].to_numpy()) for name in frame.columns}


def _manifest(dataset: Dataset, scanner: str) -> dict[str, Any]:
    """The manifest of these digests; a fresh one when it is absent, damaged or of other digests."""
    fresh = {"schema": SCAN_SCHEMA, "dataset": dataset.digest, "scanner": scanner, "days": {}}
    path = scan_folder(dataset) / "manifest.json"
    if not path.is_file():
        return fresh
    try:
        found = read_json(path)
    except DolphinError:
        return fresh  # a scan can always be made again
    same = isinstance(found, dict) and all(found.get(k) == fresh[k] for k in ("schema", "dataset", "scanner"))
    return found if same and isinstance(found.get("days"), dict) else fresh
