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
    html: Annotated[Path | None, typer.Option("--html", help="The verdict as a page: one HTML file.")] = None,
    as_json: Json = False,
) -> None:
    """Floors and evidence; moves nothing. Exit code 0 passed, 1 refused, 2 could not run."""
    from dolphin import workspace
    from dolphin.errors import DolphinError
    from dolphin.gate import evaluate, find_candidate, write_junit

    if html is not None and html.is_dir():
        raise DolphinError("is a folder", where=str(html), mend="give the name of an HTML file")

    home = workspace.find()
    found = find_candidate(home, candidate, dataset=data, start=start, stop=stop)
    with progress_bar() as progress:
        report = evaluate(home, found, tier2=False, progress=progress)
    if junit:
        write_junit(report, junit)
    if html is not None:
        from dolphin.report import gate_page
        from dolphin.report.markup import write_page

        write_page(gate_page(report.as_dict()), html)
    emit(report.as_dict(), as_json, lambda: show(report))
    if not report.passed:
        raise typer.Exit(1)


def show(report: GateReport) -> None:
    """The two answers and the strongest reasons, then floors, checks and the rest as tables, then the verdict."""
    from dolphin.gate.report import figure

    for line in report.weaker:
        say(f"WEAKER than the shipped rules: {line}", style="bold red")
    for answer in report.answers.values():
        say(f"{answer['question']} {answer['answer'].upper()}: {answer['line']}", style="bold")
    for line in report.reasons:
        say(f"- {line}")
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
    if advice := report.evidence.get("advisory"):
        shown = [(a["name"], a["value"], f"{a['op']} {a['limit']:g}", _advice(a["good"]), a["reading"]) for a in advice]
        table("advisory, never decisive", ("evidence", "value", "limit", "", "how to read it"), shown)
    if looks := report.evidence.get("looks"):
        say(
            f"configurations looked at on this market and time: {looks['looks_at_this_market_and_time']:,}; the registry "
            f"sees since {looks['seen_since']}"
        )
    if chances := report.evidence.get("chances"):
        say(chances["words"])
    if error := report.evidence.get("own_error"):
        say(f"the gate's own error: {error['status']}")
    under = " under weaker rules than the shipped ones" if report.weaker else ""
    say(f"verdict: {report.verdict}{under}", style="bold green" if report.passed else "bold red")


def _word(passed: bool) -> str:
    return "ok" if passed else "BREACHED"


def _advice(good: bool | None) -> str:
    return {True: "good", False: "poor", None: "-"}[good]
