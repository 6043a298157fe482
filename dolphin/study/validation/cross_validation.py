"""Purged and embargoed k-fold, plain and combinatorial: train spans are run apart and put together.

The same candidates are judged in every fold. Equal train spans of different folds are run once: the
blocks far from a judged one are shared, those cut by purge or embargo are runs of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dolphin.study.definition.splits import Fold
from dolphin.study.validation.candidate_runs import CandidateRuns
from dolphin.study.validation.pooled import pooled
from dolphin.study.validation.walk_forward import Candidates, Choose, FoldResult, evaluate_fold


def cross_validate(
    folds: Sequence[Fold], candidates: Candidates, choose: Choose, runs: CandidateRuns
) -> list[FoldResult]:
    """Choose in every fold by the pooled measures of its train spans, and judge each of its blocks."""
    results = []
    for fold in folds:
        many = candidates(fold)
        place = None
        if many:
            pieces = [runs.search(many, span, fold.number) for span in fold.train]
            ruined = np.any([piece.metrics["ruined"] for piece in pieces], axis=0)
            place = choose(pooled(pieces) | {"ruined": ruined})
        results.append(evaluate_fold(fold, many[place] if place is not None else None, runs))
    return results
