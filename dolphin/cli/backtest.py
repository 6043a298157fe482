"""``dolphin backtest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import (
    ConfigFile,
    Dataset,
    From,
    HoldoutReason,
    Json,
    OpenHoldout,
    Sets,
    To,
    emit,
    hint,
    load_config,
    metric,
    progress_bar,
    reason_to_open,
    say,
    table,
    unnamed,
    window,
)


def backtest(
    name: Dataset,
    config: ConfigFile,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the run; by default a new one, runs/CONFIG-ID.")
    ] = None,
    start: From = None,
    stop: To = None,
    sets: Sets = None,
    journal: Annotated[bool, typer.Option("--journal", help="Write journal.arrow into the folder, too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace another run in that folder.")] = False,
    open_holdout: OpenHoldout = False,
    reason: HoldoutReason = None,
    as_json: Json = False,
) -> None:
    """One configuration over one window: metrics, trades, equity, digests."""
    from dolphin import workspace
    from dolphin.parity.in_plain import look_before_first_run
    from dolphin.study.backtest import backtest as run_backtest

    home, why = workspace.find(), reason_to_open(open_holdout, reason)
    settings = load_config(config, sets)
    span = window(start, stop)
    if out is None:
        out = unnamed(home, name, settings, config, span)
    look_before_first_run(home, name, settings, *span)
    with progress_bar() as progress:
        run = run_backtest(
            home, name, settings, *span, out=out, force=force, journal=journal, open_holdout=why, progress=progress
        )
    from dolphin.study.measure.run import metrics_document, run_document

    metrics = metrics_document(run)
    document = {"out": str(out), "metrics": metrics, "run": run_document(run), "config_hash": run.config.hash}

    def show() -> None:
        if run.dataset.synthetic:
            say("SYNTHETIC data: this market is generated", style="bold yellow")
        exits = ", ".join(f"{reason} {count:,}" for reason, count in metrics["exits"].items() if count)
        rows = [(name, metric(name, value)) for name, value in metrics.items() if name != "exits"]
        table(None, ("metric", "value"), [*rows, ("exits", exits or "-")])
        say(f"final digest {run.final_digest}; written to {out}")
        hint(f"dolphin report {out} --out {out}.html")

    emit(document, as_json, show)
