"""``dolphin.open``: a dataset in a notebook, as lazy frames, arrays and SQL."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog.derived.scans import check_scans, scan_folder
from dolphin.catalog.query import sql as catalog_sql
from dolphin.catalog.store.dataset import Dataset, Prices, open_dataset
from dolphin.catalog.store.layout import checked_files_beside, current_manifest, kind_of
from dolphin.catalog.store.tables import Table, open_table
from dolphin.catalog.store.versions import find_version, list_versions, split_name
from dolphin.errors import DolphinError
from dolphin.times import format_spacing, format_time, parse_time
from dolphin.workspace import Workspace
from dolphin.workspace import find as find_workspace


@dataclass(frozen=True)
class Handle:
    """One version of a dataset; every frame is lazy, every array mapped from the disk.

    Attributes
    ----------
    data : Dataset or Table
        What it is underneath.
    window : tuple of str
        First day and the day after the last, as :meth:`between` set them; empty: all there is.
    """

    data: Dataset | Table
    workspace: Workspace = field(repr=False)
    window: tuple[str, str] | tuple[()] = ()

    @property
    def name(self) -> str:
        """Its name in the catalog."""
        return self.data.name

    @property
    def digest(self) -> str:
        """SHA-256 of its logical content."""
        return self.data.digest

    @property
    def kind(self) -> str:
        """``bars``, or ``ticks``, ``features``, ``series``."""
        return kind_of(self.manifest)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Its symbols, in the order of the price columns."""
        return self.data.symbols

    @property
    def manifest(self) -> dict[str, Any]:
        """All that the catalog knows of this version."""
        return dict(self.data.manifest)

    @property
    def days(self) -> tuple[str, ...]:
        """The days in the window that have rows (``YYYY-MM-DD``)."""
        found = sorted({entry.get("date", key) for key, entry in self.manifest["days"].items()})
        return tuple(date for date in found if self._inside(date))

    def between(self, start: str, stop: str) -> Handle:
        """The same dataset from one UTC day up to, and not including, another; other files stay closed.

        Raises
        ------
        DolphinError
            If one is no date or there is no row between.
        """
        bounds = [format_time(parse_time(text))[:10] for text in (start, stop)]
        part = replace(self, window=(bounds[0], bounds[1]))
        if not part.days:
            days = replace(self, window=()).days
            mend = f"it has {days[0]} to {days[-1]}"
            raise DolphinError(f"no row from {start} to {stop}", where=self.name, mend=mend)
        return part

    def prices(self) -> Prices:
        """Closing prices on the full grid: ``ts`` int64 [T], ``close`` float64 [T, N], ``age`` int32 [T, N]."""
        prices = self._bars("prices").prices()
        if not self.window:
            return prices
        low, high = prices.ts.searchsorted([parse_time(text) for text in self.window])
        return Prices(prices.ts[low:high], prices.close[low:high], prices.age[low:high])

    @property
    def bars(self) -> pl.LazyFrame:
        """symbol, ts (close, ns), open, high, low, close, volume; bid and ask where the dataset has quotes."""
        dataset = self._bars("bars")
        return _scan(dataset.files(self.days))

    @property
    def rows(self) -> pl.LazyFrame:
        """The rows, whatever the dataset holds: bars, ticks, features of other producers or a series."""
        if isinstance(self.data, Dataset):
            return self.bars
        entries = sorted(self.data.manifest["days"].items())
        return _scan(list(self.data._checked(entry for _, entry in entries if self._inside(entry["date"]))))

    @property
    def features(self) -> pl.LazyFrame:
        """The scanner's rows, one per bar of the grid; a table of features gives its own.

        Raises
        ------
        DolphinError
            If a day has not been scanned yet.
        """
        if self.kind == "features":
            return self.rows
        dataset = self._bars("features")
        files = [scan_folder(dataset) / f"{date}.parquet" for date in dataset.days if self._inside(date)]
        absent = [path.stem for path in files if not path.is_file()]
        if absent:
            raise DolphinError(
                f"{len(absent)} of {len(files)} days are not scanned, the first {absent[0]}",
                where=dataset.label,
                mend=f"run 'dolphin scan {dataset.label}'",
            )
        check_scans(scan_folder(dataset), [path.name for path in files])
        return _scan(files)

    @property
    def quality(self) -> pl.LazyFrame:
        """What the quality rules counted: ``quality.parquet`` where there is one, else the counts of the manifest."""
        files = checked_files_beside(self.workspace.catalog, self.manifest, "quality")
        if files:
            return _scan(files)
        counts = (self.manifest.get("quality") or {}).get("counts", {})
        return pl.LazyFrame(
            {"rule": list(counts), "rows": list(counts.values())}, {"rule": pl.String, "rows": pl.Int64}
        )

    @property
    def rejected(self) -> pl.LazyFrame:
        """The rows that a quality rule refused, with the rule's name; no row where none was."""
        files = checked_files_beside(self.workspace.catalog, self.manifest, "rejected")
        return _scan(files) if files else pl.LazyFrame(schema={"rule": pl.String})

    def sql(self, query: str) -> pl.DataFrame:
        """Answer a SELECT over ``bars`` (or ``ticks``, ...), ``scan``, ``detail``, ``rejected`` and ``quality``.

        Raises
        ------
        DolphinError
            Unless it is a single SELECT over these.
        """
        found = catalog_sql.views_of(self.workspace.catalog, self.manifest, self.kind)
        views = [replace(view, name=view.name.removeprefix(f"{self.kind}_")) for view in found]
        if self.window:
            first, stop = self.window
            inside = f"date >= DATE '{first}' AND date < DATE '{stop}'"
            dated = (self.kind, "scan", "detail")
            views = [
                replace(view, select=f"SELECT * FROM ({view.select}) WHERE {inside}") if view.name in dated else view
                for view in views
            ]
        return catalog_sql.run(self.workspace.catalog, query, views, {}).frame()

    def version(self, digest: str) -> Handle:
        """Another version of the dataset by the first 8 digits of its digest, or more; old ones stay readable."""
        found = find_version(self.workspace.catalog, self.name, split_name(f"{self.name}@{digest}")[1] or "")
        return replace(open_handle(found.label, self.workspace), window=self.window)

    def versions(self) -> tuple[str, ...]:
        """Digests of the versions on this machine, the current one first."""
        return tuple(version.digest for version in list_versions(self.workspace.catalog, self.name))

    def _bars(self, what: str) -> Dataset:
        if isinstance(self.data, Dataset):
            return self.data
        raise DolphinError(f"holds {self.kind}, no {what}", where=self.name, mend="use .rows")

    def _inside(self, date: str) -> bool:
        return not self.window or self.window[0] <= date < self.window[1]

    def __repr__(self) -> str:
        spacing = f" of {format_spacing(self.data.spacing_ns)}" if isinstance(self.data, Dataset) else ""
        synthetic = " (synthetic)" if self.manifest.get("synthetic") else ""
        days, entries = self.days, self.manifest["days"].items()
        rows = sum(entry["rows"] for key, entry in entries if self._inside(entry.get("date", key)))
        more = f" and {len(self.symbols) - 4} more" if len(self.symbols) > 4 else ""
        return (
            f"<{self.name}@{self.digest[:16]}: {self.kind}{spacing}{synthetic}\n"
            f"  {rows:,} rows, {len(days):,} days from {days[0]} to {days[-1]}"
            + (f" in the window of {self.window[0]} to {self.window[1]}" if self.window else "")
            + f"\n  {len(self.symbols)} symbols: {', '.join(self.symbols[:4])}{more}>"
        )


def open_handle(name: str, workspace: Workspace | None = None) -> Handle:
    """Open a dataset by name, or an old version of it by ``name@digest``.

    Parameters
    ----------
    workspace : Workspace, optional
        By default the one that the command line would find.

    Raises
    ------
    DolphinError
        If there is none of that name (the nearest is suggested), or it is damaged.

    Examples
    --------
    >>> import dolphin, polars as pl
    >>> k5m = dolphin.open("k5m")                                                          # doctest: +SKIP
    >>> k5m.between("2025-01-01", "2025-02-01").bars.filter(pl.col("symbol") == "BTCUSDT").collect()  # doctest: +SKIP
    >>> k5m.sql("select symbol, max(high) from bars group by symbol")                      # doctest: +SKIP
    """
    home = workspace or find_workspace()
    manifest = current_manifest(home.catalog, split_name(name)[0])
    if manifest and kind_of(manifest) != "bars":
        return Handle(open_table(home, name), home)
    return Handle(open_dataset(home, name), home)


def _scan(files: list[Path]) -> pl.LazyFrame:
    return pl.scan_parquet(files, hive_partitioning=False)
