"""SQL over the catalog: one DuckDB view per dataset and what belongs to it, read-only.

DuckDB runs in memory over the Parquet files themselves. ``date`` is taken from the file's name, so a
condition on it leaves the other files unopened; columns that are not asked for are not read. A query is
one SELECT: it can neither write nor read a file outside the catalog, nor load an extension.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog.derived.scans import check_scans
from dolphin.catalog.store.intact import check_files
from dolphin.catalog.store.layout import (
    checked_files_beside,
    current_manifest,
    current_manifests,
    files_beside,
    kind_of,
    label_of,
    version_folder,
)
from dolphin.catalog.store.scan_layout import DAYS, DETAIL, folder_of
from dolphin.errors import DolphinError, nearest
from dolphin.workspace import Workspace

BATCH = 1 << 16  # rows
Relations = Mapping[str, Callable[[], pl.DataFrame]]

#: Settings in this order: the last ones close the door behind the first.
_CLOSED = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET temp_directory = ''",
)
_FILE_DATE = "CAST(right(parse_filename(filename, true), 10) AS DATE) AS date"


@dataclass(frozen=True)
class View:
    """A name that a query can use, and what stands behind it; ``check`` raises if a file behind it is damaged."""

    name: str
    select: str
    check: Callable[[], object] = field(default=lambda: None, compare=False)


class Query:
    """The answer to one SELECT, in batches.

    Attributes
    ----------
    columns : tuple of (str, str)
        Name (made unique) and DuckDB type of every column.
    """

    def __init__(self, connection: Any, relation: Any, views: list[str]) -> None:
        # Not every DuckDB has a relation keep its connection open.
        self._connection, self._relation, self._views = connection, relation, views
        self.columns = tuple(zip(_unique(relation.columns), map(str, relation.types), strict=True))

    def batches(self) -> Iterator[pl.DataFrame]:
        """The rows, at most ``BATCH`` at a time; there may be none."""
        names = [name for name, _ in self.columns]
        with _explained(self._views):
            for batch in self._relation.to_arrow_reader(BATCH):
                yield pl.DataFrame(pl.from_arrow(batch.rename_columns(names)))

    def frame(self) -> pl.DataFrame:
        """All rows."""
        names = [name for name, _ in self.columns]
        with _explained(self._views):
            return pl.DataFrame(pl.from_arrow(self._relation.to_arrow_table().rename_columns(names)))


def views_of(catalog: Path, manifest: Mapping[str, Any], name: str) -> list[View]:
    """The views of one version: its rows as ``name``, and ``name_scan`` and so on where there is such data.

    Parameters
    ----------
    manifest : mapping
        The manifest of the version.
    name : str
        What the views are called after.
    """
    kind = kind_of(manifest)
    folder = version_folder(catalog, manifest["name"], manifest["digest"], kind)
    beside = {suffix: files_beside(catalog, manifest, suffix) for suffix in ("quality", "rejected")}
    again = f"make it again: {manifest.get('made', 'dolphin data import')}"
    rows = [(entry["file"], entry["sha256"]) for entry in manifest["days"].values()]
    check = partial(check_files, folder, rows, again)
    aside = [
        View(f"{name}_{suffix}", _plain(files), partial(checked_files_beside, catalog, manifest, suffix))
        for suffix, files in beside.items()
        if files
    ]
    if kind != "bars":
        parted = any(entry.get("symbol") for entry in manifest["days"].values())
        return [View(name, _parts(folder / "date=*" / "**" / f"{kind}.parquet", parted), check), *aside]
    found = [View(name, _parquet(folder / manifest["spacing"] / "date=*.parquet"), check)]
    current = current_manifest(catalog, manifest["name"]).get("digest") == manifest["digest"]
    scans = folder_of(catalog, label_of(manifest["name"], manifest["digest"], current=current))
    for suffix, files in (("scan", scans / DAYS), ("detail", scans / DETAIL / DAYS)):
        if any(files.parent.glob(DAYS)):
            found.append(View(f"{name}_{suffix}", _parquet(files), partial(_check_scans, scans, files)))
    return found + aside


def _check_scans(scans: Path, files: Path) -> None:
    check_scans(scans, [str(path.relative_to(scans)) for path in sorted(files.parent.glob(files.name))])


def catalog_views(catalog: Path) -> list[View]:
    """The views of every dataset; a dataset's own name goes before a name derived from another's."""
    found: list[View] = []
    manifests = current_manifests(catalog)
    for name, manifest in manifests.items():
        if {"name", "digest"} <= manifest.keys() and ("kind" in manifest or "spacing" in manifest):
            found += views_of(catalog, manifest, name)
    own = {name.lower() for name in manifests}
    seen: set[str] = set()
    kept = []
    for view in sorted(found, key=lambda view: view.name.lower() not in own):
        if view.name.lower() not in seen:
            seen.add(view.name.lower())
            kept.append(view)
    return kept


def datasets_frame(catalog: Path) -> pl.DataFrame:
    """One row per dataset: what its manifest says."""
    schema: dict[str, Any] = {
        "name": pl.String,
        "kind": pl.String,
        "digest": pl.String,
        "spacing": pl.String,
        "symbols": pl.Int64,
        "days": pl.Int64,
        "rows": pl.Int64,
        "bars": pl.Int64,
        "first_ts": pl.Int64,
        "last_ts": pl.Int64,
        "synthetic": pl.Boolean,
        "source": pl.String,
        "made": pl.String,
    }
    rows = []
    for manifest in current_manifests(catalog).values():
        row = {key: manifest.get(key) for key in schema}
        row["kind"] = kind_of(manifest)
        row |= {key: _size(manifest.get(key)) for key in ("symbols", "days")}
        rows.append(row)
    return pl.DataFrame([row for row in rows if row["digest"]], schema=schema)


def sources_frame(catalog: Path) -> pl.DataFrame:
    """One row per source file of every dataset: its name, SHA-256 and the rows taken from it."""
    schema: dict[str, Any] = {"dataset": pl.String, "file": pl.String, "sha256": pl.String, "rows": pl.Int64}
    rows = []
    for name, manifest in current_manifests(catalog).items():
        for entry in manifest.get("sources") or ():
            rows.append({"dataset": name, **{key: entry.get(key) for key in ("file", "sha256", "rows")}})
    return pl.DataFrame(rows, schema=schema)


def query(workspace: Workspace, text: str, relations: Relations | None = None) -> Query:
    """Answer one SELECT over the catalog's views, ``datasets``, ``sources`` and ``relations``.

    Parameters
    ----------
    relations : mapping of str to callable
        Further tables, made only when the query mentions their name.

    Raises
    ------
    DolphinError
        Unless it is a single SELECT over what is there; the nearest name is suggested.
    """
    views, tables = _everything(workspace, relations)
    return run(workspace.catalog, text, views, tables)


def list_views(workspace: Workspace, relations: Relations | None = None) -> dict[str, tuple[tuple[str, str], ...]]:
    """Every view with the names and types of its columns."""
    views, tables = _everything(workspace, relations)
    names = [view.name for view in views] + [name for name in tables if name.lower() not in _names(views)]
    found = {}
    for name in names:
        try:
            found[name] = run(workspace.catalog, f"SELECT * FROM {quoted(name)} LIMIT 0", views, tables).columns
        except DolphinError as error:  # a dataset whose files are gone: the others still answer
            found[name] = ((f"cannot be read: {error.what}", ""),)
    return found


def run(catalog: Path, text: str, views: list[View], tables: Relations) -> Query:
    """Answer one SELECT over these views and tables; see :func:`query`."""
    import duckdb

    names = [view.name for view in views] + [name for name in tables if name.lower() not in _names(views)]
    connection = duckdb.connect(":memory:")
    with _explained(names):
        _only_a_select(connection, text)
        for setting in _CLOSED:
            connection.execute(setting)
        connection.execute(f"SET allowed_directories = [{_literal(f'{catalog.resolve()}/')}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("CREATE MACRO utc(ts) AS make_timestamp_ns(ts)")
        mentioned = [name for name in names if name.lower() in text.lower()] or names
        for view in views:
            if view.name in mentioned:
                view.check()
                connection.execute(f"CREATE VIEW {quoted(view.name)} AS {view.select}")
        for name, frame in tables.items():
            if name in mentioned and name.lower() not in _names(views):
                connection.register(name, frame().to_arrow())
        connection.execute("SET lock_configuration = true")
        return Query(connection, connection.sql(text), names)


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _everything(workspace: Workspace, relations: Relations | None) -> tuple[list[View], dict[str, Any]]:
    catalog = workspace.catalog
    tables = {
        "datasets": lambda: datasets_frame(catalog),
        "sources": lambda: sources_frame(catalog),
        **(relations or {}),
    }
    return catalog_views(catalog), tables


def _only_a_select(connection: Any, text: str) -> None:
    statements = connection.extract_statements(text)
    mend = "write one SELECT; without a query 'dolphin sql' lists what can be read"
    if len(statements) != 1:
        raise DolphinError(f"{len(statements)} statements in the query", mend=mend)
    # DuckDB before 2.0 makes a SELECT of some pragmas.
    kind = "PRAGMA" if re.match(r"\s*pragma\b", text, re.IGNORECASE) else statements[0].type.name
    if kind != "SELECT":
        raise DolphinError(f"the catalog is read-only: {kind} is refused", mend=mend)


class _explained:
    """Turn what DuckDB says into one clear line that names the nearest view."""

    def __init__(self, views: list[str]) -> None:
        self.views = views

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import duckdb

        if not isinstance(error, duckdb.Error | pl.exceptions.PolarsError):
            return
        said = re.split(r"\n\s*(?:LINE \d+:|Did you mean)", str(error))[0]
        said = " ".join(said.split())
        mend = None
        table = re.search(r"Table with name (\S+) does not exist", said)
        column = re.search(r'column "(.+?)" not found.*?Candidate bindings: (.*)', said)
        if table:
            said, mend = f"no view '{table[1]}'", nearest(table[1], self.views)
        elif column:
            said, mend = f"no column '{column[1]}'", nearest(column[1], re.findall(r'"([^"]+)"', column[2]))
        elif "disabled by" in said or "Permission Error" in said:
            said, mend = said.split(" - ")[0], "a query reads nothing but the catalog"
        raise DolphinError(said, where="query", mend=mend) from error


def _parts(files: Path, parted: bool) -> str:
    """The parts of a table as a SELECT; ``date`` and, where parted by it, ``symbol`` are those of the folders."""
    # Types are told: a symbol is text, whatever it looks like.
    types = "{'date': DATE, 'symbol': VARCHAR}" if parted else "{'date': DATE}"
    return f"SELECT * FROM read_parquet({_literal(str(files))}, hive_partitioning = true, hive_types = {types})"


def _parquet(files: Path) -> str:
    """Daily files as a SELECT, with the column ``date``."""
    source = f"read_parquet({_literal(str(files))}, filename = true, hive_partitioning = false)"
    return f"SELECT * EXCLUDE (filename), {_FILE_DATE} FROM {source}"


def _plain(files: list[Path]) -> str:
    listed = ", ".join(_literal(str(path)) for path in sorted(files))
    return f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _names(views: list[View]) -> set[str]:
    return {view.name.lower() for view in views}


def _size(value: Any) -> int | None:
    return len(value) if isinstance(value, list | dict) else None


def _unique(names: list[str]) -> list[str]:
    """Column names with a number after those that come again."""
    found: list[str] = []
    for name in names:
        fresh, number = name, 1
        while fresh in found:
            fresh, number = f"{name}_{number}", number + 1
        found.append(fresh)
    return found
