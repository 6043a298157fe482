"""``dolphin scan``."""

from __future__ import annotations

from typing import Annotated

import typer

from dolphin.cli.common import Json, emit, progress_bar, say


def scan(
    name: Annotated[str, typer.Argument(help="Dataset.")],
    as_json: Json = False,
) -> None:
    """Feature rows for every bar; only what is missing is computed."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset, scan_folder
    from dolphin.study.scanning import scan_dataset

    dataset = open_dataset(workspace.find(), name)
    with progress_bar() as progress:
        done = scan_dataset(dataset, progress)
    folder = scan_folder(dataset)
    document = {"dataset": name, "days": done.days, "computed": done.computed, "folder": str(folder)}
    emit(document, as_json, lambda: say(f"{name}: {done.computed} of {done.days} days computed, in {folder}"))
