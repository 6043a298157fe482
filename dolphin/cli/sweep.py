"""``dolphin sweep`` and ``dolphin trials``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli.common import Json, emit, progress_bar, say, table
from dolphin.errors import DolphinError

if TYPE_CHECKING:
    import polars as pl

    from dolphin.study.sweep import Study


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
        _show_trials(study, done.best)
        if best:
            say(f"best config: {best}")

    emit(document, as_json, show)


def trials(
    study_file: StudyFile,
    count: Annotated[int, typer.Option("--count", min=1, help="How many to show.")] = 20,
    as_json: Json = False,
) -> None:
    """The registered trials of a study, best first."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.study.registry import Registry
    from dolphin.study.sweep import best_trials, read_study

    home = workspace.find()
    study = read_study(study_file, home.research)
    dataset = open_dataset(home, study.dataset)
    registry = Registry(home)
    best = best_trials(registry, study, dataset.digest, count)
    looked_at = registry.count_on(dataset.digest)
    document = {
        "study": study.name,
        "configurations_on_this_data": looked_at,
        "trials": [_spelled(row) for row in best.to_dicts()],
    }

    def show() -> None:
        say(f"{looked_at:,} different configurations were looked at on this data")
        _show_trials(study, best)

    emit(document, as_json, show)


def _spelled(row: dict[str, Any]) -> dict[str, Any]:
    from dolphin.study.metrics import spelled

    return {name: spelled(value) for name, value in row.items()}


def _metrics(row: dict[str, Any]) -> dict[str, Any]:
    from dolphin.study.metrics import METRICS

    return {name: value for name, value in _spelled(row).items() if name in METRICS}


def _show_trials(study: Study, best: pl.DataFrame) -> None:
    if best.is_empty():
        say(f"no trial with at least {study.min_trades} trades")
        return
    shown = ("sharpe_365", "roi", "profit_factor", "win_rate", "max_drawdown", "trades")
    searched = [name.rpartition(".")[2] for name in study.space]
    rows = []
    for row in best.to_dicts():
        config = json.loads(row["config"])
        values = config["params"] | config["friction"] | config["account"]
        rows.append((row["trial"], *(row[name] for name in shown), *(values[name] for name in searched)))
    headers = [name.replace("_", "\n") for name in ("trial", *shown, *searched)]
    table(f"best by {study.objective}", headers, rows)
