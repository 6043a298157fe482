"""A journal as Parquet, one file per kind of record, with a column per value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.core.digest import STAGES
from dolphin.core.records import Ints
from dolphin.errors import DolphinError
from dolphin.files import publish_folder
from dolphin.journal.reader import Index, Journal
from dolphin.journal.schema import ACCOUNT_VALUES, KINDS, ORDER_VALUES, RISK_VALUES, STATUSES, has_text
from dolphin.journal.showing import ACTIONS, ORDER_KINDS, open_journal

#: Rows that are in memory at once.
ROWS = 1 << 16

#: Numbers of an order that are whole.
_WHOLE = ("action", "asset", "side", "reason", "kind", "expires", "post_only", "reduce_only", "bar", "passive", "slot",
          "bank", "phase", "status")  # fmt: skip


def export(path: Path, out: Path) -> dict[str, int]:
    """Write the folder; rows by file name.

    Raises
    ------
    DolphinError
        If the journal is damaged or the folder exists.
    """
    out = Path(out)
    if out.exists():
        raise DolphinError("exists already", where=str(out), mend="name a new folder for --out")
    journal = open_journal(path)
    index = journal.index()
    rows: dict[str, int] = {}
    with publish_folder(out) as folder:
        for kind in KINDS:
            records = index.of(kind)
            if len(records):
                parts = [
                    _frame(journal, index, records[low : low + ROWS], kind) for low in range(0, len(records), ROWS)
                ]
                pl.concat(parts).write_parquet(folder / f"{kind}.parquet", compression="zstd")
                rows[f"{kind}.parquet"] = len(records)
    return rows


def _frame(journal: Journal, index: Index, records: Ints, kind: str) -> pl.DataFrame:
    if has_text(kind):  # room for texts differs, so they are read one by one
        return _text_frame(journal, index, records, kind)
    columns: dict[str, Any] = {name: journal.field(index, records, name) for name in ("seq", "bar", "ts", "local")}
    columns["ts"] = columns["ts"].astype("datetime64[ns]")
    symbols, counts = journal.header["symbols"], journal.shape.counts(kind)
    if "price" in counts:
        columns |= _table(journal.field(index, records, "price"), [f"price_{symbol}" for symbol in symbols])
        columns |= _table(journal.field(index, records, "age"), [f"age_{symbol}" for symbol in symbols])
        features = journal.field(index, records, "features")
        columns |= _table(features, [f"feature_{k}" for k in range(journal.shape.features)])
        columns |= _table(journal.field(index, records, "risk"), list(RISK_VALUES[: journal.shape.risk]))
        names = [f"{name}_{symbol}" for name in journal.shape.columns for symbol in symbols]
        columns |= _table(journal.field(index, records, "columns"), names)
    if "stages" in counts:
        columns |= _table(journal.field(index, records, "stages"), [f"stage_{stage}" for stage in STAGES])
        columns |= _table(journal.field(index, records, "account"), list(ACCOUNT_VALUES))
        columns["digest"] = journal.field(index, records, "digest")
    if "order" in counts:
        columns |= _orders(journal.field(index, records, "order"), symbols)
    return pl.DataFrame(columns)


def _text_frame(journal: Journal, index: Index, records: Ints, kind: str) -> pl.DataFrame:
    rows, orders = [], []
    for k in records.tolist():
        of, place = index.templates[int(index.which[k])], int(index.places[k]) * 8
        values = journal.record_at(place, of)
        rows.append((*(int(values[name]) for name in ("seq", "bar", "ts", "local")), journal.text_at(place, of)))
        orders.append(values["order"])
    frame = pl.DataFrame(rows, schema=["seq", "bar", "ts", "local", "text"], orient="row")
    frame = frame.with_columns(pl.col("ts").cast(pl.Datetime("ns")))
    if kind == "event":
        frame = frame.hstack(pl.DataFrame(_orders(np.array(orders), journal.header["symbols"])))
    return frame


def _table(values: Any, names: list[str]) -> dict[str, Any]:
    return {name: np.ascontiguousarray(values[:, k]) for k, name in enumerate(names)}


def _orders(values: Any, symbols: list[str]) -> dict[str, Any]:
    columns = {}
    for k, name in enumerate(ORDER_VALUES):
        column = values[:, k]
        columns["order_bar" if name == "bar" else name] = column.astype(np.int64) if name in _WHOLE else column
    columns["symbol"] = np.array(symbols)[columns["asset"]].tolist()
    columns["action_name"] = np.array(ACTIONS)[columns["action"]].tolist()
    columns["kind_name"] = np.array(ORDER_KINDS)[columns["kind"]].tolist()
    columns["status_name"] = np.array(STATUSES)[columns["status"]].tolist()
    return columns
