"""``dolphin sql``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dolphin.cli.common import Json, emit, note, say, table
from dolphin.files import json_value

if TYPE_CHECKING:
    import polars as pl

    from dolphin.catalog.query.sql import Query
    from dolphin.workspace import Workspace


class Format(StrEnum):
    """What comes out."""

    table = "table"
    csv = "csv"
    json = "json"


def sql(
    query: Annotated[str | None, typer.Argument(help="One SELECT; without it the views are listed.")] = None,
    form: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = Format.table,
    out: Annotated[Path | None, typer.Option("--out", help="Into this file instead of stdout.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows of a table; csv and json give all.")] = 50,
    as_json: Json = False,
) -> None:
    """Ask the catalog in SQL (DuckDB, read-only); utc(ts) makes a time of nanoseconds."""
    from dolphin import workspace
    from dolphin.catalog.query import sql as catalog_sql
    from dolphin.files import publish

    home = workspace.find()
    form = Format.json if as_json else form
    if query is None:
        _list_views(catalog_sql.list_views(home, relations(home)), form is Format.json)
        return
    answer = catalog_sql.query(home, query, relations(home))
    if form is Format.table and out is None:
        _show(answer, limit)
        return
    lines = _csv(answer) if form is Format.csv else _json(answer) if form is Format.json else _text(answer)
    if out is None:
        for line in lines:
            sys.stdout.write(line)
    else:
        with publish(out) as part, part.open("w", encoding="utf-8") as stream:
            for line in lines:
                stream.write(line)
        note(f"written to {out}")


def relations(home: Workspace) -> dict[str, Callable[[], pl.DataFrame]]:
    """Tables beside the catalog: the trial registry, the champions, the closed days of sessions."""
    from dolphin.trade.archive import session_tables

    def trials() -> pl.DataFrame:
        from dolphin.study.trials.registry import Registry

        return Registry(home).trials().collect()

    def champions() -> pl.DataFrame:
        from dolphin.gate.lineage import champions_frame

        return champions_frame(home)

    return {"trials": trials, "champions": champions, **session_tables(home)}


def _list_views(views: dict[str, tuple[tuple[str, str], ...]], as_json: bool) -> None:
    document = {name: [{"name": column, "type": kind} for column, kind in found] for name, found in views.items()}

    def tell() -> None:
        table(None, ("view", "columns"), [(name, _columns(found)) for name, found in views.items()])
        say('ask with: dolphin sql "select ..."; ts is the close in ns UTC, utc(ts) its time')

    emit({"views": document}, as_json, tell)


def _columns(found: tuple[tuple[str, str], ...], most: int = 16) -> str:
    listed = ", ".join(f"{name} {kind}".strip() for name, kind in found[:most])
    return listed if len(found) <= most else f"{listed}, ... {len(found)} columns"


def _show(answer: Query, limit: int) -> None:
    """The first rows as a table; says so when there are more."""
    rows: list[tuple[str, ...]] = []
    more = False
    for batch in answer.batches():
        rows += [tuple("-" if v is None else str(v) for v in row) for row in plain(batch).head(limit).iter_rows()]
        if len(rows) > limit or batch.height > limit:
            more = True
            break
    table(None, [name for name, _ in answer.columns], rows[:limit])
    if more:
        note(f"the first {limit} rows; --limit N for more, --format csv for all")


def _text(answer: Query) -> Iterator[str]:
    """A table for a file: all rows, columns padded."""
    frame = plain(answer.frame())
    rows = [frame.columns, *([("-" if v is None else str(v)) for v in row] for row in frame.iter_rows())]
    width = [max(len(row[k]) for row in rows) for k in range(len(frame.columns))]
    for row in rows:
        yield "  ".join(value.ljust(width[k]) for k, value in enumerate(row)).rstrip() + "\n"


def _csv(answer: Query) -> Iterator[str]:
    import polars as pl

    yield pl.DataFrame(schema={name: pl.String for name, _ in answer.columns}).write_csv()
    for batch in answer.batches():
        yield plain(batch).write_csv(include_header=False)


def _json(answer: Query) -> Iterator[str]:
    columns = [{"name": name, "type": kind} for name, kind in answer.columns]
    yield f'{{"columns": {json.dumps(columns)},\n "rows": ['
    before = "\n"
    for batch in answer.batches():
        for row in plain(batch, nested=False).iter_rows(named=True):
            yield before + "  " + json.dumps({name: json_value(value) for name, value in row.items()}, default=str)
            before = ",\n"
    yield "]}\n"


def plain(frame: pl.DataFrame, *, nested: bool = True) -> pl.DataFrame:
    """Times as ISO text (the catalog knows UTC only), decimals and bytes as text; lists as JSON if ``nested``."""
    import polars as pl

    changed = []
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.Datetime):
            changed.append(pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"))
        elif kind.is_temporal() or kind.is_decimal():
            changed.append(pl.col(name).cast(pl.String))
        elif kind == pl.Binary:
            changed.append(pl.col(name).bin.encode("hex"))
        elif kind.is_nested() and nested:
            values = [None if v is None else json.dumps(json_value(v), default=str) for v in frame[name].to_list()]
            changed.append(pl.Series(name, values, pl.String))  # type: ignore[arg-type]
    return frame.with_columns(changed)
