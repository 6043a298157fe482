"""Closed days of sessions in the catalog: each journal as Parquet, a file per kind of record, queryable by SQL.

The journals stay where they are: the proof, replays and restarts read them. What is here can be made again.
"""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl

from dolphin.errors import DolphinError
from dolphin.journal.export import export
from dolphin.trade.folder import StateFolder
from dolphin.workspace import Workspace

FOLDER = "journals"
#: Kinds of records that SQL knows, by the name of their table.
TABLES = {
    "session_rows": "row",
    "session_decisions": "decision",
    "session_intents": "intent",
    "session_events": "event",
}


def days_folder(workspace: Workspace, folder: StateFolder) -> Path:
    """Where a session's days lie: ``data_catalog/journals/NAME/YYYY-MM-DD``."""
    return workspace.catalog / FOLDER / folder.root.name


def archive_closed(workspace: Workspace, folder: StateFolder) -> list[str]:
    """Write every closed day that is not there yet; the days that were written.

    A journal is closed when a later day has begun. A state folder outside the workspace is left alone: nothing says
    that its name is the only one.

    Raises
    ------
    DolphinError, OSError
        If a journal is damaged, or the catalog cannot be written.
    """
    if not folder.root.resolve().is_relative_to(workspace.root.resolve()):
        return []
    out, made = days_folder(workspace, folder), []
    for path in folder.sessions_journals()[:-1]:
        there = out / path.stem
        if there.exists() and there.stat().st_mtime_ns < path.stat().st_mtime_ns:
            shutil.rmtree(there)  # of another session that was here
        if not there.exists():
            out.mkdir(parents=True, exist_ok=True)
            out.chmod(0o700)  # as the state folder
            export(path, there)
            made.append(path.stem)
    return made


def archive_beside(workspace: Workspace, folder: StateFolder, failed: Callable[[str | None], None]) -> threading.Thread:
    """The same in a thread, so that no bar waits for it; ``failed`` is told why it did not work, or None."""

    def work() -> None:
        try:
            archive_closed(workspace, folder)
        except (DolphinError, OSError) as error:
            failed(" ".join(str(error).split()))
        else:
            failed(None)

    thread = threading.Thread(target=work, name="archive", daemon=True)
    thread.start()
    return thread


def session_tables(workspace: Workspace) -> dict[str, Callable[[], pl.DataFrame]]:
    """Tables for SQL by name; every row has ``session`` and ``day``."""
    root = workspace.catalog / FOLDER
    if not root.is_dir():
        return {}
    return {name: functools.partial(_frame, root, kind) for name, kind in TABLES.items()}


def _frame(root: Path, kind: str) -> pl.DataFrame:
    parts = [
        pl.read_parquet(path).with_columns(
            session=pl.lit(path.parent.parent.name), day=pl.lit(path.parent.name).str.to_date()
        )
        for path in sorted(root.glob(f"*/*/{kind}.parquet"))
    ]
    return pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame({"session": [], "day": []})
