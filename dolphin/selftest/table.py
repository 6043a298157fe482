"""The result for people: a page with the score and a row per fault."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path

from dolphin.files import write_bytes
from dolphin.selftest.detectors import DETECTORS
from dolphin.selftest.runner import Outcome, Report

COLUMNS = ("fault", "where", "caught by", "stage", "bar", "seconds")

BEGIN, END = "<!-- the table of a run begins -->", "<!-- the table of a run ends -->"


def rows(report: Report) -> list[tuple[str, str, str, str, str, str]]:
    """Cells of :data:`COLUMNS`."""
    return [
        (
            one.name,
            one.module,
            _catcher(one),
            one.stage or "-",
            "-" if one.bar is None else str(one.bar),
            f"{one.seconds:.1f}",
        )
        for one in report.outcomes
    ]


def score(report: Report) -> str:
    """In one sentence."""
    count = f"{report.caught} of {len(report.outcomes)}"
    return f"{count} faults were caught by the detector, and at the stage, that they name"


def _catcher(one: Outcome) -> str:
    if one.caught:
        return one.expected
    wanted = f"{one.expected} at stage {one.expected_stage} was to"
    return f"NOBODY ({wanted})" if one.seen_by is None else f"{one.seen_by}, WRONG STAGE ({wanted})"


def write_page(path: Path, report: Report) -> None:
    """Put the table of this run between the marks of a page; what stands around them stays.

    A page that is not there yet begins with nothing but them.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else f"# Selftest\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    write_bytes(path, f"{before}{BEGIN}\n{_markdown(report)}{END}{after}".encode())


def _markdown(report: Report) -> str:
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    seconds = sum(one.seconds for one in report.outcomes)
    lines = [
        f"{score(report)}.",
        f"Run of {when}, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"{seconds:,.0f} seconds in detectors, sources {report.digest[:16]}.",
        "",
        "| fault | pretends that | where | caught by | stage | bar | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for one, cells in zip(report.outcomes, rows(report), strict=True):
        name, where, by, stage, bar, took = cells
        lines.append(f"| {name} | {one.what} | `{where}` | {by} | {stage} | {bar} | {took} |")
    used = {one.expected for one in report.outcomes}
    idle = [name for name in DETECTORS if name not in used]
    if idle:
        lines += ["", f"Detectors that no fault of this run names: {', '.join(idle)}."]
    return "\n".join(lines) + "\n"
