"""``dolphin feeds``: record external factors, books and trades; look at the recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dolphin.cli.common import Json, cluster_of, emit, note, say, table

app = typer.Typer(help="External factors, books and trades, while they happen.", no_args_is_help=True)
Settings = Annotated[Path | None, typer.Option("--config", help="Settings; by default feeds.toml of the workspace.")]


@app.command("run")
def run(
    only: Annotated[str, typer.Option("--only", help="Parts: exf, books, ticks.")] = "exf,books,ticks",
    seconds: Annotated[float | None, typer.Option("--for", min=0.1, help="Seconds; by default until stopped.")] = None,
    config: Settings = None,
    store: Annotated[
        str | None, typer.Option("--store", help="hazelcast://host:port/cluster: factors, books, vol_regime go there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask, listen and record, until interrupted."""
    import asyncio
    from contextlib import closing, nullcontext

    from dolphin import workspace
    from dolphin.feeds.service import Service, parts_of
    from dolphin.feeds.sources import read_settings

    home = workspace.find()
    settings, parts = read_settings(home.root, config), parts_of(only)
    with nullcontext() if store is None else closing(cluster_of(store)) as shared:
        service = Service(home, settings, parts, tell=None if shared is None else _records(shared))
        note(f"recording {', '.join(service.only)} into {service.folder}; stop with Ctrl-C")
        asyncio.run(service.run(seconds))
    document = service.health.document()
    emit(document, as_json, lambda: _show(document))
    if service.interrupted:
        raise typer.Exit(130)


def _records(shared: Any) -> Any:
    from dolphin.live.mirrors.records import Records

    return Records(shared).recorded


@app.command("status")
def status(as_json: Json = False) -> None:
    """What a running feed says of itself (exit code 1 if it is critical, or none runs)."""
    import time

    from dolphin import workspace
    from dolphin.errors import NotFound
    from dolphin.feeds.recorder import recording_folder
    from dolphin.files import read_json
    from dolphin.times import SECOND_NS, parse_time

    path = recording_folder(workspace.find()) / "status.json"
    if not path.is_file():
        raise NotFound("nothing was ever recorded here", where=str(path.parent), mend="begin: dolphin feeds run")
    document = read_json(path)
    age = (time.time_ns() - parse_time(document["timestamp"])) / SECOND_NS
    running = age < 30.0
    document |= {"running": running, "age_s": round(age, 3)}

    def show() -> None:
        said = "running" if running else f"NOT RUNNING, this is what it said {age:,.0f} s ago"
        say(f"{said}: pid {document['pid']}, port {document['port']}, parts {', '.join(document['only'])}")
        _show(document)

    emit(document, as_json, show)
    if not running or document["status"] == "critical":
        raise typer.Exit(1)


@app.command("doctor")
def doctor(config: Settings = None, as_json: Json = False) -> None:
    """Ask every source once, and say what answered (exit code 1 if one did not)."""
    import asyncio

    from dolphin import workspace
    from dolphin.feeds.doctor import ask_all
    from dolphin.feeds.sources import read_settings

    found = asyncio.run(ask_all(read_settings(workspace.find().root, config)))
    document = {"findings": [finding._asdict() for finding in found]}

    def show() -> None:
        rows = [(f.source, f.what, "ok" if f.ok else "NO ANSWER", f"{f.ms:.0f}", f.said) for f in found]
        table(None, ("source", "what", "state", "ms", "said"), rows)
        say(f"{sum(f.ok for f in found)} of {len(found)} answered")

    emit(document, as_json, show)
    if not all(f.ok for f in found):
        raise typer.Exit(1)


@app.command("compact")
def compact(
    date: Annotated[str | None, typer.Option("--date", help="UTC day; by default all that are over.")] = None,
    config: Settings = None,
    as_json: Json = False,
) -> None:
    """Make tables of the catalog from the snapshots of a day; a running feed does it by itself."""
    import time

    from dolphin import workspace
    from dolphin.errors import NotFound
    from dolphin.feeds.compaction import compact_day, due_days
    from dolphin.feeds.recorder import recording_folder
    from dolphin.feeds.sources import read_settings
    from dolphin.times import DAY_NS, format_day, parse_time

    home = workspace.find()
    tables = read_settings(home.root, config).tables
    dates = [format_day(parse_time(date) // DAY_NS)] if date else due_days(home, tables, time.time_ns())
    made = [found for day in dates for found in compact_day(home, tables, day).values()]
    if date and not made:
        raise NotFound(f"no snapshot has rows of {dates[0]}", where=str(recording_folder(home)), mend="check the date")
    rows = [(found.name, found.kind, found.manifest["rows"], found.digest[:16]) for found in made]
    document: dict[str, Any] = {"tables": [dict(zip(("name", "kind", "rows", "digest"), r, strict=True)) for r in rows]}
    emit(document, as_json, lambda: table(None, ("table", "kind", "rows", "digest"), rows))


@app.command("verify")
def verify(config: Settings = None, as_json: Json = False) -> None:
    """Hash every snapshot and table of the recording (exit code 1 if one is damaged)."""
    from dolphin import workspace
    from dolphin.feeds.compaction import verify_recording
    from dolphin.feeds.sources import read_settings

    home = workspace.find()
    problems = verify_recording(home, read_settings(home.root, config).tables)
    emit({"problems": problems}, as_json, lambda: say("\n".join(problems) or "intact"))
    if problems:
        raise typer.Exit(1)


def _show(document: dict[str, Any]) -> None:
    say(f"status {document['status']} at {document['timestamp']}")
    parts = [
        (name, part["status"], "-" if part["age_s"] is None else f"{part['age_s']:.1f}",
         ", ".join(f"{count:,} {what}" for what, count in part["counts"].items()))
        for name, part in document["components"].items()
    ]  # fmt: skip
    table(None, ("part", "status", "age s", "counted"), parts)
    alerts = [
        (alert["severity"], alert["component"], alert["since"], alert["cleared"] or "active", alert["text"])
        for alert in document["alerts"]
    ]
    if alerts:
        table(None, ("severity", "part", "since", "cleared", "alert"), alerts)
