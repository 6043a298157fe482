"""The gate: run the candidate again on its own data, judge the floors, ask whether there is an edge.

These are two questions, and both are answered for every candidate. Who fails one is refused already, so the costly
rest (parity ladder, look-ahead, warm-up, fresh processes) is not gathered for it, and the report says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from dolphin.catalog import verify as verify_dataset
from dolphin.config import Config, settled
from dolphin.files import json_value
from dolphin.gate.anchors import anchor_problems, rules_problems
from dolphin.gate.candidate import Candidate, frozen_config
from dolphin.gate.case import Case, case_evidence, judge_case, open_case
from dolphin.gate.champions import Champion, open_champion, pointer_path
from dolphin.gate.costs import cost_check
from dolphin.gate.curves import equity_curves
from dolphin.gate.floors import Floors, read_floors
from dolphin.gate.forewarned import forewarned
from dolphin.gate.honest import honest_checks
from dolphin.gate.judging import judge_floors
from dolphin.gate.measure import Measure, days_spanned
from dolphin.gate.policy import Policy, read_policy, weaker
from dolphin.gate.recount import recounted
from dolphin.gate.report import Check, GateReport, plain
from dolphin.gate.unpatched import unpatched
from dolphin.gate.verdict import answers, edge_checks, reasons
from dolphin.market.assemble import open_market
from dolphin.parity.checks import append_only, lookahead, warmup
from dolphin.parity.fresh_process import HASH_SEEDS, fresh, job_of, outcome
from dolphin.progress import Progress
from dolphin.study.measure.metrics import METRICS
from dolphin.study.measure.run import Run
from dolphin.study.trials.registry import Registry
from dolphin.times import DAY_NS, format_time
from dolphin.workspace import Workspace

Climb = Callable[..., Any]

#: Rungs of the parity ladder that a pass needs.
RUNGS = (0, 1, 2)
NOT_RUN = "not run because floors were breached or no edge was found"
NOT_ASKED = "not asked for"
PARITY_PART = "parity ladder, look-ahead, warm-up, append-only"


def evaluate(
    workspace: Workspace,
    candidate: Candidate,
    *,
    tier2: bool,
    parity: bool | None = None,
    progress: Progress | None = None,
    climb: Climb | None = None,
) -> GateReport:
    """Judge a candidate; moves nothing.

    Parameters
    ----------
    tier2 : bool
        Also the promotion targets, and not worse than the present blue champion.
    parity : bool, optional
        Whether parity ladder, look-ahead, warm-up and append-only checks are part of it. By default
        they are, except for a champion, whose frozen digests are compared instead.
    climb : callable, optional
        The parity ladder; by default :func:`dolphin.parity.ladder`.
    """
    parity = candidate.kind != "champion" if parity is None else parity
    floors, policy = read_floors(workspace), read_policy(workspace)
    tell = progress or (lambda done, total, text: None)
    # A champion was judged when it was frozen: its holdout is no holdout any more.
    case = None if candidate.kind == "champion" else open_case(workspace, candidate)
    tell(0, 5, "gate: running the candidate")
    spans, percentiles = _settling(case, candidate)
    measure = _measure(candidate, candidate.config, progress, spans)
    rival = _rival(workspace, candidate, progress)
    judged = tuple(judge_floors(floors, measure, rival, _blue(workspace), tier2=tier2))
    checks = [_data(workspace, candidate), _registry(workspace, candidate), *percentiles]
    if case is not None:
        changed = rules_problems(workspace, measure.config.hash)
        checks += [cost_check(measure.config), Check("rules", not changed, next(iter(changed), "as before the search"))]
    if candidate.recorded:
        checks.append(_reproduced(candidate, measure.whole))
    tell(1, 5, "gate: is there an edge")
    edge = judge_case(workspace, case, measure, policy, progress) if case is not None else None
    evidence = case_evidence(workspace, case, edge, measure, judged, policy)
    evidence |= _rules(floors, policy, tier2, rival) | {"windows": windows(floors, measure)}
    evidence["equity"] = equity_curves(measure, rival)
    evidence["forewarner"], warned = forewarned(
        measure.dataset, measure.config, int(measure.market.ts[measure.stop - 1])
    )
    checks += warned
    if edge is not None:
        checks += edge_checks(edge)
    checks.append(unpatched())
    if not all(floor.passed for floor in judged) or (edge is not None and not edge.passed):
        evidence["not_run"] = {"determinism": NOT_RUN, PARITY_PART: NOT_RUN if parity else NOT_ASKED}
    else:
        held = [(case.unseen.start, case.unseen.stop)] if case is not None else []
        more, told = _costly(measure, held, parity, tell, climb, progress)
        checks, evidence = checks + more, evidence | told
    tell(5, 5, "gate: done")
    return GateReport(
        candidate=about(candidate, measure),
        floors=judged,
        checks=tuple(checks),
        evidence=evidence,
        created=format_time(time.time_ns() // 1000 * 1000),
        answers=answers(edge, judged, "it was judged when it was frozen; this run is about floors and digests"),
        reasons=tuple(reasons(edge, judged, checks)),
        weaker=tuple(weaker(policy, floors)),
        measure=measure,
    )


def _costly(
    measure: Measure,
    held: list[tuple[int, int]],
    parity: bool,
    tell: Progress,
    climb: Climb | None,
    progress: Progress | None,
) -> tuple[list[Check], dict[str, Any]]:
    """The checks for who has passed so far, and what the evidence holds of them."""
    tell(2, 5, "gate: fresh processes")
    checks = [_deterministic(measure.whole), recounted(measure)]
    if not parity:
        return checks, {"not_run": {PARITY_PART: NOT_ASKED}}
    tell(3, 5, "gate: look-ahead and warm-up")
    checks += _honest(measure) + honest_checks(measure, [*measure.spans, *(s for s in held if s[0] < s[1])])
    tell(4, 5, "gate: parity ladder")
    rungs, document = _climb(measure, climb, progress)
    return checks + rungs, {"parity": document}


def _rules(floors: Floors, policy: Policy, tier2: bool, rival: Measure | None) -> dict[str, Any]:
    """What the candidate is judged by."""
    return {
        "gate": {
            "floors_file": "promote/floors.toml" if floors.own else "those of the package",
            "floors_sha256": floors.sha256,
            "floors_are_the_default": floors.default,
            "policy_file": "promote/policy.toml" if policy.own else "that of the package",
            "policy_sha256": policy.sha256,
            "tier2": tier2,
            "champion_compared": rival.config.hash if rival else None,
        },
    }


def about(candidate: Candidate, measure: Measure) -> dict[str, Any]:
    """Facts of the candidate as it was judged."""
    ts, run = measure.market.ts, measure.whole
    return {
        "name": candidate.name,
        "kind": candidate.kind,
        "strategy": measure.config.strategy_name,
        "config_hash": measure.config.hash,
        "opened_as": candidate.config.hash,
        "quantiles_of_the_gate_window": dict(candidate.config.of_window),
        "engine_digest": run.engine.digest,
        "final_digest": run.final_digest,
        "dataset": candidate.dataset.name,
        "dataset_digest": candidate.dataset.digest,
        "synthetic": candidate.dataset.synthetic,
        "window": {
            "from": format_time(ts[candidate.start]),
            "to": format_time(ts[candidate.stop - 1]),
            "days": days_spanned(ts, candidate.start, candidate.stop, candidate.dataset.spacing_ns),
            "bars": candidate.stop - candidate.start,
        },
    }


def windows(floors: Floors, measure: Measure) -> list[dict[str, Any]]:
    """Metrics of every window that a floor is about."""
    seen = {floor.window.name: floor.window for tier in floors.tiers.values() for floor in tier}
    rows = []
    for window in seen.values():
        found = measure.over(window)
        figures = {name: json_value(found.metrics[name]) for name in METRICS if name in found.metrics}
        rows.append(
            {"window": window.name, "span": found.text, "problem": found.problem, **figures, **with_open(found.metrics)}
        )
    return rows


def _settling(case: Case | None, candidate: Candidate) -> tuple[list[tuple[int, int]], list[Check]]:
    """Rows that open percentiles are taken over, and whether they lie before what is judged.

    They are the train window of the candidate's search, else all rows before the judged window. Without either
    there is nothing but the judged window, which nobody knows in advance.
    """
    judged = [(candidate.start, candidate.stop)]
    if not candidate.config.of_window:
        return judged, []
    search = case.search if case is not None else None
    low, high = 0, candidate.start
    if search is not None and search.dataset_digest == candidate.dataset.digest:
        grid = candidate.dataset.grid()
        low, high = np.searchsorted(grid, [search.first_ts, search.last_ts + 1]).tolist()
    if (high - low) * candidate.dataset.spacing_ns < DAY_NS or high > candidate.start:
        return judged, [
            Check("percentiles", False, "settled on the judged window itself; write numbers, or begin later")
        ]
    ts = candidate.dataset.grid()
    return [(low, high)], [Check("percentiles", True, f"of {format_time(ts[low])} to {format_time(ts[high - 1])}")]


def with_open(metrics: dict[str, Any]) -> dict[str, Any]:
    """Profit factor and win rate as they would be if what is open were closed at the last price."""
    if "gross_win" not in metrics or not metrics["open_position"]:
        return {}
    # What the equity has beyond the start and the closed trades is the open position's, its entry fee included.
    initial = metrics["final_equity"] / (1.0 + metrics["roi"]) if metrics["roi"] > -1.0 else math.nan
    left = metrics["final_equity"] - initial - (metrics["gross_win"] - metrics["gross_loss"])
    win, loss = metrics["gross_win"] + max(left, 0.0), metrics["gross_loss"] - min(left, 0.0)
    trades = metrics["trades"] + 1
    wins = (metrics["win_rate"] * metrics["trades"] if metrics["trades"] else 0.0) + (left > 0.0)
    factor = win / loss if loss > 0.0 else math.inf
    return {"profit_factor_with_open": json_value(factor), "win_rate_with_open": json_value(wins / trades)}


def _measure(
    candidate: Candidate, config: Config, progress: Progress | None, spans: list[tuple[int, int]] | None = None
) -> Measure:
    market = open_market(candidate.dataset, config, progress)
    config = settled(config, market, spans or [(candidate.start, candidate.stop)])
    return Measure(candidate.dataset, market, config, candidate.start, candidate.stop)


def _blue(workspace: Workspace) -> Champion | None:
    return open_champion(workspace, "blue") if pointer_path(workspace, "blue").is_file() else None


def _rival(workspace: Workspace, candidate: Candidate, progress: Progress | None) -> Measure | None:
    """The blue champion on the candidate's data and window: only so are the two comparable."""
    champion = _blue(workspace)
    if champion is None:
        return None
    if candidate.champion is not None and candidate.champion.hash == champion.hash:
        return _measure(candidate, candidate.config, progress)
    # Its config alone is asked for: the data that it was frozen on may be gone by now.
    return _measure(candidate, frozen_config(workspace, champion), progress)


def _data(workspace: Workspace, candidate: Candidate) -> Check:
    problems = verify_dataset(workspace, candidate.dataset.label)
    detail = problems[0] if problems else f"every file and row of '{candidate.dataset.label}' as in its manifest"
    return Check("data", not problems, detail)


def _registry(workspace: Workspace, candidate: Candidate) -> Check:
    """Whether the registry is whole, and for a new candidate the one that was anchored."""
    problems, others = Registry(workspace).problems(), anchor_problems(workspace)
    detail = next(iter([*problems, *others]), "its chain holds")
    return Check("trial registry", not problems and (not others or candidate.kind == "champion"), detail)


def _reproduced(candidate: Candidate, run: Run) -> Check:
    """The gate's own run against what is on record: every bar of a champion, the last one of a run."""
    recorded, name = candidate.recorded, f"same as {candidate.recorded['origin']}"
    same_engine = recorded["engine_digest"] == run.engine.digest
    engine = "same engine" if same_engine else "engine sources differ from those recorded"
    if candidate.digests is not None:
        different = np.flatnonzero(candidate.digests[: len(run.recording.digests)] != run.recording.digests)
        if len(candidate.digests) != len(run.recording.digests):
            return Check(name, False, f"{len(candidate.digests)} bars are frozen, {run.stop - run.start} were run")
        if len(different):
            bar = run.start + int(different[0])
            return Check(
                name, False, f"decisions differ from bar {bar} ({format_time(run.market.ts[bar])}) on; {engine}"
            )
    if recorded["final_digest"] != run.final_digest:
        return Check(name, False, f"final digest {run.final_digest}, on record {recorded['final_digest']}; {engine}")
    if outcome(run)["metrics"] != recorded["metrics"]:
        return Check(name, False, f"digests equal, but the metrics on record differ; {engine}")
    return Check(name, True, f"{run.stop - run.start} bars, final digest {run.final_digest}; {engine}")


def _deterministic(run: Run) -> Check:
    here, job = outcome(run), job_of(run)
    for seed in HASH_SEEDS:
        there = fresh(job, seed)
        if there != here:
            what = next(key for key in here if here[key] != there.get(key))
            return Check("determinism", False, f"a fresh process (PYTHONHASHSEED={seed}) gives other {what}")
    return Check(
        "determinism",
        True,
        f"{len(HASH_SEEDS)} fresh processes, PYTHONHASHSEED {' and '.join(HASH_SEEDS)}: same digests",
    )


def _honest(measure: Measure) -> list[Check]:
    window = measure.dataset, measure.market, measure.config, measure.start, measure.stop
    found = (lookahead(*window), warmup(*window), append_only(measure.dataset, measure.config))
    return [Check(result.name, result.passed, result.detail) for result in found]


def _climb(measure: Measure, climb: Climb | None, progress: Progress | None) -> tuple[list[Check], dict[str, Any]]:
    """Climb the ladder; a check per rung, and its document without the seconds it took."""
    if climb is None:
        from dolphin.parity.ladder import ladder

        climb = ladder
    found = climb(
        measure.dataset,
        measure.market,
        measure.config,
        measure.start,
        measure.stop,
        rungs=RUNGS,
        progress=progress,
    )
    checks = [Check(f"parity rung {r.rung}: {r.name}", bool(r.passed), str(r.detail)) for r in found.results]
    climbed = {r.rung for r in found.results}
    why = {r.rung: f"not available: {r.reason}" for r in found.not_run}
    checks += [
        Check(f"parity rung {rung}", False, why.get(rung, "the ladder did not climb it"))
        for rung in RUNGS
        if rung not in climbed
    ]
    return checks, _timeless(plain(found.as_dict()))


def _timeless(value: Any) -> Any:
    """Without what was measured by a clock: that does not belong into what is frozen."""
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if "seconds" not in key}
    return [_timeless(item) for item in value] if isinstance(value, list) else value
