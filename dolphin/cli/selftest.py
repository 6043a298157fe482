"""``dolphin selftest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import Json, emit, progress_bar, say, table


def selftest(
    only: Annotated[list[str] | None, typer.Option("--only", help="A fault by name; repeatable.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes at once.")] = 1,
    write: Annotated[Path | None, typer.Option("--write", help="Put the table into this page.")] = None,
    names: Annotated[bool, typer.Option("--list", help="Name the faults and run nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make the package wrong in known ways, one at a time, and see that each is caught where it should be."""
    from dolphin.selftest.runner import select
    from dolphin.selftest.runner import selftest as look

    if names:
        faults = select(only or ())
        document = {"faults": [{"name": f.name, "what": f.what, "module": f.module} for f in faults]}
        told = [(f.name, f.what, f.module, f.detector, f.stage) for f in faults]
        emit(document, as_json, lambda: table(None, ("fault", "pretends that", "where", "expected", "stage"), told))
        return
    from dolphin.selftest.table import COLUMNS, rows, score, write_page

    with progress_bar() as progress:
        report = look(only or (), jobs=jobs, progress=progress)
    if write is not None:
        write_page(write, report)

    def show() -> None:
        table(None, COLUMNS, rows(report))
        for one in report.outcomes:
            if not one.caught:
                say(f"{one.name}: {one.sentence}")
        say(score(report))

    emit(report.as_dict(), as_json, show)
    if not report.passed:
        raise typer.Exit(1)
