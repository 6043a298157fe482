"""``dolphin parity``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import Json, emit, say, table


def parity(
    left: Annotated[Path, typer.Argument(metavar="A", help="Run folder.")],
    right: Annotated[Path, typer.Argument(metavar="B", help="Run folder.")],
    as_json: Json = False,
) -> None:
    """The first bar, stage and field where two runs differ."""
    from dolphin import workspace
    from dolphin.errors import NotFound
    from dolphin.parity.divergence import compare

    try:
        home = workspace.find()
    except NotFound:
        home = None  # the digests can still be compared; only the fields need the data
    found = compare(left, right, home)

    def show() -> None:
        say(found.sentence)
        for line in found.notes:
            say(f"  {line}")
        if found.fields:
            rows = [(f.stage, f.name, repr(f.left), repr(f.right), "" if f.equal else "<-") for f in found.fields]
            table(None, ("stage", "field", "A", "B", ""), rows)

    emit(found.as_dict(), as_json, show)
    if not found.equal:
        raise typer.Exit(1)
