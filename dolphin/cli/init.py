"""``dolphin init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import Json, emit, say


def init(folder: Annotated[Path, typer.Argument(help="Folder of the new workspace.")], as_json: Json = False) -> None:
    """Make a new workspace; what is already there stays as it is."""
    from dolphin import workspace

    made = workspace.create(folder)
    emit({"workspace": str(made.root)}, as_json, lambda: say(f"workspace ready: {made.root}"))
