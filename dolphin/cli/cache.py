"""``dolphin cache``: what the hot cache holds, how large it may grow, and emptying it."""

from __future__ import annotations

from typing import Annotated

import typer

from dolphin.cli.common import Json, emit, say, table


def cache(
    limit: Annotated[
        str | None,
        typer.Option("--limit", help="Most it may take, e.g. 20GB or 16GiB; 'none' takes the limit away. Kept."),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove every entry; they are built again on use.")] = False,
    as_json: Json = False,
) -> None:
    """List the hot cache, limit it or clear it. It holds copies only: no data is lost."""
    from dolphin import workspace
    from dolphin.catalog.store.cache_limit import format_size, list_entries, read_limit, shrink, write_limit
    from dolphin.times import format_time

    home = workspace.find()
    if limit is not None:
        write_limit(home, None if limit.strip().lower() == "none" else limit)
    most = read_limit(home)
    bound = 0 if clear else most
    evicted = [] if bound is None else shrink(home.catalog, bound)
    entries = list_entries(home.catalog)
    total = sum(entry.bytes for entry in entries)

    def document(entry) -> dict[str, object]:  # type: ignore[no-untyped-def]
        return {
            "key": entry.key,
            "what": entry.what,
            "dataset": entry.dataset,
            "digest": entry.digest,
            "present": entry.present,
            "bytes": entry.bytes,
            "last_used": format_time(entry.used_ns),
        }

    def show() -> None:
        columns = ("what", "dataset", "digest", "size", "last used", "data")
        rows = [
            (
                entry.what,
                entry.dataset,
                entry.digest[:16],
                format_size(entry.bytes),
                format_time(entry.used_ns)[:19],
                "there" if entry.present else "gone",
            )
            for entry in reversed(entries)
        ]
        if rows:
            table(None, columns, rows)
        if evicted:
            say(f"removed {len(evicted)} ({format_size(sum(entry.bytes for entry in evicted))})")
        ceiling = "no limit" if most is None else f"limit {format_size(most)}"
        say(f"{len(entries)} in the cache, {format_size(total)}, {ceiling}")

    result = {
        "entries": [document(entry) for entry in reversed(entries)],
        "bytes": total,
        "limit": most,
        "evicted": [document(entry) for entry in evicted],
    }
    emit(result, as_json, show)
