"""Klines into the catalog: read, check, put on the grid, write one immutable file per UTC day.

Two passes keep memory to one file and one day: the first reads every source file once, checks it and
spills its rows by UTC day; the second merges each day, rounds prices and writes it.
"""

from __future__ import annotations

import difflib
import shlex
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog import readers
from dolphin.catalog.dataset import Dataset, from_manifest
from dolphin.catalog.instruments import DecimalCount, load_instruments, round_prices
from dolphin.catalog.quality import PRICES, Gaps, Quality
from dolphin.catalog.store import Draft, Identity, drafting, manifest_path, writing
from dolphin.catalog.times import DAY_NS, format_spacing, format_time
from dolphin.errors import DolphinError, nearest
from dolphin.files import sha256_file
from dolphin.workspace import Workspace

Progress = Callable[[int, int, str], None]
FIT_SHARE = 0.1  # of a symbol's steps must be one spacing, else the spacing does not fit


@dataclass(frozen=True)
class ImportReport:
    """What an import or a generation did.

    Attributes
    ----------
    dataset : Dataset
        The version that the name means now.
    quality : dict
        ``rows`` kept, ``rejected`` and ``counts`` per rule, ``rounded`` prices, ``missing_share`` of the
        grid, ``gaps`` per symbol (missing, gaps, longest in bars, share).
    unchanged : bool
        True if this very version was there already and nothing was written.
    skipped : tuple of str
        Files of the source folder that no reader takes.
    """

    dataset: Dataset
    quality: dict[str, Any]
    unchanged: bool
    skipped: tuple[str, ...] = ()


def import_klines(
    workspace: Workspace,
    source: Path,
    name: str,
    *,
    spacing_ns: int | None = None,
    instruments: Path | None = None,
    symbols: Sequence[str] | None = None,
    reference: str = "BTCUSDT",
    start_ns: int | None = None,
    stop_ns: int | None = None,
    on_bad: str = "error",
    notes: Sequence[str] = (),
    progress: Progress | None = None,
) -> ImportReport:
    """Import a kline file or folder as dataset ``name``.

    Parameters
    ----------
    source : Path
        A file or a folder of Parquet, CSV or zip files with candle *open* times.
    spacing_ns : int, optional
        Bar spacing; told from the data when not given.
    instruments : Path, optional
        An ``instruments.json``; by default the one beside the data, else ticks are inferred from it.
    symbols : sequence of str, optional
        Take only these.
    reference : str
        The symbol whose volatility is measured.
    start_ns, stop_ns : int, optional
        Take bars that close at or after ``start_ns`` and before ``stop_ns``.
    on_bad : {"error", "reject"}
        What a row with a NaN, a price <= 0, or an unsorted or duplicate time does: stop the import, or
        be set aside in ``rejected.parquet`` (unsorted rows are sorted and counted).
    notes : sequence of str
        Caveats that every report made from the data shows.

    Raises
    ------
    DolphinError
        On any input it cannot take whole; the dataset of that name stays what it was.
    """
    if on_bad not in ("error", "reject"):
        raise DolphinError(f"on-bad '{on_bad}'", mend="choose error or reject")
    source = Path(source)
    files, skipped = readers.find_files(source)
    if instruments is None:
        beside = (source if source.is_dir() else source.parent) / "instruments.json"
        instruments = beside if beside.is_file() else None
    with drafting(workspace.catalog, name) as draft:
        job = _Import(draft, files, Quality(on_bad == "reject"), spacing_ns, symbols, instruments is None)
        job.spill(start_ns, stop_ns, progress)
        job.identify(instruments, reference, source)
        job.write(progress)
        wanted = f" --symbols {','.join(symbols)}" if symbols else ""
        quality = job.summary()
        about: dict[str, Any] = {
            "source": str(source),
            "made": f"dolphin data import {shlex.quote(str(source))} --name {name}{wanted}",
            "ingest_id": str(uuid.uuid4()),
            "instruments_from": str(instruments) if instruments else "inferred from the data",
            "sources": job.lineage,
            "notes": list(notes),
            "quality": quality,
        }
        manifest, unchanged = draft.publish(about)
    dataset = from_manifest(workspace.catalog, manifest, manifest_path(workspace.catalog, name))
    return ImportReport(dataset, quality, unchanged, tuple(str(p) for p in skipped))


class _Import:
    """State of one import between its two passes."""

    def __init__(
        self,
        draft: Draft,
        files: list[Path],
        quality: Quality,
        spacing_ns: int | None,
        symbols: Sequence[str] | None,
        infer: bool,
    ) -> None:
        self.draft, self.files, self.quality = draft, files, quality
        self.spacing = spacing_ns
        self.wanted = tuple(sorted(set(symbols))) if symbols is not None else None
        self.infer = infer
        self.decimals = DecimalCount()
        self.parts: dict[int, list[Path]] = {}
        self.seen: set[str] = set()
        self.known: set[str] = set()
        self.lineage: list[dict[str, Any]] = []
        self.rounded = 0
        self.rows = 0
        self.gaps: Gaps

    def spill(self, start_ns: int | None, stop_ns: int | None, progress: Progress | None) -> None:
        """First pass: every file read, checked and parted by day of the close."""
        stage = self.draft.stage
        for index, path in enumerate(self.files):
            if progress:
                progress(index, len(self.files), f"reading {path.name}")
            frame = readers.read(path)
            self.known.update(frame["symbol"].unique().to_list())
            if self.wanted is not None:
                frame = frame.filter(pl.col("symbol").is_in(self.wanted))
            self._check_spacing(frame, path)
            assert self.spacing is not None
            frame = frame.with_columns(pl.col("ts") + self.spacing)
            if start_ns is not None:
                frame = frame.filter(pl.col("ts") >= start_ns)
            if stop_ns is not None:
                frame = frame.filter(pl.col("ts") < stop_ns)
            read = frame.height
            frame = self.quality.rows(frame, self.spacing, str(path))
            self.quality.order(frame, str(path))
            self.lineage.append({"file": path.name, "sha256": sha256_file(path), "rows": read})
            if frame.is_empty():
                continue
            self.seen.update(frame["symbol"].unique().to_list())
            if self.infer:
                self._count_decimals(frame)
            frame = frame.with_columns(pl.lit(index, pl.Int32).alias("file"), pl.col("ts").alias("day") // DAY_NS)
            for (day,), part in frame.group_by("day", maintain_order=True):
                target = stage / f"{day}-{index}.arrow"
                with writing(target):
                    part.drop("day").write_ipc(target)
                self.parts.setdefault(int(day), []).append(target)  # type: ignore[call-overload]

    def _check_spacing(self, frame: pl.DataFrame, path: Path) -> None:
        """Tell the spacing from the first file, then hold every symbol of every file to it."""
        steps = (
            frame.sort("symbol", "ts")
            .select("symbol", pl.col("ts").diff().over("symbol").alias("step"))
            .filter(pl.col("step") > 0)
        )
        if self.spacing is None:
            if steps.is_empty():
                raise DolphinError("too few rows to tell the spacing", where=str(path), mend="give it: --spacing 5m")
            self.spacing = int(steps["step"].mode().min())  # type: ignore[arg-type]
            if DAY_NS % self.spacing:
                raise DolphinError(
                    f"its steps of {self.spacing / 1e9:g} s do not divide a day",
                    where=str(path),
                    mend="give the spacing of the bars: --spacing 5m",
                )
        fits = steps.group_by("symbol").agg(
            (pl.col("step") == self.spacing).mean().alias("share"),
            pl.len(),
            pl.col("step").mode().min().alias("usual"),
        )
        odd = fits.filter((pl.col("share") < FIT_SHARE) & (pl.col("len") >= 3)).sort("symbol")
        if odd.height:
            symbol, usual = odd["symbol"][0], int(odd["usual"][0])
            raise DolphinError(
                f"spacing {format_spacing(self.spacing)} does not fit: {symbol} has steps of {format_spacing(usual)}",
                where=str(path),
                mend="check --spacing; a dataset has one spacing",
            )

    def _count_decimals(self, frame: pl.DataFrame) -> None:
        for (symbol,), rows in frame.group_by("symbol"):
            for column in PRICES:
                self.decimals.add(str(symbol), "price", rows[column].to_numpy())
            self.decimals.add(str(symbol), "volume", rows["volume"].to_numpy())

    def identify(self, instruments: Path | None, reference: str, source: Path) -> None:
        """Symbols, reference and instruments of the dataset, once all rows are known."""
        for symbol in self.wanted or ():
            if symbol not in self.known:
                raise DolphinError(f"unknown symbol '{symbol}'", where=str(source), mend=nearest(symbol, self.known))
        if not self.seen:
            raise DolphinError("no row is left", where=str(source), mend="check --from, --to and the data")
        symbols = tuple(sorted(self.seen))
        if reference not in self.seen:
            closest = difflib.get_close_matches(reference, symbols, n=1, cutoff=0.0)[0]
            raise DolphinError(
                f"the reference symbol {reference} is not in the data",
                where=str(source),
                mend=f"choose one that is: --reference {closest}",
            )
        if instruments is not None:
            found = load_instruments(instruments, symbols)
        else:
            found = tuple(self.decimals.instrument(symbol) for symbol in symbols)
        assert self.spacing is not None
        self.draft.identity = Identity(self.spacing, symbols, reference, found)
        self.gaps = Gaps(symbols, self.spacing)

    def write(self, progress: Progress | None) -> None:
        """Second pass: each day merged, duplicates refused, prices rounded, written."""
        assert self.draft.identity is not None
        symbols = self.draft.identity.symbols
        precision = np.array([i.price_precision for i in self.draft.identity.instruments])
        names = [str(path) for path in self.files]
        for done, (day, parts) in enumerate(sorted(self.parts.items())):
            if progress:
                progress(done, len(self.parts), f"writing {format_time(day * DAY_NS)[:10]}")
            frame = pl.concat([pl.read_ipc(p) for p in parts])
            frame = frame.sort("symbol", "ts", "file", maintain_order=True)
            frame = self.quality.duplicates(frame, names)
            column = frame["symbol"].cast(pl.Enum(list(symbols))).to_physical().to_numpy().astype(np.int64)
            rounded = {c: frame[c].to_numpy().copy() for c in PRICES}
            for places in np.unique(precision[column]):
                at = precision[column] == places
                for values in rounded.values():
                    before = values[at]
                    values[at] = round_prices(before, int(places))
                    self.rounded += int((values[at] != before).sum())
            low = min(float(values.min()) for values in rounded.values())
            if low <= 0:
                raise DolphinError(
                    "a price rounds to zero at its instrument's precision",
                    where=names[int(frame["file"][0])],
                    mend="give finer price_precision and price_tick with --instruments",
                )
            frame = frame.with_columns(pl.Series(c, values) for c, values in rounded.items())
            self.gaps.add(column, frame["ts"].to_numpy())
            self.rows += frame.height
            self.draft.write_day(day, frame)
            for part in parts:
                part.unlink()
        self.draft.set_aside(self.quality.rejected())
        if progress:
            progress(len(self.parts), len(self.parts), "written")

    def summary(self) -> dict[str, Any]:
        """The quality numbers, as they go into manifest and report."""
        first = min(e["first_ts"] for e in self.draft.days.values())
        last = max(e["last_ts"] for e in self.draft.days.values())
        gaps = self.gaps.table(first, last)
        return {
            "rows": self.rows,
            "rejected": sum(frame.height for frame in self.quality.aside),
            "counts": self.quality.counts,
            "rounded": self.rounded,
            "missing_share": sum(g["share"] for g in gaps.values()) / len(gaps),
            "gaps": gaps,
        }
