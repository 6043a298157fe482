"""``dolphin gate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from dolphin.cli import completion
from dolphin.cli.common import From, Json, To, emit, hint, page_out, progress_bar, say, table

if TYPE_CHECKING:
    from dolphin.gate import GateReport


class _JudgeByDefault(typer.core.TyperGroup):
    """``dolphin gate CANDIDATE`` is ``dolphin gate judge CANDIDATE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not {"-h", "--help"} & set(args[:1]) and (not args or args[0] not in self.commands):
            args = ["judge", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_JudgeByDefault, help="Is there an edge, and is it good enough; 'gate CANDIDATE' is 'gate judge CANDIDATE'."
)

CandidateText = Annotated[
    str,
    typer.Argument(metavar="CANDIDATE", help="Run folder, config file, blue or green.", autocompletion=completion.runs),
]
Data = Annotated[
    str | None,
    typer.Option("--data", help="Dataset, when the candidate is a config file.", autocompletion=completion.datasets),
]


@app.command("judge")
def gate(
    candidate: CandidateText = "blue",
    data: Data = None,
    start: From = None,
    stop: To = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML there.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="The verdict as a page: one HTML file.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="The verdict as Markdown.")] = None,
    as_json: Json = False,
) -> None:
    """Floors and evidence; moves nothing. Exit code 0 passed, 1 refused, 2 could not run."""
    from dolphin import workspace
    from dolphin.gate import write_junit
    from dolphin.gate.apart import judge_apart

    page_out(html)
    home = workspace.find()
    with progress_bar() as progress:
        report = judge_apart(home, candidate, dataset=data, start=start, stop=stop, progress=progress)
    if junit:
        write_junit(report, junit)
    if markdown is not None:
        from dolphin.gate.markdown import write_markdown

        write_markdown(report, markdown)
    if html is not None:
        from dolphin.report import gate_page
        from dolphin.report.markup import write_page

        write_page(gate_page(report.as_dict()), html)
    emit(report.as_dict(), as_json, lambda: show(report))
    if not report.passed:
        raise typer.Exit(1)
    if candidate not in ("blue", "green") and not as_json:
        hint(f'dolphin promote blue {candidate} --reason "..."')


@app.command("calibrate")
def calibrate(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY", help="Study file (TOML): data, search, train window.")],
    kinds: Annotated[
        str, typer.Option("--kinds", help="shift, shiftd, boot, null; broad@4, narrow@8 (bps a bar).")
    ] = "shift,boot",
    markets: Annotated[int, typer.Option("--markets", min=2, help="Of each kind.")] = 100,
    reruns: Annotated[
        int, typer.Option("--reruns", min=0, help="Own reruns of the search on each market; 0: ranked among all.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the markets.")] = 1,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Default: all cores.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="The curves as a page: one HTML file.")] = None,
    as_json: Json = False,
) -> None:
    """The gate's own error: promotions on markets without an edge, and on planted edges. Resumable."""
    from dolphin import workspace
    from dolphin.gate.calibration.calibrate import calibrate as run_calibration
    from dolphin.study.sweep import read_study

    home = workspace.find()
    study = read_study(study_file, home.research)
    chosen = [kind.strip() for kind in kinds.split(",") if kind.strip()]
    options: dict[str, Any] = {"reruns": reruns, "seed": seed, "threads": threads}
    with progress_bar() as progress:
        found = run_calibration(home, study, kinds=chosen, markets=markets, progress=progress, **options)
    if html is not None:
        from dolphin.report.calibration_page import calibration_page
        from dolphin.report.markup import write_page

        write_page(calibration_page(found), html)

    def tell() -> None:
        rows = [
            (
                kind,
                about["markets"],
                f"{about['promoted']} ({100 * about['share']:.1f} %)",
                f"{about['floors'][0]} / {about['floors'][1]}",
                about["both"],
                about["mean_best_on_train"],
                about["mean_sharpe_of_the_chosen_unseen"],
                about["seconds_a_market"],
            )
            for kind, about in found["kinds"].items()
        ]
        heads = ("kind", "markets", "evidence", "floors 1 / 2", "both", "best, seen", "chosen, unseen", "s each")
        table("calibration of this policy", heads, rows)
        if nulls := found["without_edge"]:
            low, high = nulls["interval_95"]
            say(
                f"without an edge {nulls['promoted']} of {nulls['markets']} pass the evidence: "
                f"{100 * nulls['share']:.1f} % (95 %: {100 * low:.1f} to {100 * high:.1f})"
            )
        say(f"written to {home.promote / 'calibration.json'}; policy {found['policy_sha256'][:16]}")

    emit(found, as_json, tell)


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
            "-" if f.value != f.value else figure(f.metric, f.value),
            f"{f.op} {figure(f.metric, f.limit)}",
            _word(f.passed),
            f.reason,
        )
        for f in report.floors
    ]
    table("floors", ("floor", "window", "value", "limit", "", "why"), rows)
    table("evidence", ("check", "", "detail"), [(c.name, _word(c.passed), c.detail) for c in report.checks])
    if advice := report.evidence.get("advisory"):
        shown = [
            (a["name"], _known(a["value"]), f"{a['op']} {a['limit']:g}", _advice(a["good"]), a["reading"])
            for a in advice
        ]
        table("advisory, never decisive", ("evidence", "value", "limit", "", "how to read it"), shown)
    if looks := report.evidence.get("looks"):
        say(
            f"configurations looked at on this market and time: {looks['looks_at_this_market_and_time']:,}, as far as "
            f"the registry goes back ({looks['seen_since']})"
        )
    if chances := report.evidence.get("chances"):
        say(chances["words"])
    if error := report.evidence.get("own_error"):
        say(f"the gate's own error: {error['status']}")
    under = " under weaker rules than the shipped ones" if report.weaker else ""
    say(f"verdict: {report.verdict}{under}", style="bold green" if report.passed else "bold red")


def _known(value: object) -> object:
    """What was measured, a dash where nothing could be."""
    return "-" if value is None or value != value or value == "nan" else value


def _word(passed: bool) -> str:
    return "ok" if passed else "BREACHED"


def _advice(good: bool | None) -> str:
    return {True: "good", False: "poor", None: "-"}[good]
