"""Validation of a study: choose on some stretches of the data, judge on others, look at both."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from dolphin.config import Config, Variants, settled, to_toml
from dolphin.core.strategy import Strategy
from dolphin.errors import BadInput, DolphinError
from dolphin.features import Feature, history_bars
from dolphin.files import json_bytes, write_bytes
from dolphin.manifests import write_listed
from dolphin.progress import Progress
from dolphin.study.definition.splits import Combinatorial, Fold, KFold, Scheme, WalkForward, split
from dolphin.study.measure.evaluator import Evaluator
from dolphin.study.measure.run import window_rows
from dolphin.study.measure.spans import Span
from dolphin.study.samplers import sampler_class
from dolphin.study.trials.choice import choice_of
from dolphin.study.trials.registry import Registry
from dolphin.study.validation.candidate_runs import Candidate, CandidateRuns
from dolphin.study.validation.cross_validation import cross_validate
from dolphin.study.validation.documents import ValidationDocument
from dolphin.study.validation.pooled import check_poolable
from dolphin.study.validation.stitching import (
    equity_frame,
    paths_of,
)
from dolphin.study.validation.validation_document import FoldPlan, validation_document
from dolphin.study.validation.walk_forward import FoldResult, is_fixed, searched, walk_forward, walk_forward_adaptive
from dolphin.workspace import Workspace

if TYPE_CHECKING:
    from dolphin.study.definition.spec import Study


@dataclass(frozen=True)
class ValidationReport:
    """What a validation found: the document of ``validation.json``, the equity of every path, the newest choice."""

    study: Study
    results: list[FoldResult]
    document: ValidationDocument
    equity: pl.DataFrame

    @property
    def newest(self) -> Candidate | None:
        """What was chosen on the newest train window of a holdout or walk-forward; None for k-fold schemes."""
        return None if self.results[-1].fold.blocks else self.results[-1].chosen


def plan_folds(study: Study, evaluator: Evaluator) -> FoldPlan:
    """The folds of a study's ``[validation]``; nothing is run.

    Raises
    ------
    DolphinError
        If the window is too short, a train window lies in the warm-up, tests would overlap, or the scheme
        and the objective or sampler do not go together.
    """
    scheme = study.validation
    if scheme is None:
        raise DolphinError("has no [validation]", where=study.name, mend="add [validation] with a scheme")
    _check(study, scheme)
    window = window_rows(evaluator.ts, study.start_ns, study.stop_ns, study.name)
    horizon, memory = _reach(study, scheme, evaluator, window)
    folds = split(scheme, evaluator.ts, *window, horizon=horizon, memory=memory)
    _check_warmup(study, folds)
    purge = scheme.purge if isinstance(scheme.purge, int) else horizon
    embargo = getattr(scheme, "embargo", 0)
    return FoldPlan(scheme, window, folds, purge, embargo if isinstance(embargo, int) else memory)


def validate(
    workspace: Workspace,
    study: Study,
    evaluator: Evaluator,
    registry: Registry,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> ValidationReport:
    """Judge how a study chooses, by its ``[validation]``; writes ``validation.json`` and ``oos_equity.parquet``.

    After a holdout or walk-forward ``best.toml`` is the choice of the newest train window. Samplers that
    learn, or drop candidates half-way, search every train window anew; the others look at the same
    candidates in every fold.

    Parameters
    ----------
    resume : bool
        Go on after the looks that are registered; the result is that of an undisturbed run.

    Raises
    ------
    DolphinError
        As :func:`plan_folds` does; if a look differs from its single run.
    """
    plan = plan_folds(study, evaluator)
    results = _evaluate_folds(study, plan.folds, evaluator, registry, resume, progress)
    ways = paths_of(results)
    equity = equity_frame(ways, evaluator.ts, study.config.account.initial_capital)
    report = ValidationReport(study, results, validation_document(study, evaluator, plan, results, ways), equity)
    _write(workspace, report)
    return report


def _evaluate_folds(
    study: Study,
    folds: Sequence[Fold],
    evaluator: Evaluator,
    registry: Registry,
    resume: bool,
    progress: Progress | None,
) -> list[FoldResult]:
    """Choose on the train spans of every fold and judge on its test spans, as scheme and sampler ask for."""
    runs = CandidateRuns(study, evaluator, registry, resume=resume, progress=progress)
    choose = choice_of(study).first

    def candidates(fold: Fold) -> list[Candidate]:
        return candidates_of(study, settled(study.config, evaluator.market(study.config), fold.train))

    def search_fold(span: Span, fold: int) -> Candidate | None:
        return searched(study, evaluator, registry, span, fold, resume=resume, progress=progress)

    if folds[0].blocks:
        return cross_validate(folds, candidates, choose, runs)
    if is_fixed(study):
        return walk_forward(folds, candidates, choose, runs)
    return walk_forward_adaptive(folds, search_fold, runs)


def candidates_of(study: Study, base: Config) -> list[Candidate]:
    """Candidates of a sampler that does not learn: those that constraints and strategy accept, each once."""
    kind = sampler_class(study.sampler)
    space = study.space.over(base)
    sampler = kind(space, study.seed, study.trials, len(study.objectives), study.options)
    size = sampler.size if sampler.size is not None else study.trials
    if size is None:
        raise DolphinError(
            f"[validation] with the {study.sampler} sampler needs a number of trials",
            where=study.name,
            mend="add trials = 1024",
        )
    variants, trial = Variants(base), 0
    found: dict[str, Candidate] = {}
    while trial < size and (points := sampler.ask()[: size - trial]):
        for number, point in enumerate(points, trial):
            values, broken = space.complete(point)
            try:
                # What is refused here was registered as invalid by the search over the whole window.
                variant = variants.of(values) if broken is None else None
            except BadInput:
                variant = None
            if variant is not None:
                found.setdefault(variant.hash, Candidate(number, variant.config, variant.text, variant.hash))
        trial += len(points)
    return list(found.values())


def _check(study: Study, scheme: Scheme) -> None:
    where = f"{study.name}: [validation]"
    if isinstance(scheme, KFold | Combinatorial):
        for objective in study.objectives:
            check_poolable(objective, study.name)
        if not is_fixed(study):
            raise DolphinError(
                f"{scheme.scheme} compares the same candidates in every fold, and sampler '{study.sampler}' does not",
                where=where,
                mend="use grid, sobol or random, or a walk_forward scheme",
            )
    if isinstance(scheme, WalkForward) and scheme.step is not None and scheme.step < scheme.test:
        raise DolphinError(
            f"step = {scheme.step} is shorter than test = {scheme.test}: days would be judged twice",
            where=where,
            mend="make step at least test",
        )


def _check_warmup(study: Study, folds: Sequence[Fold]) -> None:
    bars = study.config.strategy.warmup_bars(study.config.params)
    for fold in folds:
        for what, spans in (("trains", fold.train), ("is judged", fold.test)):
            if all(stop <= bars for _, stop in spans):
                raise DolphinError(
                    f"fold {fold.number} {what} on bars 0 to {spans[-1][1]}, all within the warm-up of {bars}",
                    where=f"{study.name}: [validation]",
                    mend="take a longer window, or longer or fewer folds",
                )


def _reach(study: Study, scheme: Scheme, evaluator: Evaluator, window: Span) -> tuple[int, int]:
    """Bars that a decision reaches forward, and that features look back; 0 where nothing says ``auto``."""
    if not isinstance(scheme, KFold | Combinatorial) or "auto" not in (scheme.purge, scheme.embargo):
        return 0, 0
    strategy: Strategy = study.config.strategy
    if scheme.purge == "auto" and strategy.horizon_bars is None:
        raise DolphinError(
            f"purge = \"auto\" needs to know how far a decision of strategy '{strategy.name}' reaches",
            where=f"{study.name}: [validation]",
            mend="declare Strategy(horizon_bars=lambda params: ...), or write the purge in bars",
        )
    # Only bounds are read from these: their percentiles may come from anywhere.
    base = settled(study.config, evaluator.market(study.config), [window])
    many = [c.config for c in candidates_of(study, base)]
    if not many:
        return 0, 0
    reaches = strategy.horizon_bars or (lambda params: 0)
    horizon = max(int(reaches(config.params)) for config in many)
    lookback = max(strategy.warmup_bars(config.params) for config in many)
    # Features of one's own look back over their inputs, which have a history of their own.
    own = [f for config in many for f, *_ in strategy.plugged(config.params)]
    plugged = max((f.warmup_bars for f in own if isinstance(f, Feature)), default=0)
    return horizon, max(history_bars(evaluator.dataset.spacing_ns), lookback) + plugged


def _write(workspace: Workspace, report: ValidationReport) -> None:
    folder = workspace.experiments / report.study.name
    equity = io.BytesIO()
    report.equity.write_parquet(equity, compression="zstd")
    write_listed(folder, {"oos_equity.parquet": equity.getvalue(), "validation.json": json_bytes(report.document)})
    newest = report.newest
    if newest is not None:
        fold = report.document["folds"][-1]
        span = fold["train"][-1]
        head = (
            f"# Trial {newest.trial} of study {report.study.name}, chosen on its newest train window, "
            f"{span['from']} to {span['to']}:\n"
            f"# {report.study.objective} = {fold['objective']['train']!r} there, "
            f"{fold['objective']['test']!r} in the test window after it.\n"
        )
        write_bytes(folder / "best.toml", (head + to_toml(json.loads(newest.text))).encode())
