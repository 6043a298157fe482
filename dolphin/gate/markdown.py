"""A gate report as Markdown, for the comment or the summary of a CI run."""

from __future__ import annotations

from pathlib import Path

from dolphin.files import write_bytes
from dolphin.gate.report import GateReport, figure


def gate_markdown(report: GateReport) -> str:
    """The verdict, the two answers, floors and checks as tables; what did not hold stands first."""
    candidate, window = report.candidate, report.candidate["window"]
    lines = [f"# Gate: {report.verdict} ({candidate['name']})", ""]
    lines += [f"**Weaker than the shipped rules:** {_cell(line)}  " for line in report.weaker]
    lines += [
        f"**{answer['question']}** {answer['answer']}: {_cell(answer['line'])}  " for answer in report.answers.values()
    ]
    if report.failures:
        lines += ["", "Did not hold:", "", *(f"- {_cell(failure.line)}" for failure in report.failures)]
    data = f"{candidate['dataset']} {candidate['dataset_digest'][:16]}"
    data += " (SYNTHETIC)" if candidate["synthetic"] else ""
    lines += [
        "",
        f"Data: {data}; {window['from']} to {window['to']} ({window['days']:g} days, {window['bars']:,} bars).",
        f"Engine {candidate['engine_digest'][:16]}, configuration {candidate['config_hash'][:16]}, final digest "
        f"{candidate['final_digest']}.",
        "",
        "| floor | value | limit | |",
        "|---|---|---|---|",
    ]
    for floor in report.floors:
        limit = f"{floor.op} {figure(floor.metric, floor.limit)}"
        lines.append(f"| {_cell(floor.name)} | {figure(floor.metric, floor.value)} | {limit} | {_word(floor.passed)} |")
    lines += ["", "| check | detail | |", "|---|---|---|"]
    lines += [f"| {_cell(check.name)} | {_cell(check.detail)} | {_word(check.passed)} |" for check in report.checks]
    return "\n".join(lines) + "\n"


def write_markdown(report: GateReport, path: Path) -> None:
    """Write :func:`gate_markdown` to a file."""
    write_bytes(path, gate_markdown(report).encode())


def _cell(words: str) -> str:
    return " ".join(str(words).split()).replace("|", "\\|")


def _word(passed: bool) -> str:
    return "ok" if passed else "**BREACHED**"
