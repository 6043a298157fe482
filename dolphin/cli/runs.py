"""``dolphin runs``: list, compare, rm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dolphin.cli.common import Json, emit, hint, metric, run_named, say, table
from dolphin.cli.completion import runs as complete_runs
from dolphin.errors import DolphinError

app = typer.Typer(help="Run folders: which there are, side by side, away with one.", no_args_is_help=True)

Folders = Annotated[list[Path], typer.Argument(metavar="RUN...", autocompletion=complete_runs)]


@app.command("list")
def list_(
    folder: Annotated[Path | None, typer.Argument(help="Where to look; default: runs/ of the workspace.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only runs on it.")] = None,
    sort: Annotated[str | None, typer.Option("--sort", help="A metric, highest first; default: newest first.")] = None,
    as_json: Json = False,
) -> None:
    """The runs below a folder, the newest first."""
    from dolphin import workspace
    from dolphin.files import from_json_value
    from dolphin.study.findings.run_list import SHOWN, find_runs

    where = folder or workspace.find().root / "runs"
    found = [run for run in find_runs(where) if dataset is None or run.get("dataset") == dataset]
    if sort is not None:
        if any(sort not in run["metrics"] for run in found if not run["problem"]):
            raise DolphinError(f"no metric '{sort}'", where="--sort", mend=f"one of {', '.join(SHOWN)}")

        def rank(run: dict[str, Any]) -> float:
            value = from_json_value(run["metrics"][sort]) if not run["problem"] else float("nan")
            return -float(value) if value == value else float("inf")

        found.sort(key=rank)

    def show() -> None:
        if not found:
            say(f"no run below {where}")
            return
        rows = [(Path(run["run"]).relative_to(where).as_posix(), *_cells(run, SHOWN)) for run in found]
        table(f"runs below {where}", ("run", "dataset", "from", *(name.replace("_", "\n") for name in SHOWN)), rows)
        hint(f"dolphin runs compare {found[0]['run']} {found[-1]['run']}" if len(found) > 1 else "")

    emit(
        {"folder": str(where), "runs": [{k: v for k, v in run.items() if k != "config"} for run in found]},
        as_json,
        show,
    )


def _cells(run: dict[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    if run["problem"]:
        return (f"damaged: {run['problem']}", "", *("" for _ in names))
    return (run["dataset"], run["from"][:10], *(metric(name, run["metrics"].get(name)) for name in names))


@app.command("compare")
def compare(runs: Folders, as_json: Json = False) -> None:
    """Metrics of several runs side by side, and what differs in their configurations."""
    from dolphin.study.findings.run_list import compare_runs

    found = compare_runs([run_named(run) for run in runs])

    def show() -> None:
        names = _short(found["runs"])
        table("what differs", ("", *names), [(key, *values) for key, values in found["differ"].items()])
        figures = [(key, *(metric(key, v) for v in values)) for key, values in found["metrics"].items()]
        table("metrics", ("", *names), figures)
        if found["same_decisions"]:
            say("their last digests are equal: every decision is the same")
        else:
            hint(f"dolphin parity {found['runs'][0]} {found['runs'][1]}   (where they part)")

    emit(found, as_json, show)


def _short(paths: list[str]) -> list[str]:
    """Last parts of paths, the whole where two would be the same."""
    names = [Path(path).name for path in paths]
    return names if len(set(names)) == len(names) else paths


@app.command("rm")
def rm(
    runs: Folders,
    yes: Annotated[bool, typer.Option("--yes", "--force", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete run folders. Their trials stay registered: a look at the data stays a look."""
    import sys

    from dolphin.study.findings.run_list import remove_run

    if not yes:
        if not sys.stdin.isatty():
            raise DolphinError("nobody can be asked here", where="dolphin runs rm", mend="say --yes")
        if not typer.confirm(f"Delete {', '.join(map(str, runs))}?", err=True):
            raise typer.Exit(1)
    removed = [{"run": str(run), "bytes": remove_run(run)} for run in runs]

    def show() -> None:
        for one in removed:
            say(f"deleted {one['run']} ({one['bytes']:,} bytes)")

    emit({"removed": removed}, as_json, show)
