"""Holdout and walk-forward: choose on the train window, trade the next test window, move on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from dolphin.config import Variants, settled
from dolphin.errors import DolphinError
from dolphin.progress import Progress
from dolphin.study.definition.splits import Fold
from dolphin.study.measure.evaluator import Evaluator
from dolphin.study.measure.measured import Measures
from dolphin.study.measure.metrics import MetricArrays
from dolphin.study.measure.spans import Span
from dolphin.study.samplers import sampler_class
from dolphin.study.search.search import FINISHED, search
from dolphin.study.space.space import Point
from dolphin.study.trials.choice import best_first, choice_of
from dolphin.study.trials.registry import Registry
from dolphin.study.validation.candidate_runs import Candidate, CandidateRuns
from dolphin.study.validation.pooled import pooled

if TYPE_CHECKING:
    from dolphin.study.definition.spec import Study

#: (metrics of all candidates, (C,) each) -> place of the best one, or None if none may be chosen.
Choose = Callable[[MetricArrays], int | None]

#: The candidates of a fold, percentiles settled on its train rows.
Candidates = Callable[[Fold], Sequence[Candidate]]

#: (train span, number of the fold) -> what a search of its own found best there, or None.
Search = Callable[[Span, int], Candidate | None]


@dataclass(frozen=True)
class FoldResult:
    """A fold, what was chosen on its train spans and how that traded its test spans.

    ``chosen`` is None where no candidate had enough trades: such a fold stays flat. ``train`` and
    ``tests`` hold the measures of the chosen one for each span, ``score`` what it was chosen by.
    """

    fold: Fold
    chosen: Candidate | None
    score: dict[str, float]
    train: tuple[Measures, ...]
    tests: tuple[Measures, ...]


def walk_forward(
    folds: Sequence[Fold], candidates: Candidates, choose: Choose, runs: CandidateRuns
) -> list[FoldResult]:
    """Every fold with a sampler that does not learn: the same candidates, all of them on each train window."""
    results = []
    for fold in folds:
        many = candidates(fold)
        (span,) = fold.train
        measures = runs.search(many, span, fold.number) if many else None
        place = choose(measures.metrics) if measures else None
        results.append(evaluate_fold(fold, many[place] if place is not None else None, runs))
    return results


def walk_forward_adaptive(folds: Sequence[Fold], search: Search, runs: CandidateRuns) -> list[FoldResult]:
    """Every fold with a search of its own on its train window."""
    return [evaluate_fold(fold, search(fold.train[0], fold.number), runs) for fold in folds]


def is_fixed(study: Study) -> bool:
    """Whether the sampler's candidates depend on no result, and all of them see the whole window."""
    kind = sampler_class(study.sampler)
    return not kind.LEARNS and not kind(study.space, study.seed, study.trials, 1, study.options).rungs


def searched(
    study: Study,
    evaluator: Evaluator,
    registry: Registry,
    span: Span,
    fold: int,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> Candidate | None:
    """Let the study's sampler search one train window; the best trial, of equals the first."""
    if resume:
        _check_span(study, evaluator, registry, span, fold)
    choice = choice_of(study)
    best: list[tuple[tuple[float, ...], Point, dict[str, Any]]] = []

    def on_batch(batch: list[tuple[Point, dict[str, Any]]]) -> None:
        scores = choice.scores_of([row for _, row in batch])
        for place in best_first(scores)[:1]:
            score = tuple(scores[place].tolist())
            if not best or score > best[0][0]:
                best[:] = [(score, *batch[place])]

    def advance(done: int, total: int, _: str) -> None:
        if progress:
            progress(done, total, f"fold {fold}")

    # Where the number of trials is known it bounds the search, so that every fold has as many.
    deadline = time.monotonic() + study.timeout if study.timeout is not None and study.trials is None else None
    search(
        study, evaluator, registry, span,
        fold=fold, resume=resume, deadline=deadline, progress=advance, on_batch=on_batch,
    )  # fmt: skip
    if not best:
        return None
    _, point, row = best[0]
    base = settled(study.config, evaluator.market(study.config), [span])
    variant = Variants(base).of(study.space.over(base).complete(point)[0])
    return Candidate(row["trial"], *variant)


def _check_span(study: Study, evaluator: Evaluator, registry: Registry, span: Span, fold: int) -> None:
    """Refuse to go on after a search of this fold that was over other bars."""
    mine = [pl.col("study_hash") == study.hash, pl.col("fold") == fold, pl.col("role") == "search"]
    known = registry.trials().filter(*mine, pl.col("state").is_in(FINISHED)).unique("trial", keep="last")
    first_ts, last_ts = span.closes(evaluator.ts)
    # Pruned trials ended early; where they began tells.
    other = pl.col("first_ts") != first_ts
    other |= (pl.col("state") == "done") & (pl.col("last_ts") != last_ts)
    if known.filter(other).select(pl.len()).collect().item():
        raise DolphinError(
            f"fold {fold} was searched over other bars: [validation] or the window has changed since",
            where=study.name,
            mend="start a new study of it with --fork, or run it without --resume",
        )


def evaluate_fold(fold: Fold, chosen: Candidate | None, runs: CandidateRuns) -> FoldResult:
    """Run what was chosen over the test spans, each from a flat account."""
    if chosen is None:
        return FoldResult(fold, None, {}, (), ())
    train = tuple(runs.rerun(chosen, span) for span in fold.train)
    tests = tuple(runs.test(chosen, span, fold.number) for span in fold.test)
    # One stretch is measured by the kernel; several are put together.
    metrics = train[0].metrics if len(train) == 1 else pooled(train)
    return FoldResult(fold, chosen, {name: values[0].item() for name, values in metrics.items()}, train, tests)
