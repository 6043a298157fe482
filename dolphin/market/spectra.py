"""All eigenvalues of every bar on disk: ``spectrum/YYYY-MM-DD.parquet`` in the folder of the scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog import Dataset, scan_folder
from dolphin.core.records import Floats, Ints
from dolphin.errors import Damaged, NotFound
from dolphin.features import WINDOWS, check_windows, in_order
from dolphin.features.spectrum import spectra, spectrum_digest
from dolphin.files import publish, read_json, sha256_file, write_json
from dolphin.market.scanning import day_bounds
from dolphin.progress import Progress


def spectrum_folder(dataset: Dataset, windows: Sequence[int] = WINDOWS) -> Path:
    """Where the spectra of a dataset lie."""
    windows = check_windows(windows)
    return scan_folder(dataset, None if windows == WINDOWS else windows) / "spectrum"


def write_spectra(
    dataset: Dataset,
    *,
    windows: Sequence[int] = WINDOWS,
    threads: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the spectra of every day that has none of this dataset version yet.

    A file holds ``ts`` and per window a list column ``spectrum_<window>``: the eigenvalues of the
    active assets in falling order, an empty list where fewer than two are active.

    Returns
    -------
    dict with ``computed`` (days) and ``folder``.
    """
    windows = check_windows(windows)
    folder = spectrum_folder(dataset, windows)
    identity = {"dataset": dataset.digest, "spectrum": spectrum_digest(windows)}
    manifest = _manifest(folder / "manifest.json", identity)
    days = manifest["days"]

    def there(date: str) -> bool:
        path = folder / f"{date}.parquet"
        return date in days and path.is_file() and path.stat().st_size == days[date]["bytes"]

    todo = [n for n, date in enumerate(dataset.days) if not there(date)]
    if todo:
        prices = dataset.prices()
        bounds = day_bounds(dataset, prices.ts)

        def work(n: int) -> tuple[int, pl.DataFrame]:
            low, high = bounds[n], bounds[n + 1]
            return n, _frame(prices.ts[low:high], *spectra(prices.ts, prices.close, low, high, windows), windows)

        for done, (n, frame) in enumerate(in_order(work, todo, threads), 1):
            path = folder / f"{dataset.days[n]}.parquet"
            with publish(path) as part:
                frame.write_parquet(part, compression="zstd", compression_level=1)
            days[dataset.days[n]] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
            write_json(folder / "manifest.json", manifest)
            if progress:
                progress(done, len(todo), "spectra of days")
    return {"computed": len(todo), "folder": str(folder)}


def _frame(ts: Ints, values: Floats, counts: Ints, windows: Sequence[int]) -> pl.DataFrame:
    columns = []
    for k, w in enumerate(windows):
        name = f"spectrum_{w}"
        frame = pl.DataFrame({name: np.ascontiguousarray(values[:, k]), "n": counts[:, k]})
        columns.append(frame.select(pl.col(name).arr.to_list().list.head(pl.col("n"))))
    return pl.concat([pl.DataFrame({"ts": np.array(ts)}), *columns], how="horizontal")


def _manifest(path: Path, identity: dict[str, str]) -> dict[str, Any]:
    fresh: dict[str, Any] = {**identity, "days": {}}
    if not path.is_file():
        return fresh
    try:
        found = read_json(path)
    except (NotFound, Damaged):
        return fresh  # spectra can always be made again
    same = isinstance(found, dict) and all(found.get(key) == value for key, value in identity.items())
    return found if same and isinstance(found.get("days"), dict) else fresh
