"""``dolphin stress``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    page_out,
    progress_bar,
    reason_to_open,
    say,
    table,
    unnamed,
    window,
)

if TYPE_CHECKING:
    from dolphin.study.stress.stress_document import OutcomeDocument

NAMES = {
    "base": "as it is",
    "delayed": "fills a bar later",
    "noise": "price noise, bps",
    "missed": "entries missed",
    "start": "begun later, day",
    "permuted": "trades in another order",
    "bootstrap": "trades drawn anew",
}


def stress(
    name: Dataset,
    config: ConfigFile,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the results; by default a new one, runs/CONFIG-stress-ID.")
    ] = None,
    start: From = None,
    stop: To = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Runs of each random kind and size.")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same results.")] = 1,
    html: Annotated[Path | None, typer.Option("--html", help="A page about it: one HTML file.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Default: all cores.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another stress test in that folder.")] = False,
    sets: Sets = None,
    open_holdout: OpenHoldout = False,
    reason: HoldoutReason = None,
    as_json: Json = False,
) -> None:
    """One configuration under friction, delay, noise, missed trades, other orders and other first days."""
    from dolphin import workspace
    from dolphin.parity.in_plain import look_before_first_run
    from dolphin.study.stress.monte_carlo import stress as run_stress

    page_out(html)
    home, why = workspace.find(), reason_to_open(open_holdout, reason)
    settings = load_config(config, sets)
    span = window(start, stop)
    if out is None:
        out = unnamed(home, name, settings, config, span, runs, seed, suffix="-stress")
    options: dict[str, Any] = {"runs": runs, "seed": seed, "threads": threads, "open_holdout": why}
    look_before_first_run(home, name, settings, *span)
    with progress_bar() as progress:
        done = run_stress(home, name, settings, *span, out=out, force=force, **options, progress=progress)
    if html is not None:
        from dolphin.report import write_stress_page

        write_stress_page(done.document, html)
    document = {
        "out": str(out),
        "html": str(html) if html else None,
        "runs": done.rows.height,
        "base": done.document["base"],
        "break_even_bps": done.document["break_even_bps"],
        "outcomes": done.document["outcomes"],
    }

    def show() -> None:
        if done.run.dataset.synthetic:
            say("SYNTHETIC data: this market is generated", style="bold yellow")
        rows = [
            (NAMES[row["kind"]], row["parameter"], row["runs"], *_percents(row))
            for row in done.document["outcomes"]
            if row["kind"] != "start"
        ]
        heads = ("what", "size", "runs", "ROI 5 %", "ROI median", "ROI 95 %", "drawdown median", "P(loss)")
        table(None, heads, rows)
        even = done.document["break_even_bps"]
        if even is None:
            say("it earns at every friction of the grid, up to 10 bps a round trip")
        else:
            say(f"it earns up to {even:.2f} bps a round trip" if even else "it loses even without friction")
        say(f"{done.rows.height:,} runs; written to {out}" + (f" and {html}" if html else ""))
        hint("" if html else f"dolphin report {out} --out {out}.html")

    emit(document, as_json, show)


def _percents(row: OutcomeDocument) -> list[str]:
    roi, fall = row["roi"], row["max_drawdown"]
    assert roi is not None and fall is not None  # every run has them
    return [f"{100 * float(value):.2f} %" for value in (roi[0], roi[2], roi[4], fall[2], row["loss"])]
