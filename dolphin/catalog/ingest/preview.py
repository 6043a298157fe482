"""What an import would read, before anything is written: ``dolphin data import --dry-run``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog import readers
from dolphin.catalog.ingest.importer import find_sources
from dolphin.times import format_spacing, format_time, is_spacing

HEAD = 3  # rows that are shown


@dataclass
class Preview:
    """One file as it would be read.

    Attributes
    ----------
    kind : str
        ``bars``, ``ticks``, ``features`` or ``series``.
    rows : int
    symbols : tuple of str
        At most a thousand.
    spacing : str or None
        The most frequent step between two rows of a symbol, as text.
    first, last : str
        Times of the file (bars: as it stamps them), ISO text.
    facts : mapping of str to str
        Columns by role and how times are written, where the header told it.
    head : polars.DataFrame
        The first rows.
    """

    file: str
    kind: str
    rows: int = 0
    symbols: tuple[str, ...] = ()
    spacing: str | None = None
    first: str | None = None
    last: str | None = None
    notes: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    head: pl.DataFrame = field(default_factory=pl.DataFrame)

    def document(self) -> dict[str, Any]:
        """The same as plain JSON types."""
        return {**vars(self), "head": self.head.to_dicts()}


def preview(
    source: Path | Sequence[Path], *, columns: Mapping[str, str] | None = None, allow_pickle: bool = False
) -> list[Preview]:
    """Every file of a source, read to its end; nothing is written.

    Raises
    ------
    DolphinError
        On what the import would not take either.
    """
    return [_of(path, label, columns, allow_pickle) for path, label in find_sources(source).files]


def _of(path: Path, label: str, columns: Mapping[str, str] | None, allow_pickle: bool) -> Preview:
    reading = readers.read(path, allow_pickle=allow_pickle, columns=columns)
    found = Preview(label, reading.kind, notes=reading.notes, facts=reading.facts)
    symbols: set[str] = set()
    steps: Counter[int] = Counter()
    times: list[int] = []
    for frame in reading.frames:
        if not found.rows:
            found.head = frame.head(HEAD)
        found.rows += frame.height
        clock = "ts" if "ts" in frame.columns else "reference_ts"
        times += [t for t in (frame[clock].min(), frame[clock].max()) if isinstance(t, int)]
        if "symbol" in frame.columns:
            symbols.update(frame["symbol"].drop_nulls().unique().to_list())
            steps.update(_steps(frame))
    found.symbols = tuple(sorted(symbols)[:1000])
    found.first, found.last = format_time(min(times)), format_time(max(times))
    if steps and reading.kind == "bars":
        step = max(steps, key=lambda s: (steps[s], -s))
        found.spacing = format_spacing(step) if is_spacing(step) else f"{step / 1e9:g}s (no spacing of bars)"
    return found


def _steps(frame: pl.DataFrame) -> dict[int, int]:
    """How often which step forward occurs."""
    steps = frame.sort("symbol", "ts").select(pl.col("ts").diff().over("symbol").alias("step"))
    found = steps.filter(pl.col("step") > 0).group_by("step").len()
    return dict(found.iter_rows())
