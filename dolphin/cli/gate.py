"""``dolphin gate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dolphin.cli.common import From, Json, To, emit, progress_bar, say, table

if TYPE_CHECKING:
    from dolphin.gate import GateReport

CandidateText = Annotated[str, typer.Argument(metavar="CANDIDATE", help="Run folder, config file, blue or green.")]
Data = Annotated[str | None, typer.Option("--data", help="Dataset, when the candidate is a config file.")]


def gate(
    candidate: CandidateText = "blue",
    data: Data = None,
    start: From = None,
    stop: To = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML there.")] = None,
    as_json: Json = False,
) -> None:
    """Floors and evidence; moves nothing. Exit code 0 passed, 1 refused, 2 could not run."""
    from dolphin import workspace
    from dolphin.gate import evaluate, find_candidate, write_junit

    home = workspace.find()
    found = find_candidate(home, candidate, dataset=data, start=start, stop=stop)
    with progress_bar() as progress:
        report = evaluate(home, found, tier2=False, progress=progress)
    if junit:
        write_junit(report, junit)
    emit(report.as_dict(), as_json, lambda: show(report))
    if not report.passed:
        raise typer.Exit(1)


def show(report: GateReport) -> None:
    """Floors, checks and verdict as tables."""
    from dolphin.gate.report import figure

    rows = [
        (
            f.name,
            f.window,
            figure(f.metric, f.value),
            f"{f.op} {figure(f.metric, f.limit)}",
            _word(f.passed),
            f.reason,
        )
        for f in report.floors
    ]
    table("floors", ("floor", "window", "value", "limit", "", "why"), rows)
    table("evidence", ("check", "", "detail"), [(c.name, _word(c.passed), c.detail) for c in report.checks])
    say(f"configurations looked at on this data: {report.evidence['trials']['configurations_on_this_data']:,}")
    say(f"verdict: {report.verdict}", style="bold green" if report.passed else "bold red")


def _word(passed: bool) -> str:
    return "ok" if passed else "BREACHED"
