"""A verdict judged again from what the runs left: fills, equity, scores. No code of the workspace is in this process.

The process that ran the strategy reports; what it reports must follow from the prices, the workspace's own floors and
policy, the registry and the chain, all of which are read here.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from dolphin.catalog import Dataset, open_dataset, parse_time
from dolphin.core.records import Floats, Records
from dolphin.files import read_json
from dolphin.gate.anchors import anchor_problems, rules_problems
from dolphin.gate.champions import POINTERS, open_champion, pointer_path
from dolphin.gate.costs import MAKER_BPS, ROUND_TRIP_BPS, SLACK
from dolphin.gate.evidence.combining import of_several, rank, spent, stouffer
from dolphin.gate.evidence.looks import earlier_families, looks_at, outside
from dolphin.gate.evidence.part import LEAST_SHIFTS
from dolphin.gate.evidence.searches import find_search
from dolphin.gate.floors import Floor, judge, read_floors
from dolphin.gate.judging import own_worst
from dolphin.gate.measure import Measure, worst_by_bar
from dolphin.gate.policy import Policy, read_policy
from dolphin.gate.recount import NAME as RECOUNTED
from dolphin.gate.recount import figures, recount
from dolphin.gate.report import Check
from dolphin.gate.row_by_row import row_by_row, trades_of
from dolphin.gate.unshifted import edge_without_shifts, search_by_returns
from dolphin.progress import Progress
from dolphin.study.measure.run import window_rows
from dolphin.study.trials.holdouts import Holdouts
from dolphin.study.trials.registry import Registry
from dolphin.times import DAY_NS
from dolphin.workspace import Workspace

NAME = "judged again without the strategy's code"

#: Checks that a pass holds, and those that it holds beside unless parity was left out.
NEEDED = ("data", "trial registry", "gate unchanged in memory", "determinism", RECOUNTED)
OF_NEW = ("cost of trading", "rules", "edge")
OF_PARITY = (
    "same in every state", "look-ahead, every window", "decisions write wishes only", "calendar", "later start",
    "parity rung 0", "parity rung 1", "parity rung 2",
)  # fmt: skip

#: Relative difference of two sums of the same numbers.
NEAR = 1e-6


def look_again(
    workspace: Workspace, folder: Path, ask: dict[str, Any], found: dict[str, Any], progress: Progress | None = None
) -> list[Check]:
    """The second look, and where a pass has the parity ladder, too, every decision once more row by row."""
    checks = [second_look(workspace, folder, ask, found)]
    if checks[0].passed and _with_parity(ask, found["report"]):
        checks += _without_later_rows(workspace, folder, found, progress)
    return checks


def second_look(workspace: Workspace, folder: Path, ask: dict[str, Any], found: dict[str, Any]) -> Check:
    """Whether a verdict follows from what was left in ``folder``.

    Parameters
    ----------
    ask, found : dict
        What the runner was asked for, and what it says.
    """
    report = found["report"]
    dataset = open_dataset(workspace, f"{report['candidate']['dataset']}@{report['candidate']['dataset_digest']}")
    job = json.loads((folder / "job.json").read_text())
    spans = {(w["start"], w["stop"]): number for number, w in enumerate(job["windows"])}
    try:
        problem = next(_problems(workspace, folder, ask, found, dataset, job, spans), "")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        problem = f"what was found cannot be read: {type(error).__name__}: {error}"
    what = f"{len(spans)} windows, {len(report['floors'])} floors, the evidence: as fills, prices and chain have it"
    return Check(NAME, not problem, problem or what)


def _problems(
    workspace: Workspace, folder: Path, ask: dict[str, Any], found: dict[str, Any], dataset: Dataset,
    job: dict[str, Any], spans: dict[tuple[int, int], int],
) -> Iterator[str]:  # fmt: skip
    report, config = found["report"], found["config"]
    start, stop = _asked(workspace, ask, dataset)
    whole = next(iter(spans), None)
    if whole != (start, stop):
        yield f"rows {start} to {stop} of '{dataset.name}' were to be judged, and {whole} were"
        return
    friction, capital = config["friction"], config["account"]["initial_capital"]
    if (job["capital"], job["slippage"] * 1e4, job["fee"] * 1e4) != (
        capital, friction["slippage_bps"] / 1e4 * 1e4, friction["fee_bps"] / 1e4 * 1e4,
    ):  # fmt: skip
        yield "what was run has other costs or another capital than its configuration"
    if report["candidate"]["kind"] != "champion" and (
        2.0 * (friction["slippage_bps"] + friction["fee_bps"]) < ROUND_TRIP_BPS - SLACK
        or friction["maker_fee_bps"] < MAKER_BPS - SLACK
    ):
        yield "trading costs less than the gate asks for"
    yield from _checks(workspace, ask, report)
    if counted := recount(folder)["problem"]:
        yield counted
    long_too = config["params"].get("direction") != "short_only"
    yield from _floors(workspace, folder, ask["tier2"], long_too, report, dataset, (start, stop), capital, spans)
    if report["candidate"]["kind"] != "champion":
        yield from _edge(workspace, report, dataset)


def _checks(workspace: Workspace, ask: dict[str, Any], report: dict[str, Any]) -> Iterator[str]:
    """Every check that a pass needs was made and held; the registry is looked at here."""
    new = report["candidate"]["kind"] != "champion"
    for name in (*NEEDED, *(OF_NEW if new else ()), *(OF_PARITY if _with_parity(ask, report) else ())):
        if not any(row["name"].startswith(name) and row["passed"] for row in report["checks"]):
            yield f"the check '{name}' was not made"
    yield from Registry(workspace).problems()
    if new:
        yield from anchor_problems(workspace)


def _with_parity(ask: dict[str, Any], report: dict[str, Any]) -> bool:
    """Whether the parity ladder was asked for; unless told otherwise it is, except for a champion."""
    asked = ask["parity"]
    return report["candidate"]["kind"] != "champion" if asked is None else bool(asked)


def _without_later_rows(
    workspace: Workspace, folder: Path, found: dict[str, Any], progress: Progress | None
) -> list[Check]:
    """All windows that were run, and the holdout, decided by a process that gets one row after the other.

    What it decided on the holdout is then asked for an edge without a shifted signal.
    """
    report, job = found["report"], json.loads((folder / "job.json").read_text())
    about, evidence = report["candidate"], report["evidence"]
    dataset = open_dataset(workspace, f"{about['dataset']}@{about['dataset_digest']}")
    told = {(w["start"], w["stop"]): _left(folder / f"{number}.npz") for number, w in enumerate(job["windows"])}
    held, value = None, None
    if about["kind"] != "champion":
        # Whose opening it is, was looked at before.
        opening = evidence["holdout"]["opening"]
        entry = next(e for e in Holdouts(workspace).entries() if e["hash"] == opening)
        low, high = np.searchsorted(dataset.grid(), [entry["first_ts"], entry["last_ts"] + 1]).tolist()
        held, part = (low, high), evidence["edge"]["holdout"]
        if part["value"] is not None and part.get("objective"):
            value = str(part["objective"]), float(part["value"])
    digest = str(about["engine_digest"])
    check, books = row_by_row(dataset, workspace.research, found["config"], digest, told, held, value, progress)
    if held is None or books is None:
        return [check]
    trades, policy = trades_of(books), read_policy(workspace)
    hashed, alpha = str(about["opened_as"]), float(evidence["edge"]["alpha"])
    return [check, edge_without_shifts(workspace, dataset, hashed, alpha, held, books, trades, policy)]


def _asked(workspace: Workspace, ask: dict[str, Any], dataset: Dataset) -> tuple[int, int]:
    """Rows that the candidate is to be judged on."""
    path = Path(ask["candidate"])
    if ask["candidate"] in POINTERS and not path.exists():
        about = open_champion(workspace, ask["candidate"]).document("run.json")
    elif path.is_dir():
        about = read_json(path / "run.json")
    else:
        if dataset.digest != open_dataset(workspace, ask["dataset"]).digest:
            return 0, 0
        times = [parse_time(ask[key]) if ask[key] else None for key in ("start", "stop")]
        return window_rows(dataset.grid(), times[0], times[1], dataset.name)
    if about["dataset"]["digest"] != dataset.digest:
        return 0, 0
    return int(about["first_bar"]["row"]), int(about["last_bar"]["row"]) + 1


def _floors(
    workspace: Workspace, folder: Path, tier2: bool, long_too: bool, report: dict[str, Any], dataset: Dataset,
    rows: tuple[int, int], capital: float, spans: dict[tuple[int, int], int],
) -> Iterator[str]:  # fmt: skip
    """Every floor of the tiers that hold for it, by figures that are counted here."""
    floors, grid = read_floors(workspace), dataset.grid()
    blue = open_champion(workspace, "blue") if pointer_path(workspace, "blue").is_file() else None
    of_rows: Any = Measure(dataset, SimpleNamespace(ts=grid), None, *rows)  # type: ignore[arg-type]
    left = {span: _left(folder / f"{number}.npz") for span, number in spans.items()}
    told = {row["name"]: row for row in report["floors"]}
    bought = long_too or bool((left[rows][0]["side"] > 0).any())
    for tier in ("tier1", *(["tier2"] if tier2 else []), *(["green"] if bought else [])):
        for floor in floors.tiers[tier]:
            row = told.get(floor.name)
            if row is None:
                yield f"floor '{floor.name}' was not judged"
                continue
            limit = own_worst(floor, blue)[0] if floor.or_champions_own and blue is not None else floor.limit
            if float(row["limit"]) != limit:
                yield f"floor '{floor.name}' was judged at {row['limit']} in place of {limit:g}"
            begin, end, problem = (*rows, "") if floor.window.rolling else of_rows._rows(floor.window)
            if problem or (begin, end) not in left:
                yield f"floor '{floor.name}': {problem or 'its window was not run'}"
                continue
            trades, equity = left[begin, end]
            ts = grid[begin:end]
            if floor.window.rolling:
                length = (floor.window.days or 0) * DAY_NS
                value = worst_by_bar(ts, equity, capital, length, dataset.spacing_ns)
            else:
                value = figures(ts, trades, equity, capital).get(floor.metric, float(row["value"]))
            if not _near(value, float(row["value"])):
                yield f"floor '{floor.name}': {floor.metric} is {value:.6g}, and was told as {row['value']}"
            against = Floor(floor.name, floor.metric, floor.window, floor.op, limit)
            if not judge(against, value, len(trades), floors.enough_trades(tier, floor.window))[0]:
                yield f"floor '{floor.name}' does not hold: {floor.metric} {value:.6g}"
    if tier2 and blue is not None and not {floor.name for floor in floors.tiers["champion"]} <= {*told}:
        yield "it was not compared with the present champion"


def _left(file: Path) -> tuple[Records, Floats]:
    with np.load(file, allow_pickle=False) as arrays:
        return arrays["trades"], arrays["equity"]


def _edge(workspace: Workspace, report: dict[str, Any], dataset: Dataset) -> Iterator[str]:
    """p and its limit from the scores under shifts, the policy and the chain."""
    policy, edge = read_policy(workspace), report["evidence"]["edge"]
    opening = report["evidence"]["holdout"]["opening"]
    entry = next((e for e in Holdouts(workspace).entries() if e["hash"] == opening), None)
    about = report["candidate"]
    config_hash, opened_as = about["config_hash"], about["opened_as"]
    settled = opened_as != config_hash and bool(about["quantiles_of_the_gate_window"])
    if entry is None or entry["config_hash"] != opened_as or entry["dataset_digest"] != dataset.digest:
        yield "the holdout's opening is not on the chain"
        return
    if opened_as != config_hash and not settled:
        yield "another configuration opened the holdout"
    yield from rules_problems(workspace, config_hash)
    yield from edge_problems(edge)
    held, search = edge["holdout"], edge["search"]
    yield from _search_problems(workspace, dataset, opened_as, search, policy)
    p = held["p"] if search is None else stouffer(search["p"], held["p"])
    # What an open percentile was before it was settled cannot be told here: all others are before such a one.
    families = earlier_families(
        workspace, looks_at(workspace, dataset), dataset, entry["first_ts"], entry["last_ts"],
        "" if settled else config_hash,
    )  # fmt: skip
    families = [name for name in families if name not in (config_hash, opened_as)]
    alpha = spent(policy.alpha, 1 + len(families)) if families else policy.alpha
    if not _near(p, edge["p"]) or not _near(alpha, edge["alpha"]):
        yield f"p is {p:.4g} and its limit {alpha:.4g}; told were {edge['p']:.4g} and {edge['alpha']:.4g}"
    if p > alpha or (search is not None and held["p"] > policy.hard("guard")):
        yield f"no edge: p = {p:.4g}, p_b = {held['p']:.4g}"


def _search_problems(
    workspace: Workspace, dataset: Dataset, config_hash: str, told: dict[str, Any] | None, policy: Policy
) -> Iterator[str]:
    """Whether the search that was told of is the registry's, with all looks beside it."""
    by_returns = search_by_returns(workspace, dataset, config_hash, policy)
    search = find_search(workspace, config_hash, dataset.digest) if by_returns is not None else None
    if (search is None) != (told is None):
        yield "the search that it comes from is not the registry's"
    if search is None or told is None or by_returns is None:
        return
    beyond = outside(looks_at(workspace, dataset), search, search.first_ts, search.last_ts)
    if told.get("looks_outside", 0) < beyond:
        yield f"{beyond} looks outside of the search are registered, and {told.get('looks_outside', 0)} were told"
    if told["method"] == "reality check" and not _near(by_returns, told["p"]):
        yield f"p of the reality check is {by_returns:.4g} by the registry, and was told as {told['p']:.4g}"


def edge_problems(edge: dict[str, Any]) -> Iterator[str]:
    """Each part's p by its own scores."""
    held, search = edge["holdout"], edge["search"]
    yield from _ranked(held, 1.0)
    if search is not None:
        yield from _ranked(search, 1.0 + search.get("looks_outside", 0) / max(edge["registered_trials"], 1))


def _ranked(part: dict[str, Any], searches: float) -> Iterator[str]:
    """A part's p by its own scores, where it has any."""
    if part["method"] not in ("shifted signals", "search rerun"):
        return
    others = [math.nan if value is None else float(value) for value in part["under_shifts"]]
    value = of_several(rank(float(part["value"]), others), searches)
    if len(others) < LEAST_SHIFTS or not _near(value, part["p"]):
        yield f"{part['method']}: p is {value:.4g} by its {len(others)} scores, and was told as {part['p']:.4g}"


def _near(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= NEAR * max(1.0, abs(a), abs(b))


def main(folder: Path) -> None:
    """Look at what was left in ``folder`` for a process that has research code in it; the checks as JSON."""
    ask = read_json(folder / "ask.json")
    checks = look_again(Workspace(Path(ask["root"])), folder, ask, read_json(folder / "found.json"))
    json.dump([{"name": check.name, "passed": check.passed, "detail": check.detail} for check in checks], sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
