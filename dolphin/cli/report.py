"""``dolphin report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import Json, emit, say


def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path, typer.Option("--out", help="HTML file to write.")],
    as_json: Json = False,
) -> None:
    """A tear sheet: one HTML file, no network."""
    from dolphin.report import write_tear_sheet

    write_tear_sheet(run, out)
    emit(
        {"run": str(run), "out": str(out), "bytes": out.stat().st_size},
        as_json,
        lambda: say(f"written: {out}"),
    )
