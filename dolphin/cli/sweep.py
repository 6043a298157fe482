"""``dolphin sweep``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from dolphin.cli.common import HoldoutReason, Json, OpenHoldout, emit, figure, progress_bar, reason_to_open, say
from dolphin.cli.trials import show_trials
from dolphin.errors import DolphinError


class Interrupted(DolphinError):
    """Stopped by the user half-way; the message says how to go on."""

    exit_code = 130


StudyFile = Annotated[Path, typer.Argument(help="Study file (TOML).")]


def sweep(
    study_file: StudyFile,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the trials that are registered.")] = False,
    fork: Annotated[bool, typer.Option("--fork", help="Start a new study of the same file (NAME-2 ...).")] = False,
    sampler: Annotated[str | None, typer.Option("--sampler", help="Over the file's.")] = None,
    trials: Annotated[int | None, typer.Option("--n-trials", help="Over the file's trials.")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds; no batch begins after them.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Over the file's.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Over the file's.")] = None,
    storage: Annotated[str | None, typer.Option("--storage", help="Optuna storage: journal, none or a URL.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Default: all cores.")] = None,
    cluster: Annotated[str | None, typer.Option("--cluster", help="Dask: tcp://HOST:PORT or local:N.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="A page about the study: one HTML file.")] = None,
    open_holdout: OpenHoldout = False,
    reason: HoldoutReason = None,
    as_json: Json = False,
) -> None:
    """Run a study; every trial is registered, and an Optuna study is made of it."""
    from dolphin import workspace
    from dolphin.study.findings.study_summary import gather, plateau_of
    from dolphin.study.measure.metrics import METRICS, spelled
    from dolphin.study.sweep import read_study
    from dolphin.study.sweep import sweep as run_sweep
    from dolphin.study.trials.trials import searched, with_parameters

    if report is not None and report.is_dir():
        raise DolphinError("is a folder", where=str(report), mend="give the name of an HTML file")
    home, why = workspace.find(), reason_to_open(open_holdout, reason)
    given = {
        "sampler": sampler, "trials": trials, "timeout": timeout, "seed": seed, "dataset": dataset, "storage": storage
    }  # fmt: skip
    given = {key: value for key, value in given.items() if value is not None}
    study = read_study(study_file, home.research, given)
    try:
        with progress_bar() as progress:
            done = run_sweep(
                home, study, resume=resume, fork=fork, threads=threads, cluster=cluster, open_holdout=why,
                progress=progress,
            )  # fmt: skip
    except KeyboardInterrupt:
        again = {"n-trials" if key == "trials" else key: value for key, value in given.items()}
        again |= {"reason": why, "threads": threads, "cluster": cluster}
        flags = "".join(f" --{key}" for key, on in (("fork", fork), ("open-holdout", why)) if on)
        options = [f" --{key} {shlex.quote(str(value))}" for key, value in again.items() if value is not None]
        raise Interrupted(
            "interrupted; the finished batches are registered",
            mend=f"go on with: dolphin sweep {study_file} --resume{flags}{''.join(options)}",
        ) from None
    study = done.study
    rate = done.ran / done.seconds if done.seconds else 0.0
    several = len(study.objectives) > 1

    def metrics(row: dict[str, Any]) -> dict[str, Any]:
        return {name: spelled(row[name]) for name in METRICS}

    plateau = plateau_of(home, study.name)
    if report is not None:
        from dolphin.report import write_study_page

        write_study_page(gather(home, study.name), report)
    document = {
        "study": study.name,
        "forked_from": study.forked_from,
        "planned": done.planned,
        "ran": done.ran,
        "known": done.known,
        "invalid": done.invalid,
        "pruned": done.pruned,
        "checked": list(done.checked),
        "stopped": done.stopped,
        "bars": done.bars,
        "seconds": done.seconds,
        "trials_per_second": rate,
        "objectives": list(study.objectives),
        "directions": list(study.directions),
        "best_config": str(done.best_config) if done.best_config else None,
        "best": [json.loads(row["config"]) | {"metrics": metrics(row)} for row in done.best.to_dicts()],
        "plateau": {key: spelled(value) for key, value in plateau.as_dict().items()} if plateau else None,
        "validation": done.validation,
        "report": str(report) if report else None,
    }

    def show() -> None:
        more = "".join(f", {count:,} {what}" for what, count in (("left behind early", done.pruned),) if count)
        say(
            f"{study.name}: {done.ran:,} trials in {done.seconds:.1f} s ({rate:,.0f}/s) over {done.bars:,} bars, "
            f"{done.known:,} known before, {done.invalid:,} invalid{more}; {len(done.checked)} run again alone: equal"
        )
        if study.forked_from:
            say(f"a new study, forked from {study.forked_from}; go on with it by --resume --fork")
        if done.stopped:
            say(f"stopped by the {done.stopped}; go on with --resume")
        if done.best.is_empty():
            say(f"no trial with at least {study.min_trades} trades")
        else:
            if several:
                aims = ", ".join(f"{way} {name}" for name, way in zip(study.objectives, study.directions, strict=True))
                say(f"Pareto front of {done.best.height} trials ({aims})")
            show_trials(with_parameters(done.best.head(20)), study.objective, searched(done.best, study.space))
        if plateau and plateau.verdict != "unknown":
            say(plateau.sentence, style="bold red" if plateau.verdict == "lonely peak" else None)
        if done.best_config:
            last = done.validation["folds"][-1] if done.validation else {"blocks": (), "chosen": None}
            what = (
                "config that the newest train window chose" if last["chosen"] and not last["blocks"] else "best config"
            )
            say(f"{what}: {done.best_config}")
        if done.validation:
            found = home.experiments / study.name / "validation.json"
            say(_judgement(done.validation))
            say(f"folds: {found}")
        if report:
            say(f"report: {report}")

    emit(document, as_json, show)


def _judgement(validation: dict[str, Any]) -> str:
    """What became of the choice out of sample, in a line."""
    stitched, paths = validation["stitched"], validation["distribution"] or {}
    judged = stitched or {name: what["q50"] for name, what in paths.items()}
    names = [name for name in ("sharpe_365", "roi", "max_drawdown", "trades") if name in judged]
    figures = ", ".join(f"{name} {figure(judged[name])}" for name in names) or "nothing to judge"
    return (
        f"validated ({validation['scheme']['scheme']}): out of sample{'' if stitched else ', median path'}: {figures}"
    )
