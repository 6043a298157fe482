"""``dolphin check``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import From, Json, Sets, To, emit, load_config, progress_bar, say, window


class Kind(StrEnum):
    """What to check."""

    lookahead = "lookahead"
    warmup = "warmup"
    append_only = "append-only"


def check(
    kind: Annotated[Kind, typer.Argument(help="lookahead, warmup or append-only.")],
    name: Annotated[str, typer.Argument(help="Dataset.")],
    config: Annotated[Path | None, typer.Option("--config", help="Config file (not for append-only).")] = None,
    start: From = None,
    stop: To = None,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """No look-ahead, no warm-up dependence, nothing rewritten: on any strategy."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.errors import DolphinError
    from dolphin.parity import checks
    from dolphin.study.backtest import prepare
    from dolphin.study.scanning import scan_dataset

    home = workspace.find()
    with progress_bar() as progress:
        if kind is Kind.append_only:
            dataset = open_dataset(home, name)
            scan_dataset(dataset, progress)
            result = checks.append_only(dataset)
        elif config is None:
            raise DolphinError(f"check {kind.value} needs a strategy", mend="add --config FILE.toml")
        else:
            settings = load_config(config, sets)
            case = prepare(home, name, settings, *window(start, stop), progress)
            result = checks.lookahead(*case, progress=progress) if kind is Kind.lookahead else checks.warmup(*case)
    emit(
        result.as_dict() | {"dataset": name},
        as_json,
        lambda: say(f"{result.name}: {'ok' if result.passed else 'FAILED'}: {result.detail}"),
    )
    if not result.passed:
        raise typer.Exit(1)
