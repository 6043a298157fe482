"""Ticks into the catalog: trades as decimals, with the best bid and offer of their moment.

Rows lie by UTC day and symbol, sorted by exchange time, then trade id, then arrival. Nothing refused is
lost: rows that break a rule are counted and set aside with its name; prices outside the spread are
counted and kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog.quality.rules import BID_ABOVE_ASK, Rule, outside_spread
from dolphin.catalog.readers import Reading
from dolphin.catalog.store.layout import writing
from dolphin.catalog.store.tables import Part, Table, write_table
from dolphin.files import sha256_file
from dolphin.times import DAY_NS, format_day
from dolphin.workspace import Workspace

#: In this order: the first one that a row breaks names it.
TICK_RULES = (
    Rule("missing", "no symbol, time, price or quantity", False,
         pl.any_horizontal(pl.col("symbol", "ts", "price", "quantity").is_null())),
    Rule("price_not_positive", "price <= 0", False, pl.col("price") <= 0),
    Rule("quantity_not_positive", "quantity <= 0", False, pl.col("quantity") <= 0),
    BID_ABOVE_ASK,
    Rule("duplicate", "trade id twice", False),
    Rule("unsorted", "exchange time goes backwards; put in order", False, flag=True),
    outside_spread("price"),
)  # fmt: skip
_ORDER = ("ts", "trade_id", "arrival")


def import_ticks(
    workspace: Workspace, name: str, readings: Iterable[tuple[Path, Reading]], about: Mapping[str, Any]
) -> Table:
    """Import files of ticks as table ``name``.

    Parameters
    ----------
    readings : iterable of (path, Reading)
        Of kind ``ticks``; each file is one batch, whose latency goes into the manifest.
    about : mapping
        ``source``, ``made`` and ``notes`` for the manifest.

    Raises
    ------
    DolphinError
        If a file cannot be taken whole or no row is left; the table of that name stays what it was.
    """
    job = _TickImport(readings, about)
    return write_table(
        workspace, name, kind="ticks", parts=job.parts, about=job.manifest, rejected=lambda: job.rejected
    )


class _TickImport:
    """One import: files checked and spilled by day and symbol, then each part merged."""

    def __init__(self, readings: Iterable[tuple[Path, Reading]], about: Mapping[str, Any]) -> None:
        self.readings, self.about = readings, about
        self.counts: Counter[str] = Counter({rule.name: 0 for rule in TICK_RULES})
        self.aside: list[pl.DataFrame] = []
        self.lineage: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.rows = 0
        self._spilled: dict[tuple[int, str], list[Path]] = {}
        self._arrived = 0

    def parts(self, stage: Path) -> Iterator[Part]:
        """Both passes; ``stage`` takes what is between them."""
        for path, reading in self.readings:
            self._read(path, reading, stage)
        for (day, symbol), files in sorted(self._spilled.items()):
            frame = pl.concat([pl.read_ipc(file) for file in files])
            frame = self._unique(frame.sort(_ORDER)).drop("arrival", "source")
            for file in files:
                file.unlink()
            self.rows += frame.height
            yield format_day(day), symbol, frame

    def manifest(self) -> dict[str, Any]:
        """What the manifest says of it, after the last part."""
        flags = {rule.name for rule in TICK_RULES if rule.flag}
        quality = {
            "rows": self.rows,
            "rejected": sum(n for rule, n in self.counts.items() if rule not in flags),
            "flagged": sum(n for rule, n in self.counts.items() if rule in flags),
            "counts": dict(self.counts),
        }
        notes = list(dict.fromkeys((*self.about.get("notes", ()), *self.notes)))
        collector = {"collector": "dolphin data import"}
        return {**collector, **self.about, "notes": notes, "sources": self.lineage, "quality": quality}

    @property
    def rejected(self) -> pl.DataFrame:
        """All rows set aside: their source file and rule, then as they were."""
        return pl.concat(self.aside) if self.aside else pl.DataFrame()

    def _read(self, path: Path, reading: Reading, stage: Path) -> None:
        latest: dict[str, int] = {}
        latency: list[np.ndarray[Any, Any]] = []
        rows = 0
        for frame in reading.frames:
            rows += frame.height
            arrival = pl.int_range(self._arrived, self._arrived + frame.height, dtype=pl.Int64)
            frame = frame.with_columns(arrival.alias("arrival"), pl.lit(path.name).alias("source"))
            self._arrived += frame.height
            frame = self._check(frame)
            self._count_order(frame, latest)
            received = frame.filter(pl.col("received_ts").is_not_null())
            latency.append((received["received_ts"] - received["ts"]).to_numpy() / 1e6)
            self._spill(frame, stage)
        self.notes += reading.notes
        self.lineage.append(
            {
                "file": path.name,
                "sha256": sha256_file(path),
                "rows": rows,
                "latency_ms": _latency(np.concatenate(latency) if latency else np.zeros(0)),
            }
        )

    def _check(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Apply the rules that concern a row alone; the rows kept."""
        reasons = [pl.when(r.broken).then(pl.lit(r.name)) for r in TICK_RULES if r.broken is not None and not r.flag]
        frame = frame.with_columns(pl.coalesce(reasons).alias("rule"))
        for (rule,), rows in frame.filter(pl.col("rule").is_not_null()).group_by("rule", maintain_order=True):
            self._refuse(str(rule), rows.drop("rule"))
        frame = frame.filter(pl.col("rule").is_null()).drop("rule")
        for rule in TICK_RULES:
            if rule.flag and rule.broken is not None:
                self.counts[rule.name] += int(frame.select(rule.broken.fill_null(False).sum()).item())
        return frame

    def _count_order(self, frame: pl.DataFrame, latest: dict[str, int]) -> None:
        before = pl.col("symbol").replace_strict(latest, default=None, return_dtype=pl.Int64)
        reached = pl.max_horizontal(pl.col("ts").cum_max().shift(1).over("symbol"), before)
        self.counts["unsorted"] += frame.filter(pl.col("ts") < reached).height
        for symbol, ts in frame.group_by("symbol").agg(pl.col("ts").max()).iter_rows():
            latest[symbol] = max(ts, latest.get(symbol, ts))

    def _spill(self, frame: pl.DataFrame, stage: Path) -> None:
        for (day, symbol), rows in frame.group_by(pl.col("ts") // DAY_NS, "symbol", maintain_order=True):
            key = (int(day), str(symbol))  # type: ignore[call-overload]
            files = self._spilled.setdefault(key, [])
            target = stage / f"{day}-{symbol}-{len(files)}.arrow"
            with writing(target):
                rows.write_ipc(target)
            files.append(target)

    def _unique(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Keep the first row of each trade id; rows without an id cannot be told apart and stay."""
        twice = pl.col("trade_id").is_not_null() & ~pl.col("trade_id").is_first_distinct()
        bad = frame.filter(twice)
        if bad.height:
            self._refuse("duplicate", bad)
            frame = frame.filter(~twice)
        return frame

    def _refuse(self, rule: str, rows: pl.DataFrame) -> None:
        self.counts[rule] += rows.height
        named = rows.select(pl.col("source").alias("file"), pl.lit(rule).alias("rule"), pl.exclude("arrival", "source"))
        self.aside.append(named)


def _latency(milliseconds: np.ndarray[Any, Any]) -> dict[str, float] | None:
    """Median and 99th percentile of received minus exchange time; negative where the recorder's clock is behind."""
    if not milliseconds.size:
        return None
    median, p99 = np.quantile(milliseconds, (0.5, 0.99))
    return {"median": round(float(median), 6), "p99": round(float(p99), 6)}
