"""Features that other programs computed, kept as they are: one file per UTC day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog.readers import Reading
from dolphin.catalog.store.layout import writing
from dolphin.catalog.store.tables import Part, Table, write_table
from dolphin.errors import DolphinError
from dolphin.files import sha256_file
from dolphin.times import DAY_NS, format_day
from dolphin.workspace import Workspace

_ORDER = ("ts", "symbol", "scan_number")


def import_features(
    workspace: Workspace, name: str, readings: Iterable[tuple[Path, Reading]], about: Mapping[str, Any]
) -> Table:
    """Import files of features as table ``name``; a column that a file lacks is null in its rows.

    Parameters
    ----------
    readings : iterable of (path, Reading)
        Of kind ``features``.
    about : mapping
        ``source``, ``made`` and ``notes`` for the manifest.

    Raises
    ------
    DolphinError
        If a file cannot be taken whole, or a column has another type in another file.
    """
    job = _FeatureImport(readings, about)
    return write_table(
        workspace, name, kind="features", parts=job.parts, about=job.manifest, rejected=lambda: job.rejected
    )


class _FeatureImport:
    """One import: files spilled by day, then each day merged; rows that are there twice are set aside."""

    def __init__(self, readings: Iterable[tuple[Path, Reading]], about: Mapping[str, Any]) -> None:
        self.readings, self.about = readings, about
        self.lineage: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.aside: list[pl.DataFrame] = []
        self.rows = 0

    @property
    def rejected(self) -> pl.DataFrame:
        """Rows set aside, with the rule's name."""
        return pl.concat(self.aside) if self.aside else pl.DataFrame()

    def parts(self, stage: Path) -> Iterator[Part]:
        """Both passes; ``stage`` takes what is between them."""
        spilled: dict[int, list[Path]] = {}
        schema: dict[str, pl.DataType] = {}
        for path, reading in self.readings:
            rows = 0
            for frame in reading.frames:
                rows += frame.height
                for column, dtype in frame.schema.items():
                    if schema.setdefault(column, dtype) != dtype:
                        what = f"column '{column}' is {dtype}, in a file before {schema[column]}"
                        raise DolphinError(what, where=str(path), mend="import such files under another name")
                for (day,), part in frame.group_by(pl.col("ts") // DAY_NS, maintain_order=True):
                    files = spilled.setdefault(int(day), [])  # type: ignore[call-overload]
                    target = stage / f"{day}-{len(files)}.arrow"
                    with writing(target):
                        part.write_ipc(target)
                    files.append(target)
            self.notes += reading.notes
            self.lineage.append({"file": path.name, "sha256": sha256_file(path), "rows": rows})
        for day, files in sorted(spilled.items()):
            frame = pl.concat([pl.read_ipc(file) for file in files], how="diagonal")
            absent = [pl.lit(None, dtype).alias(c) for c, dtype in schema.items() if c not in frame.columns]
            frame = self._unique(frame.with_columns(absent).select(list(schema)).sort(_ORDER, maintain_order=True))
            for file in files:
                file.unlink()
            self.rows += frame.height
            yield format_day(day), None, frame

    def manifest(self) -> dict[str, Any]:
        """What the manifest says of it, after the last part."""
        twice = sum(frame.height for frame in self.aside)
        quality = {"rows": self.rows, "rejected": twice, "flagged": 0, "counts": {"duplicate": twice}}
        notes = list(dict.fromkeys((*self.about.get("notes", ()), *self.notes)))
        collector = {"collector": "dolphin data import"}
        return {**collector, **self.about, "notes": notes, "sources": self.lineage, "quality": quality}

    def _unique(self, frame: pl.DataFrame) -> pl.DataFrame:
        twice = frame.select(~pl.struct(frame.columns).is_first_distinct()).to_series()
        if twice.any():
            self.aside.append(frame.filter(twice).select(pl.lit("duplicate").alias("rule"), pl.all()))
            frame = frame.filter(~twice)
        return frame
