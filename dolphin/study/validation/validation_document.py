"""A validation as the document that it leaves: the folds, the paths, and what they say together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dolphin.core.records import Ints
from dolphin.files import json_value
from dolphin.study.definition.splits import Fold, Scheme, zones
from dolphin.study.measure.documents import WindowDocument
from dolphin.study.measure.evaluator import Evaluator
from dolphin.study.measure.spans import Span
from dolphin.study.validation.documents import FoldDocument, ValidationDocument
from dolphin.study.validation.pooled import pooled
from dolphin.study.validation.stitching import (
    Stretch,
    distribution,
    efficiency,
    path_document,
    stability,
    value_of,
)
from dolphin.study.validation.walk_forward import FoldResult
from dolphin.times import format_time

if TYPE_CHECKING:
    from dolphin.study.definition.spec import Study


@dataclass(frozen=True)
class FoldPlan:
    """How the rows of a study's window are divided; ``purge`` and ``embargo`` are in bars."""

    scheme: Scheme
    window: Span
    folds: list[Fold]
    purge: int
    embargo: int


def validation_document(
    study: Study, evaluator: Evaluator, plan: FoldPlan, results: Sequence[FoldResult], ways: Sequence[Sequence[Stretch]]
) -> ValidationDocument:
    """``validation.json``: how the window was divided, every fold, every path, and what they say together."""
    ts = evaluator.ts
    documents = [path_document(number, way, ts) for number, way in enumerate(ways)]
    return {
        "study": study.name,
        "study_hash": study.hash,
        "scheme": plan.scheme.model_dump(),
        "dataset": {"name": evaluator.dataset.name, "digest": evaluator.dataset.digest},
        "engine_digest": study.config.engine.digest,
        "objective": study.objective,
        "direction": study.direction,
        "min_trades": study.min_trades,
        "window": _span(ts, plan.window, evaluator.dataset.spacing_ns),
        "purge_bars": plan.purge,
        "embargo_bars": plan.embargo,
        "folds": [fold_document(result, study, evaluator, plan) for result in results],
        "paths": documents,
        "stitched": documents[0]["metrics"] if len(documents) == 1 else None,
        "distribution": distribution(documents) if len(documents) > 1 else None,
        "efficiency": efficiency(results),
        "stability": stability(results, list(study.space)),
    }


def fold_document(result: FoldResult, study: Study, evaluator: Evaluator, plan: FoldPlan) -> FoldDocument:
    """One fold: where it trained and was judged, what was chosen, how it did on both sides.

    ``degradation`` is by how much the objective is worse in the test spans than in the train spans.
    """
    fold, chosen, ts, spacing = result.fold, result.chosen, evaluator.ts, evaluator.dataset.spacing_ns
    rows = zones(fold, plan.window, plan.purge, plan.embargo)
    found: FoldDocument = {
        "number": fold.number,
        "blocks": list(fold.blocks),
        "train": [_span(ts, span, spacing) for span in rows["train"]],
        "test": [_span(ts, span, spacing) for span in rows["test"]],
        "purged": [_span(ts, span, spacing) for span in rows["purged"]],
        "embargoed": [_span(ts, span, spacing) for span in rows["embargoed"]],
        "chosen": None,
    }
    if chosen is None:
        return found
    document = json.loads(chosen.text)
    # A single test stretch is known to the kernel in full; several are put together.
    one = len(result.tests) == 1
    test = result.tests[0].metrics if one else pooled(result.tests)
    after = {name: values[0].item() for name, values in test.items()}
    before, out = result.score[study.objective], after[study.objective]
    worse = before - out if study.direction == "maximize" else out - before
    return {
        **found,
        "chosen": {
            "trial": chosen.trial,
            "config_hash": chosen.hash,
            "config": document,
            "parameters": {name: value_of(document, name) for name in study.space},
        },
        "train_metrics": {name: json_value(value) for name, value in result.score.items()},
        "test_metrics": {name: json_value(value) for name, value in after.items()},
        "objective": {"train": json_value(before), "test": json_value(out), "degradation": json_value(float(worse))},
        "efficiency": efficiency([result]),
    }


def _span(ts: Ints, span: Span, spacing_ns: int) -> WindowDocument:
    """``from <= close < to``, as the command's --from and --to take them."""
    first, last = span.closes(ts)
    return {
        "from": format_time(first),
        "to": format_time(last + spacing_ns),
        "first_ts": first,
        "last_ts": last,
        "bars": span.bars,
    }
