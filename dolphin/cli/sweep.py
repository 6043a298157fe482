"""``dolphin sweep``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli import completion
from dolphin.cli.common import (
    HoldoutReason,
    Json,
    OpenHoldout,
    emit,
    figure,
    hint,
    page_out,
    progress_bar,
    reason_to_open,
    say,
)
from dolphin.cli.trials import show_trials
from dolphin.errors import Interrupted
from dolphin.files import json_value

if TYPE_CHECKING:
    from dolphin.study.findings.sensitivity import Plateau
    from dolphin.study.measure.documents import Number
    from dolphin.study.sweep import SweepReport
    from dolphin.study.validation.documents import ValidationDocument
    from dolphin.workspace import Workspace


StudyFile = Annotated[Path, typer.Argument(help="Study file (TOML).", autocompletion=completion.studies)]


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
    from dolphin.parity.in_plain import look_before_first_run
    from dolphin.study.findings.study_summary import gather, plateau_of
    from dolphin.study.sweep import read_study
    from dolphin.study.sweep import sweep as run_sweep

    page_out(report)
    home, why = workspace.find(), reason_to_open(open_holdout, reason)
    options = {
        "sampler": sampler, "trials": trials, "timeout": timeout, "seed": seed, "dataset": dataset, "storage": storage
    }  # fmt: skip
    over = {key: value for key, value in options.items() if value is not None}
    study = read_study(study_file, home.research, over)
    look_before_first_run(home, study.dataset, study.config, study.start_ns, study.stop_ns)
    flags = "".join(f" --{key}" for key, on in (("fork", fork), ("open-holdout", why)) if on)
    again = f"dolphin sweep {study_file} --resume{flags}"
    more: dict[str, object] = {"reason": why, "threads": threads, "cluster": cluster}
    with _resumable(again, {**over, **more}), progress_bar() as progress:
        done = run_sweep(
            home, study, resume=resume, fork=fork, threads=threads, cluster=cluster, open_holdout=why,
            progress=progress,
        )  # fmt: skip
    plateau = plateau_of(home, done.study.name)
    if report is not None:
        from dolphin.report import write_study_page

        write_study_page(gather(home, done.study.name), report)
    emit(_document(done, plateau, report), as_json, lambda: _show(home, done, plateau, report))


@contextmanager
def _resumable(command: str, options: Mapping[str, object]) -> Iterator[None]:
    """Where the block is interrupted, say how to go on: by ``command`` with the options that were given."""
    try:
        yield
    except KeyboardInterrupt:
        given = {"n-trials" if key == "trials" else key: value for key, value in options.items() if value is not None}
        text = "".join(f" --{key} {shlex.quote(str(value))}" for key, value in given.items())
        raise Interrupted(
            "interrupted; the finished batches are registered", mend=f"go on with: {command}{text}"
        ) from None


def _document(done: SweepReport, plateau: Plateau | None, report: Path | None) -> dict[str, Any]:
    """What ``--json`` prints."""
    from dolphin.study.measure.metrics import METRICS

    def metrics(row: dict[str, Any]) -> dict[str, Any]:
        return {name: json_value(row[name]) for name in METRICS}

    study = done.study
    return {
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
        "trials_per_second": done.rate,
        "objectives": list(study.objectives),
        "directions": list(study.directions),
        "best_config": str(done.best_config) if done.best_config else None,
        "best": [json.loads(row["config"]) | {"metrics": metrics(row)} for row in done.best.to_dicts()],
        "plateau": {key: json_value(value) for key, value in plateau.as_dict().items()} if plateau else None,
        "validation": done.validation,
        "report": str(report) if report else None,
    }


def _show(home: Workspace, done: SweepReport, plateau: Plateau | None, report: Path | None) -> None:
    """The same for people."""
    study = done.study
    more = f", {done.pruned:,} left behind early" if done.pruned else ""
    say(
        f"{study.name}: {done.ran:,} trials in {done.seconds:.1f} s ({done.rate:,.0f}/s) over {done.bars:,} bars, "
        f"{done.known:,} known before, {done.invalid:,} invalid{more}; {len(done.checked)} run again alone: equal"
    )
    if study.forked_from:
        say(f"a new study, forked from {study.forked_from}; go on with it by --resume --fork")
    if done.stopped:
        say(f"stopped by the {done.stopped}; go on with --resume")
    _show_best(done)
    if plateau and plateau.verdict != "unknown":
        say(plateau.sentence, style="bold red" if plateau.verdict == "lonely peak" else None)
    if done.best_config:
        last = done.validation["folds"][-1] if done.validation else None
        newest = last is not None and last["chosen"] and not last["blocks"]
        what = "config that the newest train window chose" if newest else "best config"
        say(f"{what}: {done.best_config}")
    if done.validation:
        say(_judgement(done.validation))
        say(f"folds: {home.experiments / study.name / 'validation.json'}")
    if report:
        say(f"report: {report}")
    if done.best_config:
        hint(f"dolphin backtest {study.dataset} --config {done.best_config} --out runs/{study.name}")


def _show_best(done: SweepReport) -> None:
    """The best trials as a table, of several objectives the Pareto front."""
    from dolphin.study.trials.trials import searched, with_parameters

    study = done.study
    if done.best.is_empty():
        say(f"no trial with at least {study.min_trades} trades")
        return
    if len(study.objectives) > 1:
        aims = ", ".join(f"{way} {name}" for name, way in zip(study.objectives, study.directions, strict=True))
        say(f"Pareto front of {done.best.height} trials ({aims})")
    show_trials(with_parameters(done.best.head(20)), study.objective, searched(done.best, study.space))


def _judgement(validation: ValidationDocument) -> str:
    """What became of the choice out of sample, in a line."""
    stitched, paths = validation["stitched"], validation["distribution"] or {}
    judged: Mapping[str, Number | bool] = stitched or {name: what["q50"] for name, what in paths.items()}
    names = [name for name in ("sharpe_365", "roi", "max_drawdown", "trades") if name in judged]
    figures = ", ".join(f"{name} {figure(judged[name])}" for name in names) or "nothing to judge"
    return (
        f"validated ({validation['scheme']['scheme']}): out of sample{'' if stitched else ', median path'}: {figures}"
    )
