"""``dolphin ladder``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import (
    ConfigFile,
    From,
    Json,
    Sets,
    To,
    emit,
    load_config,
    progress_bar,
    table,
    window,
)


def ladder(
    name: Annotated[str, typer.Argument(help="Dataset.")],
    config: ConfigFile,
    rungs: Annotated[str, typer.Option("--rungs", help="Which, comma separated.")] = "0,1,2",
    start: From = None,
    stop: To = None,
    sets: Sets = None,
    journals: Annotated[Path | None, typer.Option("--journals", help="Folder for the Nautilus runs' journals.")] = None,
    as_json: Json = False,
) -> None:
    """One configuration up the parity ladder: kernel, vectorbt, Nautilus."""
    from dolphin import workspace
    from dolphin.errors import DolphinError
    from dolphin.parity.ladder import ladder as climb
    from dolphin.study.backtest import prepare

    known = ("0", "1", "2")
    chosen = [part.strip() for part in rungs.split(",") if part.strip()]
    for part in chosen:
        if part not in known:
            raise DolphinError(f"--rungs {rungs}: no rung '{part}'", mend="known: 0, 1, 2")
    home = workspace.find()
    settings = load_config(config, sets)
    with progress_bar() as progress:
        dataset, market, settings, low, high = prepare(home, name, settings, *window(start, stop), progress)
        report = climb(
            dataset, market, settings, low, high, rungs=tuple(int(part) for part in chosen), journals=journals,
            progress=progress,
        )  # fmt: skip

    def show() -> None:
        rows = [
            (r.rung, r.name, "equal" if r.passed else "DIFFERS", r.bars, f"{r.seconds:.1f}", r.detail)
            for r in report.results
        ]
        table(None, ("rung", "through", "verdict", "bars", "seconds", "detail"), rows)
        if report.not_run:
            which = " and ".join(str(rung.rung) for rung in report.not_run)
            typer.echo(f"not run: rung {which}: {'; '.join(rung.reason for rung in report.not_run)}")

    emit(report.as_dict(), as_json, show)
    if not report.passed:
        raise typer.Exit(1)
