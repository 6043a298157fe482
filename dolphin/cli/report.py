"""``dolphin report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dolphin.cli import completion
from dolphin.cli.common import Json, emit, hint, page_out, run_named, say


def report(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|STUDY",
            help="Run folder, folder of a stress test, study file or study name.",
            autocompletion=completion.runs_and_studies,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="HTML file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is no page of this program.")] = False,
    as_json: Json = False,
) -> None:
    """A page that people read: one HTML file, no network. A tear sheet, a stress test or a study."""
    replaced = page_out(out, force)
    kind, more = _write(what, out)
    document = {kind: what, "out": str(out), "bytes": out.stat().st_size, **more}

    def show() -> None:
        if "verdict" in more:
            say(more["verdict"])
        say(f"written: {out}{replaced}")
        if kind == "run":
            hint(f"dolphin why {what} --bar TIME, or dolphin gate {what}")

    emit(document, as_json, show)


def _write(what: str, out: Path) -> tuple[str, dict[str, Any]]:
    """Write the page of a run, a stress test or a study; which it was, and what more there is to say."""
    from dolphin import report as pages

    folder, named = Path(what), run_named(Path(what))
    if (named / "stress.json").is_file():
        from dolphin.study.stress.stress_folder import read_stress

        pages.write_stress_page(read_stress(named)[0], out)
        return "stress", {}
    if folder.is_dir() or not _is_study(what):
        pages.write_tear_sheet(folder, out)
        return "run", {}
    if (named / "run.json").is_file():
        pages.write_tear_sheet(named, out)
        return "run", {}
    from dolphin import workspace
    from dolphin.study.findings.study_summary import gather

    data = gather(workspace.find(), what)
    pages.write_study_page(data, out)
    return "study", {"verdict": data["plateau"]["sentence"]} if data["plateau"] else {}


def _is_study(what: str) -> bool:
    """Whether this names a study: a file of one, or no path at all."""
    return what.endswith(".toml") or "/" not in what
