"""Parquet, Feather and Arrow IPC: metadata is checked against the file's size before any row is decoded.

pyarrow decodes (its buffers are checked against the file's bounds), every batch is validated in full, and
only then does polars see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from dolphin.catalog.readers.clock import Clock
from dolphin.catalog.readers.ipc import check_batches
from dolphin.catalog.readers.layouts import left_out, recognise
from dolphin.catalog.readers.reading import (
    MAX_FILE_BYTES,
    MAX_RATIO,
    Reading,
    Source,
    check_begins,
    explained,
    filled,
)
from dolphin.errors import DolphinError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 18
MAX_ROWS_PER_BYTE = 8  # market data has fewer rows than bytes
MAX_COLUMNS = 4096
SMALL_BYTES = 1 << 24  # no file is a bomb that unpacks to less


def read_parquet(path: Path) -> Reading:
    """Parquet of any layout: klines, ticks, scans, series."""
    source, schema, batches = _open_parquet(path)
    return _reading(path, source, "Parquet", schema, batches)


def whole_parquet(path: Path) -> pl.DataFrame:
    """Every row and column of a Parquet file, once they are known to be sound."""
    _, schema, batches = _open_parquet(path)
    return _whole(schema, batches)


def whole_arrow(path: Path) -> pl.DataFrame:
    """The same of an Arrow IPC file or stream."""
    _, schema, batches, _ = _open_arrow(path)
    return _whole(schema, batches)


def _whole(schema: pa.Schema, batches: Any) -> pl.DataFrame:
    frames = list(validated(batches(list(schema.names))))
    return pl.concat(frames) if frames else _frame(schema.empty_table())


def _open_parquet(path: Path) -> tuple[Source, Any, Any]:
    """A Parquet file whose claims are checked: its source, schema, and what gives its batches."""
    import pyarrow.parquet as pq

    check_begins(path, b"PAR1", "Parquet")
    source = Source.of(path)
    with explained(source.where, "Parquet"), pq.ParquetFile(path) as file:
        _check_parquet(file.metadata, path)
        schema = file.schema_arrow

    def batches(wanted: list[str]) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(BATCH_ROWS, columns=wanted, use_threads=False)

    return source, schema, batches


def read_arrow(path: Path) -> Reading:
    """Arrow IPC, file or stream whatever the suffix says: scan rows, or any other layout.

    Also Feather of version 2, which is an IPC file: freqtrade's candles and trades.
    """
    source, schema, batches, ended = _open_arrow(path)
    notes = () if ended else ("it ends without the mark of a stream's end: its writer was stopped, or it is cut",)
    return _reading(path, source, "Arrow IPC", schema, batches, notes)


def _open_arrow(path: Path) -> tuple[Source, Any, Any, bool]:
    """An Arrow file whose claims are checked; also whether it has the mark of its end."""
    import pyarrow as pa

    source = Source.of(path)
    with explained(source.where, "Arrow IPC"), path.open("rb") as stream:
        head = stream.read(8)
    if not head:
        raise DolphinError("an empty file", where=source.where, mend="remove it or download it again")
    if head.startswith(b"FEA1"):
        raise DolphinError("Feather of version 1", where=source.where, mend="write it again with to_feather")
    if not head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        raise DolphinError("not an Arrow IPC file or stream", where=source.where, mend="check what was downloaded")
    as_file = head.startswith(b"ARROW1")

    def batches(wanted: list[str]) -> Iterator[pa.RecordBatch]:
        included = [schema.get_field_index(name) for name in wanted]
        options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=included)
        with pa.OSFile(str(path)) as stream:
            if as_file:
                file = pa.ipc.open_file(stream, options=options)
                for i in range(file.num_record_batches):
                    yield file.get_batch(i)
            else:
                yield from pa.ipc.open_stream(stream, options=options)

    with explained(source.where, "Arrow IPC"):
        ended = check_batches(path, as_file, MAX_RATIO, SMALL_BYTES)
        with pa.OSFile(str(path)) as stream:
            schema = (pa.ipc.open_file if as_file else pa.ipc.open_stream)(stream).schema
    return source, schema, batches, ended


def _reading(
    path: Path, source: Source, form: str, schema: pa.Schema, batches: Any, notes: tuple[str, ...] = ()
) -> Reading:
    """The common part: columns tell the layout, batches become canonical frames."""
    with explained(source.where, form):
        names = list(schema.names)  # decoded here: it may be no UTF-8
    if len(names) > MAX_COLUMNS:
        raise DolphinError(f"{len(names)} columns", where=source.where, mend="check what was downloaded")
    layout = recognise(names, source)
    if layout.kind == "series":
        from dolphin.catalog.readers.series import read_series

        return read_series(path)
    wanted = layout.wanted(names)
    with explained(source.where, form):
        types = dict(_frame(schema.empty_table().select(wanted)).schema)

    def frames() -> Iterator[pl.DataFrame]:
        clock = Clock(source.where)
        for frame in validated(batches(wanted)):
            yield layout.make(frame, source, clock)

    return Reading(layout.kind, filled(frames(), source.where, form), (*notes, *left_out(types, layout)))


def validated(batches: Iterable[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    """Batches as frames, once offsets and text of every one are known to be sound."""
    for batch in batches:
        batch.validate(full=True)
        if batch.num_rows:
            yield _frame(batch)


def _frame(rows: pa.RecordBatch | pa.Table) -> pl.DataFrame:
    """Rows as a frame, without metadata: polars panics where names of types are no UTF-8."""
    for field in rows.schema:
        str(field.type)
    return pl.DataFrame(type(rows).from_arrays(rows.columns, names=rows.schema.names))


def _check_parquet(metadata: Any, path: Path) -> None:
    """Raise if the footer claims more than a file of this size can honestly hold."""
    size, mend = path.stat().st_size, "do not trust it"
    rows, groups = metadata.num_rows, metadata.num_row_groups
    if metadata.num_columns > MAX_COLUMNS:
        raise DolphinError(f"{metadata.num_columns} columns", where=str(path), mend=mend)
    if rows < 0 or rows > MAX_ROWS_PER_BYTE * max(size, 1 << 17):
        raise DolphinError(f"claims {rows} rows in {size} bytes", where=str(path), mend=mend)
    unpacked = 0
    for g in range(groups):
        group = metadata.row_group(g)
        for c in range(group.num_columns):
            column = group.column(c)
            if column.total_uncompressed_size < 0 or not 0 <= column.total_compressed_size <= size:
                raise DolphinError("a column of impossible size", where=str(path), mend=mend)
            unpacked += column.total_uncompressed_size
    if unpacked > min(MAX_FILE_BYTES, max(MAX_RATIO * size, SMALL_BYTES)):
        raise DolphinError(f"would unpack to {unpacked} bytes", where=str(path), mend=mend)
