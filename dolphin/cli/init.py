"""``dolphin init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import Json, emit, progress_bar, say


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new workspace.")],
    example: Annotated[
        bool, typer.Option("--example", help="With a generated market, a strategy, a config and a study that run.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a new workspace; what is already there stays as it is."""
    from dolphin import workspace

    if not example:
        made = workspace.create(folder)
        emit({"workspace": str(made.root)}, as_json, lambda: say(f"workspace ready: {made.root}"))
        return
    from dolphin.cli.new import show_started
    from dolphin.starters import start_example

    with progress_bar() as progress:
        started = start_example(folder, progress)
    root = workspace.create(folder).root
    if not as_json:
        say(f"workspace ready: {root} (go there: cd {folder})")
    show_started(started, as_json, workspace=str(root))
