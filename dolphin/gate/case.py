"""A candidate's case: where it comes from, which bars it has not seen, and what can be said of its edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dolphin.gate.candidate import Candidate
from dolphin.gate.evidence.advisory import advisory
from dolphin.gate.evidence.edge import Edge, judge_edge
from dolphin.gate.evidence.holdout import Unseen, open_unseen
from dolphin.gate.evidence.looks import Looks, looks_at, looks_document
from dolphin.gate.evidence.power import chances
from dolphin.gate.evidence.searches import Search, find_search
from dolphin.gate.measure import Measure
from dolphin.gate.policy import Policy
from dolphin.gate.report import FloorResult
from dolphin.gate.trust import own_error
from dolphin.progress import Progress
from dolphin.workspace import Workspace


@dataclass(frozen=True)
class Case:
    """What is known of a candidate before a bar of its holdout is read; the holdout's opening is on the chain."""

    candidate: Candidate
    search: Search | None
    unseen: Unseen
    looks: Looks


def open_case(workspace: Workspace, candidate: Candidate) -> Case:
    """Find the search and the holdout of a candidate, and write the opening down."""
    dataset = candidate.dataset
    search = find_search(workspace, candidate.config.hash, dataset.digest)
    looks = looks_at(workspace, dataset)
    why = f"the gate judges {candidate.name}"
    unseen = open_unseen(workspace, dataset, candidate.start, candidate.stop, candidate.config.hash, search, why)
    return Case(candidate, search, unseen, looks)


def judge_case(
    workspace: Workspace, case: Case, measure: Measure, policy: Policy, progress: Progress | None = None
) -> Edge:
    """Whether it has an edge."""
    return judge_edge(
        workspace, measure.dataset, measure.market, measure.config, case.unseen, case.search, case.looks, policy,
        progress=progress,
    )  # fmt: skip


def case_evidence(
    workspace: Workspace,
    case: Case | None,
    edge: Edge | None,
    measure: Measure,
    floors: Sequence[FloorResult],
    policy: Policy,
) -> dict[str, Any]:
    """The part of a verdict's evidence that is about the edge; none of it for a champion."""
    if case is None or edge is None:
        return {}
    unseen, search, ts = case.unseen, case.search, measure.market.ts
    spans = [(int(ts[measure.start]), int(ts[measure.stop - 1]))]
    if search is not None:
        spans.append((search.first_ts, search.last_ts))
    return {
        "edge": edge.document(),
        "holdout": {
            "span": unseen.text,
            "declared_by_the_study": unseen.declared,
            "opening": unseen.entry["hash"] if unseen.entry else None,
            "opened": unseen.entry["time"] if unseen.entry else None,
        },
        "looks": looks_document(case.looks, *spans, workspace=workspace),
        "advisory": advisory(workspace, search, measure, case.looks, policy),
        "chances": chances(measure, floors),
        "own_error": own_error(workspace, policy),
    }
