"""Bars of ticks, made in DuckDB: exact decimals inside, float64 in the dataset.

A bar that closes at ``c`` holds the ticks of ``[c - spacing, c)``, as exchanges cut their candles: a tick on
the boundary belongs to the bar that begins there. Open and close are the first and last tick by exchange
time, then trade id; where the ticks have quotes, bid and ask are those of the last tick that has both. A bar
without a tick has no row. :class:`dolphin.catalog.derived.aggregator.BarAggregator`
makes the same bars tick by tick.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog.quality.gaps import Gaps
from dolphin.catalog.store.dataset import Dataset, from_manifest
from dolphin.catalog.store.draft import Draft, drafting
from dolphin.catalog.store.instruments import MIN_NOTIONAL, Instrument
from dolphin.catalog.store.intact import check_files
from dolphin.catalog.store.layout import QUOTES, VALUES, Identity, manifest_path, mend_of, version_folder
from dolphin.catalog.store.tables import Table
from dolphin.errors import DolphinError, nearest
from dolphin.times import DAY_NS, format_spacing, parse_time
from dolphin.workspace import Workspace

#: Beside the bars of a version: symbol, ts (close) and how many ticks each bar was made of.
TICK_COUNTS = "tick_counts.parquet"
SCALE = 10**8  # of decimal128(20,8)
SQL = """
    SELECT symbol, (ts // $spacing + 1) * $spacing AS ts,
           arg_min(price, file_row_number) AS open, max(price) AS high, min(price) AS low,
           arg_max(price, file_row_number) AS close, sum(quantity) AS volume,
           arg_max(bid, file_row_number) FILTER (bid > 0 AND bid <= ask) AS bid,
           arg_max(ask, file_row_number) FILTER (bid > 0 AND bid <= ask) AS ask, count(*) AS ticks
    FROM read_parquet($files, file_row_number = true, hive_partitioning = false)
    GROUP BY ALL ORDER BY ALL
"""


def bars_of(files: Sequence[Path], spacing_ns: int) -> pl.DataFrame:
    """Bars of tick files: symbol, ts, open, high, low, close, volume, bid, ask (decimals) and ticks.

    Each file must hold whole days of one symbol, sorted as :mod:`dolphin.catalog.ingest.ticks` does.
    """
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        rows = connection.sql(SQL, params={"files": [str(file) for file in files], "spacing": spacing_ns})
        frame = pl.from_arrow(rows.to_arrow_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


def to_float(decimals: pl.Series) -> NDArray[np.float64]:
    """The float64 nearest to each decimal of eight places; NaN where there is none."""
    whole = (decimals.cast(pl.Decimal(38, 8)) * SCALE).cast(pl.Int128)
    if not (whole.abs() >= 2**53).any():  # both exact: the division rounds once
        return whole.cast(pl.Int64).to_numpy() / float(SCALE)
    # Python divides integers correctly rounded
    return np.array([float("nan") if value is None else value / SCALE for value in whole.to_list()])


def make_bars(
    workspace: Workspace, ticks: Table, name: str, spacing_ns: int, *, reference: str | None = None
) -> tuple[Dataset, bool]:
    """Make dataset ``name`` of a table of ticks.

    Parameters
    ----------
    spacing_ns : int
        Bar spacing.
    reference : str, optional
        The symbol whose volatility is measured; by default BTCUSDT, else the first.

    Returns
    -------
    dataset : Dataset
        The version that the name means now.
    unchanged : bool
        True if it was this one already.

    Raises
    ------
    DolphinError
        If the table holds no ticks, has no such symbol, or ``name`` means something else.
    """
    if ticks.kind != "ticks":
        raise DolphinError(f"'{ticks.name}' holds {ticks.kind}, no ticks", mend="import trades first")
    if reference is None:
        reference = "BTCUSDT" if "BTCUSDT" in ticks.symbols else ticks.symbols[0]
    if reference not in ticks.symbols:
        raise DolphinError(f"no symbol '{reference}'", where=ticks.name, mend=nearest(reference, ticks.symbols))
    spacing = format_spacing(spacing_ns)
    with drafting(workspace.catalog, name) as draft:
        draft.identity = Identity(spacing_ns, ticks.symbols, reference, _instruments(ticks), quotes=_quoted(ticks))
        counts = _write_days(draft, ticks, spacing_ns)
        draft.write_file(TICK_COUNTS, pl.concat(counts).lazy())
        made = f"dolphin data bars {ticks.name} --name {name} --spacing {spacing} --reference {reference}"
        manifest, unchanged = draft.publish(
            {
                "source": f"ticks {ticks.name}@{ticks.digest[:16]}",
                "made": made,
                "ingest_id": str(uuid.uuid4()),
                "instruments_from": "inferred from the data",
                "sources": ticks.manifest.get("sources", []),
                "ticks": {"name": ticks.name, "digest": ticks.digest},
                "notes": ticks.manifest.get("notes", []),
                "quality": _quality(draft, counts, spacing_ns),
            }
        )
    return from_manifest(workspace.catalog, manifest, manifest_path(workspace.catalog, name)), unchanged


def tick_counts(dataset: Dataset) -> pl.LazyFrame:
    """symbol, ts and ticks of every bar of a dataset that was made of ticks.

    Raises
    ------
    DolphinError
        If it was not.
    """
    entry = dataset.manifest.get("files", {}).get(TICK_COUNTS)
    if entry is None:
        raise DolphinError("was not made of ticks", where=dataset.name, mend="see 'dolphin data bars'")
    folder = version_folder(dataset.root, dataset.name, dataset.digest)
    check_files(folder, [(entry["file"], entry["sha256"])], mend_of(dataset.manifest))
    return pl.scan_parquet(folder / entry["file"])


def _write_days(draft: Draft, ticks: Table, spacing_ns: int) -> list[pl.DataFrame]:
    """Write the bars by the UTC day of their close; a day's last bar closes on the next one."""
    counts: list[pl.DataFrame] = []
    carried: dict[int, list[pl.DataFrame]] = {}
    for date in ticks.dates:
        ticks.day(date)  # checks the files' digests
        bars = bars_of(ticks.files_of(date), spacing_ns)
        for (day,), part in bars.group_by(pl.col("ts") // DAY_NS, maintain_order=True):
            carried.setdefault(int(day), []).append(part)  # type: ignore[call-overload]
        today = parse_time(date) // DAY_NS
        for day in sorted(d for d in carried if d <= today):
            counts.append(_write_day(draft, day, carried.pop(day)))
    for day in sorted(carried):
        counts.append(_write_day(draft, day, carried.pop(day)))
    return counts


def _write_day(draft: Draft, day: int, parts: list[pl.DataFrame]) -> pl.DataFrame:
    frame = pl.concat(parts).sort("symbol", "ts")
    draft.write_day(day, floats(frame))
    return frame.select("symbol", "ts", "ticks")


def floats(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars with their decimals as float64."""
    prices = (*VALUES, *QUOTES)
    return bars.with_columns(pl.Series(name, to_float(bars[name]), nan_to_null=True) for name in prices)


def _quoted(ticks: Table) -> bool:
    """Whether any tick has a quote."""
    return bool(ticks.frame().select(((pl.col("bid") > 0) & (pl.col("bid") <= pl.col("ask"))).any()).collect().item())


def _instruments(ticks: Table) -> tuple[Instrument, ...]:
    """Tick and lot step of each symbol: the fewest decimals that write every price, and every quantity."""
    most = ticks.frame().select("symbol", _places("price"), _places("quantity")).group_by("symbol").max().collect()
    places = {symbol: (price, quantity) for symbol, price, quantity in most.iter_rows()}
    return tuple(Instrument(s, places[s][0], 1, places[s][0], 1, places[s][1], MIN_NOTIONAL) for s in ticks.symbols)


def _places(name: str) -> pl.Expr:
    """How many decimal places each value of a column needs."""
    units, needed = (pl.col(name) * SCALE).cast(pl.Int128), pl.lit(0)
    for place in range(1, 9):
        needed = pl.when(units % 10 ** (9 - place) != 0).then(place).otherwise(needed)
    return needed.alias(name)


def _quality(draft: Draft, counts: list[pl.DataFrame], spacing_ns: int) -> dict[str, Any]:
    """Rows and gaps on the full grid, in the words of an import."""
    assert draft.identity is not None
    symbols = pl.Enum(list(draft.identity.symbols))
    first = min(entry["first_ts"] for entry in draft.days.values())
    last = max(entry["last_ts"] for entry in draft.days.values())
    gaps, rows = Gaps(draft.identity.symbols), pl.concat(counts)
    for day in range(first // DAY_NS, last // DAY_NS + 1):
        closes = np.arange(max(first, day * DAY_NS), min(last + 1, (day + 1) * DAY_NS), spacing_ns, dtype=np.int64)
        here = rows.filter(pl.col("ts") // DAY_NS == day)
        column = here["symbol"].cast(symbols).to_physical().to_numpy().astype(np.int64)
        gaps.add(day, closes, column, here["ts"].to_numpy())
    table = gaps.table()
    share = sum(gap["share"] for gap in table.values()) / len(table)
    return {
        "rows": rows.height,
        "ticks": int(rows["ticks"].sum()),
        "rejected": 0,
        "flagged": 0,
        "counts": {},
        "missing_share": share,
        "gaps": table,
    }
