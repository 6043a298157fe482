"""``dolphin sweep``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dolphin.cli.common import Json, emit, progress_bar, say
from dolphin.cli.trials import show_trials
from dolphin.errors import DolphinError


class Interrupted(DolphinError):
    """Stopped by the user half-way; the message says how to go on."""

    exit_code = 130


StudyFile = Annotated[Path, typer.Argument(help="Study file (TOML).")]


def sweep(
    study_file: StudyFile,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the trials that are registered.")] = False,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Default: all cores.")] = None,
    as_json: Json = False,
) -> None:
    """Run a study; every trial is registered."""
    from dolphin import workspace
    from dolphin.study.sweep import read_study, write_best
    from dolphin.study.sweep import sweep as run_sweep
    from dolphin.study.trials import searched, with_parameters

    home = workspace.find()
    study = read_study(study_file, home.research)
    try:
        with progress_bar() as progress:
            done = run_sweep(home, study, resume=resume, threads=threads, progress=progress)
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted; the finished batches are registered",
            mend=f"go on with: dolphin sweep {study_file} --resume",
        ) from None
    best = write_best(home, study, done.best)
    rate = done.ran / done.seconds if done.seconds else 0.0
    document = {
        "study": study.name,
        "planned": done.planned,
        "ran": done.ran,
        "known": done.known,
        "invalid": done.invalid,
        "bars": done.bars,
        "seconds": done.seconds,
        "trials_per_second": rate,
        "best_config": str(best) if best else None,
        "best": [json.loads(row["config"]) | {"metrics": _metrics(row)} for row in done.best.to_dicts()],
    }

    def show() -> None:
        say(
            f"{study.name}: {done.ran:,} trials in {done.seconds:.1f} s ({rate:,.0f}/s) over {done.bars:,} bars, "
            f"{done.known:,} known before, {done.invalid:,} invalid"
        )
        if done.best.is_empty():
            say(f"no trial with at least {study.min_trades} trades")
        else:
            show_trials(with_parameters(done.best), study.objective, searched(done.best, study.space))
        if best:
            say(f"best config: {best}")

    emit(document, as_json, show)


def _spelled(row: dict[str, Any]) -> dict[str, Any]:
    from dolphin.study.metrics import spelled

    return {name: spelled(value) for name, value in row.items()}


def _metrics(row: dict[str, Any]) -> dict[str, Any]:
    from dolphin.study.metrics import METRICS

    return {name: value for name, value in _spelled(row).items() if name in METRICS}
