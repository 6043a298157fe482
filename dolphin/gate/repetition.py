"""The evidence of a frozen champion, gathered once more and held against what was frozen."""

from __future__ import annotations

import shutil
from typing import Any

from dolphin.gate.candidate import Candidate
from dolphin.gate.case import judge_case, open_case
from dolphin.gate.champions import Champion, open_champion
from dolphin.gate.evidence.searches import find_search
from dolphin.gate.measure import Measure
from dolphin.gate.policy import read_policy
from dolphin.gate.report import plain
from dolphin.gate.second_look import edge_problems
from dolphin.market.assemble import open_market
from dolphin.progress import Progress
from dolphin.study.trials.holdouts import Holdouts
from dolphin.workspace import Workspace

#: Of each part of the evidence what follows from data, search and policy alone. p may rise with later looks.
SAME = ("method", "value", "under_shifts")


def repeat_evidence(workspace: Workspace, pointer: str, progress: Progress | None = None) -> dict[str, Any]:
    """Run the search of a pointer's champion again under shifted signals, and its holdout; nothing kept is used.

    Returns
    -------
    dict
        ``repeated``; ``why`` it cannot be, where it cannot; ``problems`` (lines: what is not as frozen, or no longer
        within its limit); ``then`` and ``now`` (p, p_a, p_b).
    """
    return held_against(open_champion(workspace, pointer), pointer, gather_again(workspace, pointer, progress))


def gather_again(workspace: Workspace, pointer: str, progress: Progress | None = None) -> dict[str, Any]:
    """The half of it that runs the strategy: ``why`` nothing is repeated, or ``edge``, what was found."""
    candidate = Candidate.from_pointer(workspace, pointer)
    assert candidate.champion is not None
    frozen = candidate.champion.document("gate.json")["evidence"]
    policy = read_policy(workspace)
    why = _why_not(workspace, candidate, frozen, policy.sha256)
    if why:
        return {"why": why, "edge": None}
    shutil.rmtree(workspace.promote / ".shifts", ignore_errors=True)
    market = open_market(candidate.dataset, candidate.config, progress)
    measure = Measure(candidate.dataset, market, candidate.config, candidate.start, candidate.stop)
    edge = judge_case(workspace, open_case(workspace, candidate), measure, policy, progress)
    refusals = [] if edge.passed else [f"{edge.sentence}; {edge.guard_sentence}"]
    return {"why": "", "edge": plain(edge.document()), "refusals": refusals}


def held_against(champion: Champion, pointer: str, found: dict[str, Any]) -> dict[str, Any]:
    """The other half: what was found against what was frozen. Each p must follow from its scores."""
    then, now = champion.document("gate.json")["evidence"].get("edge"), found["edge"]
    if now is None:
        return {"repeated": False, "why": found["why"], "problems": [], "then": _figures(then), "now": None}
    problems = []
    for part in ("search", "holdout"):
        if (then[part] is None) != (now[part] is None):
            problems.append(f"{pointer}: evidence of the {part} is there only {'now' if now[part] else 'as frozen'}")
        elif then[part] is not None:
            changed = [key for key in SAME if then[part].get(key) != now[part].get(key)]
            problems += [f"{pointer}: evidence of the {part}: '{key}' is not as frozen" for key in changed]
    problems += [f"{pointer}: {line}" for line in (*found["refusals"], *edge_problems(now))]
    return {"repeated": True, "why": "", "problems": problems, "then": _figures(then), "now": _figures(now)}


def _why_not(workspace: Workspace, candidate: Candidate, frozen: dict[str, Any], policy: str) -> str:
    """Why the evidence cannot be repeated here; empty if it can."""
    if not frozen.get("edge"):
        return "no evidence of an edge was frozen"
    if frozen["gate"]["policy_sha256"] != policy:
        return "promote/policy.toml is another than the frozen one"
    # Nothing is opened for a repetition: its holdout was, when it was frozen.
    opening = frozen["holdout"]["opening"]
    if opening is not None and not _opened(workspace, candidate):
        return "the opening of its holdout is not in this workspace; import the registry that it was judged with"
    if frozen["edge"]["search"] and find_search(workspace, candidate.config.hash, candidate.dataset.digest) is None:
        return "its search is not in this registry; import the one that it was judged with"
    return ""


def _opened(workspace: Workspace, candidate: Candidate) -> bool:
    mine = {"action": "open", "config_hash": candidate.config.hash, "dataset_digest": candidate.dataset.digest}
    return any(mine.items() <= entry.items() for entry in Holdouts(workspace).entries())


def _figures(edge: dict[str, Any] | None) -> dict[str, Any] | None:
    if not edge:
        return None
    return {"p": edge["p"], "p_a": edge["search"]["p"] if edge["search"] else None, "p_b": edge["holdout"]["p"]}
