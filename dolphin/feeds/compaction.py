"""A day's snapshots into tables of the catalog: ticks and books one a day, external factors one that grows.

The same row twice (a restart, a repair) is one row: of ticks by symbol and trade id, of books by symbol and time, of
factors by series and what they are about. What was left out is counted in the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from dolphin.catalog.ingest.ticks import import_ticks
from dolphin.catalog.readers.layouts import TICK_COLUMNS
from dolphin.catalog.readers.reading import Reading
from dolphin.catalog.store.layout import manifest_path
from dolphin.catalog.store.tables import Table, open_table, verify_table, write_table
from dolphin.core.records import Records
from dolphin.errors import DolphinError
from dolphin.feeds.declared import DECLARED, series_of
from dolphin.feeds.recorder import recording_folder
from dolphin.feeds.spool import KINDS, read_snapshot, snapshot_problem
from dolphin.files import sha256_file
from dolphin.times import DAY_NS, format_day, parse_time
from dolphin.workspace import Workspace

#: Series of a table of books, as 'dolphin risk build --books' reads them.
BOOKS = {
    "IMBALANCE": "imbalance", "SPREAD_BPS": "spread_bps", "FILL_PROB": "fill_prob",
    "DEPTH_QUALITY": "depth_quality", "AGREEMENT": "agreement",
}  # fmt: skip
TIME = {"ticks": "ts", "books": "ts", "exf": "received_ts"}


def compact_day(workspace: Workspace, tables: str, date: str) -> dict[str, Table]:
    """Make the tables of a UTC day from its snapshots; kinds without a row of it are left out.

    Parameters
    ----------
    tables : str
        What the names begin with: ``rec`` gives ``rec_ticks_2026-01-31``, ``rec_books_2026-01-31``, ``rec_exf``.

    Raises
    ------
    DolphinError
        If a snapshot is damaged, or a name means other data.
    """
    folder, found = recording_folder(workspace), {}
    made = f"dolphin feeds compact --date {date}"
    parts = {kind: list(_rows(folder, kind, date)) for kind in KINDS}
    if parts["ticks"]:
        about = {"source": "recorded streams", "made": made, "collector": "dolphin feeds run"}
        readings = ((path, Reading("ticks", iter([tick_frame(rows)]))) for path, rows in parts["ticks"])
        found["ticks"] = import_ticks(workspace, f"{tables}_ticks_{date}", readings, about)
    if parts["books"]:
        found["books"] = _books(workspace, f"{tables}_books_{date}", parts["books"], date, made)
    if parts["exf"]:
        found["exf"] = _factors(workspace, f"{tables}_exf", parts["exf"], made)
    return found


def _rows(folder: Path, kind: str, date: str) -> Iterator[tuple[Path, Records]]:
    """Snapshots with rows of a day, and those rows; a spool may begin on the day before, a message come on the next."""
    day = parse_time(date) // DAY_NS
    for near in (day - 1, day, day + 1):
        for path in sorted((folder / kind / format_day(near)).glob("*.npz")):
            rows = read_snapshot(path, kind)
            here = rows[rows[TIME[kind]] // DAY_NS == day]
            if len(here):
                yield path, here


def tick_frame(rows: Records) -> pl.DataFrame:
    """Recorded ticks as the catalog's: decimals again, nothing where it was unknown."""
    columns: dict[str, Any] = {"symbol": pl.Series(rows["symbol"].astype(str))}
    for name in ("ts", "trade_id", "received_ts"):
        columns[name] = pl.Series(np.ascontiguousarray(rows[name]))
    columns["buyer_is_maker"] = pl.Series(np.ascontiguousarray(rows["buyer_is_maker"]))
    for name in ("price", "quantity", "bid", "ask"):
        columns[name] = decimals(rows[name])
    frame = pl.DataFrame(columns).with_columns(pl.when(pl.col(c) >= 0).then(pl.col(c)).alias(c) for c in ("bid", "ask"))
    return frame.select(pl.col(name).cast(dtype) for name, dtype in TICK_COLUMNS.items())


def decimals(units: np.ndarray[Any, Any]) -> pl.Series:
    """Whole numbers of 1e-8 as decimal128(20,8), exactly."""
    wide = np.empty((len(units), 2), "<i8")
    wide[:, 0], wide[:, 1] = units, np.where(units < 0, -1, 0)
    array = pa.Array.from_buffers(pa.decimal128(20, 8), len(units), [None, pa.py_buffer(wide.tobytes())])
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)
    return series


def _books(workspace: Workspace, name: str, parts: list[tuple[Path, Records]], date: str, made: str) -> Table:
    frames = []
    for _, rows in parts:
        for series, field in BOOKS.items():
            columns = {
                "series": pl.Series([series]).new_from_index(0, len(rows)),
                "symbol": rows["symbol"].astype(str),
                "reference_ts": np.ascontiguousarray(rows["ts"]),
                "available_ts": np.ascontiguousarray(rows["ts"]),
                "value": np.ascontiguousarray(rows[field]),
            }
            frames.append(pl.DataFrame(columns))
    values = pl.concat(frames).filter(pl.col("value").is_finite())
    kept = values.unique(["series", "symbol", "reference_ts"], keep="first", maintain_order=True)
    about = {
        "source": "recorded streams",
        "made": made,
        "collector": "dolphin feeds run",
        "sources": _sources(parts),
        "notes": [],
        "lag_rules": dict.fromkeys(BOOKS, "at the end of its interval"),
        "quality": _quality(kept.height, values.height - kept.height),
    }
    rows_of_day = [(date, None, kept.sort("available_ts", "series", "symbol"))]
    return write_table(workspace, name, kind="series", parts=rows_of_day, about=about)


def _factors(workspace: Workspace, name: str, parts: list[tuple[Path, Records]], made: str) -> Table:
    frames = [factor_frame(rows) for _, rows in parts]
    sources = _sources(parts)
    if manifest_path(workspace.catalog, name).is_file():
        before = open_table(workspace, name)
        frames.insert(0, before.frame().collect())
        held = {source["sha256"] for source in sources}
        sources = [*(s for s in before.manifest["sources"] if s["sha256"] not in held), *sources]
    values = pl.concat(frames)
    kept = values.unique(["series", "reference_ts"], keep="first", maintain_order=True)
    kept = kept.sort("available_ts", "series", "reference_ts")
    named = {series_of(n, d.basis): d.lag.text for n, d in DECLARED.items()}
    about = {
        "source": "recorded providers",
        "made": made,
        "collector": "dolphin feeds run",
        "sources": sources,
        "notes": ["a value counts from when it was public and here; a fallback's values are a series of their own"],
        "lag_rules": {series: named.get(series, "as the indicator") for series in sorted(set(kept["series"]))},
        "quality": _quality(kept.height, values.height - kept.height),
    }
    year = pl.from_epoch("available_ts", "ns").dt.year()
    years = (
        (f"{number:04d}-01-01", None, part)
        for (number,), part in kept.group_by(year, maintain_order=True)
    )  # fmt: skip
    return write_table(workspace, name, kind="series", parts=years, about=about)


def factor_frame(rows: Records) -> pl.DataFrame:
    """Recorded factors as rows of series: available when public and here."""
    pairs = zip(rows["indicator"].astype(str), rows["basis"].astype(str), strict=True)
    return pl.DataFrame(
        {
            "series": [series_of(name, basis) for name, basis in pairs],
            "symbol": pl.Series([None] * len(rows), dtype=pl.String),
            "reference_ts": np.ascontiguousarray(rows["reference_ts"]),
            "available_ts": np.maximum(rows["public_ts"], rows["received_ts"]),
            "value": np.ascontiguousarray(rows["value"]),
        }
    )


def _sources(parts: list[tuple[Path, Records]]) -> list[dict[str, Any]]:
    return [{"file": path.name, "sha256": sha256_file(path), "rows": len(rows)} for path, rows in parts]


def _quality(rows: int, twice: int) -> dict[str, Any]:
    return {"rows": rows, "rejected": 0, "flagged": 0, "counts": {"duplicate": twice}}


def due_days(workspace: Workspace, tables: str, now_ns: int) -> list[str]:
    """Days before today that have snapshots which no table names yet."""
    folder, found = recording_folder(workspace), set()
    held = _held(workspace, tables)
    for kind in KINDS:
        for path in (folder / kind).glob("*/*.npz"):
            day = path.parent.name
            if day < format_day(now_ns // DAY_NS) and path.name not in held:
                found.add(day)
    return sorted(found)


def _held(workspace: Workspace, tables: str) -> set[str]:
    """Names of the snapshots that tables were made of."""
    ours = (open_table(workspace, name) for name in _names(workspace, tables))
    return {source["file"] for table in ours for source in table.manifest["sources"]}


def _names(workspace: Workspace, tables: str) -> list[str]:
    """The names of the tables that a recording made."""
    begins = (f"{tables}_ticks_", f"{tables}_books_", f"{tables}_exf")
    return sorted(path.stem for path in workspace.catalog.glob(f"{tables}_*.json") if path.stem.startswith(begins))


def drop_old(workspace: Workspace, tables: str, keep_days: int, now_ns: int) -> int:
    """Remove snapshots older than ``keep_days`` whose tables are intact; returns how many."""
    folder, dropped = recording_folder(workspace), 0
    held, last = _held(workspace, tables), format_day(now_ns // DAY_NS - keep_days)
    checked: dict[str, bool] = {}
    for kind in KINDS:
        for path in sorted((folder / kind).glob("*/*.npz")):
            day = path.parent.name
            name = f"{tables}_exf" if kind == "exf" else f"{tables}_{kind}_{day}"
            if day >= last or path.name not in held:
                continue
            if name not in checked:
                checked[name] = manifest_path(workspace.catalog, name).is_file() and not verify_table(workspace, name)
            if checked[name]:
                path.unlink()
                path.with_name(path.name + ".sha256").unlink(missing_ok=True)
                dropped += 1
    return dropped


def verify_recording(workspace: Workspace, tables: str) -> list[str]:
    """One line per snapshot whose checksum is not its own and per damaged file of a table; none: intact."""
    folder, problems = recording_folder(workspace), []
    for kind in KINDS:
        for path in sorted((folder / kind).glob("*/*.npz")):
            problem = snapshot_problem(path)
            if problem:
                problems.append(f"{path}: {problem}")
    for name in _names(workspace, tables):
        try:
            problems += verify_table(workspace, name)
        except DolphinError as error:
            problems.append(str(error))
    return problems
