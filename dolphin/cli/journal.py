"""``dolphin journal``: show, verify, replay, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import From, Json, To, emit, note, say, table, window

app = typer.Typer(no_args_is_help=True, help="What a session read, wanted and got, bar by bar.")

File = Annotated[Path, typer.Argument(metavar="JOURNAL", help="A journal, or a run folder that holds one.")]


def _told_cut(torn: int, ended: bool) -> None:
    """Say on stderr what is not there."""
    if torn:
        note(f"dolphin: the last {torn:,} bytes hold no whole record (a writer was stopped there): cut")
    elif not ended:
        note("dolphin: its writer did not close it: what it wrote is whole")


@app.command()
def show(
    path: File,
    bars: Annotated[int, typer.Option("--bars", help="How many bars.")] = 20,
    at: Annotated[
        int | None, typer.Option("--at", help="First bar (row of the dataset); the last ones if none.")
    ] = None,
    start: From = None,
    stop: To = None,
    as_json: Json = False,
) -> None:
    """A stretch of bars: decisions, orders, fills, account."""
    from dolphin.journal.showing import stretch

    found = stretch(path, bars, at, *window(start, stop))

    def tell() -> None:
        about = found["header"]
        say(f"{about['session']} of {about['strategy']} on {about['dataset']}, {found['bars_in_all']:,} bars")
        rows = [
            (
                bar["bar"],
                bar["time"],
                bar["capital"],
                bar["equity"],
                bar["position"],
                bar["digest"],
                "; ".join(bar["events"]),
            )
            for bar in found["bars"]
        ]
        table(None, ("bar", "time", "capital", "equity", "open", "digest", "orders and fills"), rows)

    emit(found, as_json, tell)


@app.command()
def verify(path: File, as_json: Json = False) -> None:
    """Its structure, the check of every record, and its header."""
    from dolphin.journal.showing import verified

    found = verified(path)

    def tell() -> None:
        table(None, ("what", "value"), [(k, v) for k, v in found.items() if not isinstance(v, dict)])
        table(None, ("record", "count"), list(found["records"].items()))

    emit(found, as_json, tell)
    _told_cut(found["torn_bytes"], found["ended"])


@app.command()
def replay(path: File, as_json: Json = False) -> None:
    """Every bar decided again from what was recorded and what was filled (rung 4)."""
    from dataclasses import asdict

    from dolphin import workspace
    from dolphin.errors import NotFound
    from dolphin.journal import replay as again
    from dolphin.journal.showing import open_journal

    try:
        research = workspace.find().research
    except NotFound:
        research = None
    found = again(open_journal(path), research)

    def tell() -> None:
        say(found.sentence)
        for line in found.problems:
            say(f"  {line}")
        if found.engine_differs:
            say("  the engine here is another than the session's")
        say(f"  {found.bars / found.seconds:,.0f} bars a second; {found.duplicates} events came twice and count once")

    emit(asdict(found) | {"equal": found.equal}, as_json, tell)
    _told_cut(found.torn, found.ended)
    if not found.equal:
        raise typer.Exit(1)


@app.command()
def export(
    path: File,
    out: Annotated[Path, typer.Option("--out", help="New folder for the Parquet files.")],
    as_json: Json = False,
) -> None:
    """One Parquet file per kind of record."""
    from dolphin.journal.export import export as write

    found = write(path, out)

    def tell() -> None:
        table(None, ("file", "rows"), list(found.items()))

    emit({"out": str(out), "files": found}, as_json, tell)
