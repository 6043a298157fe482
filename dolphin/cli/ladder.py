"""``dolphin ladder``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import (
    ConfigFile,
    Dataset,
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
    name: Dataset,
    config: ConfigFile,
    rungs: Annotated[str, typer.Option("--rungs", help="Which, comma separated.")] = "0,R,1,2",
    start: From = None,
    stop: To = None,
    sets: Sets = None,
    journals: Annotated[Path | None, typer.Option("--journals", help="Folder for the Nautilus runs' journals.")] = None,
    as_json: Json = False,
) -> None:
    """One configuration up the parity ladder: kernel, plain Python, vectorbt, Nautilus."""
    from dolphin import workspace
    from dolphin.errors import DolphinError
    from dolphin.parity import record
    from dolphin.parity.ladder import ALL, Label
    from dolphin.parity.ladder import ladder as climb
    from dolphin.study.backtest import prepare

    known: dict[str, Label] = {str(label): label for label in ALL}
    chosen = [part.strip().upper() for part in rungs.split(",") if part.strip()]
    for part in chosen:
        if part not in known:
            raise DolphinError(f"--rungs {rungs}: no rung '{part}'", mend=f"known: {', '.join(known)}")
    home = workspace.find()
    settings = load_config(config, sets)
    with progress_bar() as progress:
        dataset, market, settings, low, high = prepare(home, name, settings, *window(start, stop), progress)
        report = climb(
            dataset, market, settings, low, high, rungs=tuple(known[part] for part in chosen), journals=journals,
            progress=progress,
        )  # fmt: skip

    of = {"strategy": settings.strategy_name, "dataset": dataset.digest, "config": settings.hash}
    of["engine"] = settings.engine.digest
    so_far = record.add(home.experiments / record.NAME, report, of)

    def show() -> None:
        rows = [
            (r.rung, r.name, "equal" if r.passed else "DIFFERS", r.bars, f"{r.seconds:.1f}", r.detail)
            for r in report.results
        ]
        table(None, ("rung", "through", "verdict", "bars", "seconds", "detail"), rows)
        for result in report.results:
            processes = record.processes_of(result.facts)
            if processes:
                typer.echo("")
                table(None, record.Process._fields, processes)
        for rung in report.not_run:
            typer.echo(f"not run: rung {rung.rung}, {rung.name}: {rung.reason}")
        typer.echo(so_far.sentence())

    emit(report.as_dict() | {"record": asdict(so_far)}, as_json, show)
    if not report.passed:
        raise typer.Exit(1)
