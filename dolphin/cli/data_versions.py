"""``dolphin data versions``, ``diff``, ``prune``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dolphin.cli.common import Json, emit, say, table
from dolphin.errors import DolphinError

Name = Annotated[str, typer.Argument(help="Dataset.")]


def versions(name: Name, as_json: Json = False) -> None:
    """Every version of a dataset on this machine; old ones open as NAME@DIGEST."""
    from dolphin import workspace
    from dolphin.catalog import format_time
    from dolphin.catalog.store.layout import check_name, dataset_names
    from dolphin.catalog.store.versions import list_versions
    from dolphin.errors import nearest

    home = workspace.find()
    check_name(name)
    found = list_versions(home.catalog, name)
    if not found:
        known = dataset_names(home.catalog)
        raise DolphinError(f"no dataset '{name}'", where=str(home.catalog), mend=nearest(name, known))
    rows = [
        {
            "digest": version.digest,
            "current": version.current,
            "open as": version.label,
            "rows": version.manifest["rows"],
            "days": len(version.manifest["days"]),
            "first": format_time(version.manifest["first_ts"]),
            "last": format_time(version.manifest["last_ts"]),
            "made": version.manifest.get("made"),
        }
        for version in found
    ]

    def tell() -> None:
        columns = ("open as", "current", "rows", "days", "first", "last")
        table(None, columns, [tuple(row[column] for column in columns) for row in rows])

    emit({"dataset": name, "versions": rows}, as_json, tell)


def diff(
    a: Annotated[str, typer.Argument(help="Dataset, or NAME@DIGEST for a version of it.")],
    b: Annotated[str, typer.Argument(help="The other one.")],
    first: Annotated[int, typer.Option("--cells", min=0, help="How many cells to show with both values.")] = 20,
    as_json: Json = False,
) -> None:
    """Which days, symbols and cells differ; exit 0 if none, 1 if any."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.catalog.query.diff import diff as compare

    home = workspace.find()
    found = compare(open_dataset(home, a), open_dataset(home, b), first=first)
    emit(found.as_dict(), as_json, lambda: _show(found))
    if not found.equal:
        raise typer.Exit(1)


def prune(
    name: Name,
    keep: Annotated[int, typer.Option("--keep", min=0, help="So many of the newest old versions stay.")] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; otherwise it is only said.")] = False,
    as_json: Json = False,
) -> None:
    """Remove old versions that no champion and no run refers to; never the current one."""
    from dolphin import workspace
    from dolphin.catalog.store.versions import prune_versions
    from dolphin.gate.lineage import used_versions

    home = workspace.find()
    gone = prune_versions(home.catalog, name, keep=keep, used=used_versions(home), dry=not yes)

    def tell() -> None:
        for version in gone:
            say(f"{'removed' if yes else 'would be removed'}: {version.label}")
        if not gone:
            say(f"{name}: nothing to remove")
        elif not yes:
            say("nothing was removed; add --yes to do it")

    emit({"dataset": name, "removed": yes, "versions": [version.digest for version in gone]}, as_json, tell)


def _show(found: Any) -> None:
    from dolphin.catalog import format_time

    for key, (one, two) in found.identity.items():
        say(f"{key}: {one} / {two}")
    for side, days in ((found.a, found.only_a), (found.b, found.only_b)):
        if days:
            say(f"only in {side}: {len(days):,} days, {days[0]} to {days[-1]}")
    say(f"{found.equal_days:,} days are equal, {len(found.days):,} differ")
    counts = [
        (date, symbol, row["cells"], row["only_a"], row["only_b"])
        for date, symbols in found.days.items()
        for symbol, row in symbols.items()
    ]
    if counts:
        shown = counts[:50]
        table(None, ("day", "symbol", "cells", f"rows only in {found.a}", f"rows only in {found.b}"), shown)
        if len(counts) > len(shown):
            say(f"... {len(counts) - len(shown):,} more (--json)")
    if found.columns:
        rows = [(name, entry["cells"], repr(entry["max_difference"])) for name, entry in found.columns.items()]
        table(None, ("column", "cells", "largest difference"), rows)
    if found.cells:
        cells = [
            (cell["symbol"], format_time(cell["ts"]), cell["column"], repr(cell["a"]), repr(cell["b"]))
            for cell in found.cells
        ]
        table("the first cells", ("symbol", "close", "column", found.a, found.b), cells)
