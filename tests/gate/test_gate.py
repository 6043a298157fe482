"""The gate on a small generated market: verdicts, evidence, freeze, and the champion run again."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from dolphin.config import parse_config, read_config, to_toml
from dolphin.errors import DolphinError, Refused
from dolphin.gate import (
    Candidate,
    Champion,
    GateReport,
    evaluate,
    find_candidate,
    promote,
    rollback,
    runtime_problems,
    show,
    verify,
    write_junit,
)
from dolphin.gate.evaluation import _reproduced
from dolphin.gate.floors import Window
from dolphin.gate.measure import Measure
from dolphin.gate.repetition import repeat_evidence
from dolphin.manifests import write_manifest
from dolphin.market.assemble import feature_columns, open_market
from dolphin.report import gate_page
from dolphin.study.measure.run import run, write_run
from dolphin.workspace import Workspace

MINUTE, DAY = 60_000_000_000, 86_400_000_000_000


class Ladder:
    """A ladder that notes what it was asked to climb."""

    def __init__(self, broken: int | None = None, absent: int | None = None, reason: str = "") -> None:
        self.broken, self.absent, self.reason, self.asked = broken, absent, reason, []

    def __call__(self, dataset: Any, market: Any, config: Any, start: int, stop: int, *, rungs: Any, progress: Any):
        self.asked.append((dataset.name, config.hash, start, stop, rungs))
        results = [
            SimpleNamespace(rung=r, name=f"n{r}", passed=r != self.broken, detail=f"d{r}")
            for r in rungs
            if r != self.absent
        ]
        document = {"rungs": [{**vars(r), "seconds": 1.5} for r in results]}
        not_run = [SimpleNamespace(rung=self.absent, reason=self.reason)] if self.reason else []
        return SimpleNamespace(results=results, not_run=not_run, passed=self.broken is None, as_dict=lambda: document)


@pytest.fixture(scope="module")
def report(workspace: Workspace, candidate: Candidate) -> GateReport:
    return evaluate(workspace, candidate, tier2=True, climb=Ladder())


@pytest.fixture(scope="module")
def champion(workspace: Workspace, candidate: Candidate) -> Iterator[Champion]:
    yield promote(workspace, candidate, reason="it passed", weaker_policy=True, who="ada", climb=Ladder())
    for name in ("blue.json", "audit.jsonl"):
        (workspace.promote / name).unlink()
    shutil.rmtree(workspace.promote / "champions")


def measure_of(candidate: Candidate, **changes: object) -> Measure:
    config = candidate.config.with_values(changes)
    market = open_market(candidate.dataset, config)
    return Measure(candidate.dataset, market, config, candidate.start, candidate.stop)


def test_pass_rests_on_floors_and_all_evidence(report: GateReport) -> None:
    assert report.verdict == "PASS" and report.failures == []
    assert [f.metric for f in report.floors] == [
        *("profit_factor", "win_rate", "roi", "trades", "max_drawdown", "sharpe_365"),
        *("roi", "sharpe_365"),
    ]
    assert [c.name for c in report.checks] == [
        *("data", "trial registry", "cost of trading", "rules", "edge", "gate unchanged in memory"),
        *("determinism", "recounted from fills and prices", "look-ahead", "warm-up", "append-only"),
        *("same in every state",),
        *("look-ahead, every window", "decisions write wishes only", "calendar", "later start"),
        *("parity rung 0: n0", "parity rung 1: n1", "parity rung 2: n2"),
    ]


@pytest.mark.slow
def test_document_is_json_and_the_page_takes_it(report: GateReport) -> None:
    document = report.as_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert "seconds" not in json.dumps(document)
    assert document["evidence"]["forewarner"] == {
        "status": "not available (neutral)",
        "counts_as_pass": False,
    }
    assert "forewarner" not in " ".join(c["name"] for c in document["checks"])
    curves = document["evidence"]["equity"]
    assert len(curves["candidate"]) == len(curves["hold"]) == len(curves["days"]) + 1 and curves["champion"] is None
    assert curves["candidate"][-1] == pytest.approx(1.0 + report.measure.whole.metrics["roi"], abs=1e-6)
    assert "PASS" in gate_page(document) and 'class="curves"' in gate_page(document)


@pytest.mark.slow
def test_junit(report: GateReport, tmp_path: Path) -> None:
    path = tmp_path / "gate.xml"
    write_junit(report, path)
    suites = ElementTree.parse(path).getroot()
    assert suites.attrib["tests"] == str(len(report.floors) + len(report.checks))
    assert suites.attrib["failures"] == "0"
    broken = dataclasses.replace(report.floors[0], passed=False, reason="missed by 1")
    write_junit(dataclasses.replace(report, floors=(broken, *report.floors[1:])), path)
    failures = ElementTree.parse(path).getroot().findall("./testsuite/testcase/failure")
    assert [f.attrib["message"] for f in failures] == [broken.line]


def test_breached_floor_refuses_before_the_costly_part(workspace: Workspace, candidate: Candidate) -> None:
    ladder = Ladder()
    text = (workspace.promote / "floors.toml").read_text()
    try:
        (workspace.promote / "floors.toml").write_text(text.replace("limit = 5\n", "limit = 5000\n"))
        found = evaluate(workspace, candidate, tier2=False, climb=ladder)
        with pytest.raises(Refused) as refused:
            promote(workspace, candidate, reason="try", weaker_policy=True, climb=ladder)
    finally:
        (workspace.promote / "floors.toml").write_text(text)
    assert found.verdict == "REFUSED" and ladder.asked == []
    assert set(found.evidence["not_run"].values()) == {"not run because floors were breached or no edge was found"}
    assert len(found.evidence["not_run"]) == 2
    assert [c.name for c in found.checks] == [
        *("data", "trial registry", "cost of trading", "rules", "edge", "gate unchanged in memory"),
    ]
    assert found.answers["floors"]["answer"] == "no" and found.answers["edge"]["answer"] == "yes"
    trades = found.floors[3].value
    assert f"trades, 10 days: trades is {trades:g}, must be >= 5000" in found.refusal()
    assert refused.value.exit_code == 1
    assert f"trades is {trades:g}, must be >= 5000" in str(refused.value)
    assert not (workspace.promote / "blue.json").exists()


@pytest.mark.slow
def test_broken_or_absent_rung_refuses(workspace: Workspace, candidate: Candidate, monkeypatch) -> None:
    monkeypatch.setattr("dolphin.gate.evaluation.fresh", lambda job, seed: {})
    found = evaluate(workspace, candidate, tier2=False, climb=Ladder(broken=1, absent=2))
    names = ["gate unchanged in memory", "determinism", "parity rung 1: n1", "parity rung 2"]
    assert [f.name for f in found.failures] == names  # the first tells that this test changed the gate
    assert "PYTHONHASHSEED=0" in found.failures[1].detail
    assert found.failures[3].detail == "the ladder did not climb it"
    told = evaluate(workspace, candidate, tier2=False, climb=Ladder(absent=2, reason="it knows no limit orders"))
    assert told.failures[-1].detail == "not available: it knows no limit orders"


def test_too_short_a_window_fails_with_the_reason(workspace: Workspace, config_file: Path) -> None:
    short = find_candidate(workspace, str(config_file), dataset="edge", start="2025-01-04", stop="2025-01-05T12:00")
    found = evaluate(workspace, short, tier2=True, climb=Ladder())
    reasons = {f.name: f.reason for f in found.floors}
    assert reasons["profit factor, 10 days"] == "needs 2 days of bars, the gate window has 1.5"
    assert reasons["ROI, any 10 days"] == "needs 2 days of bars, the gate window has 1.5"
    assert reasons["target: ROI, 55 days"] == "needs 5 days of bars, the gate window has 1.5"
    assert found.as_dict()["floors"][0]["value"] == "nan"


@pytest.mark.slow
def test_no_trades_fails_every_floor(workspace: Workspace, candidate: Candidate) -> None:
    quiet = dataclasses.replace(
        candidate, config=candidate.config.with_values({"short_threshold": -9.0, "short_extreme": -9.5})
    )
    found = evaluate(workspace, quiet, tier2=True, climb=Ladder())
    assert {f.reason for f in found.floors} == {"no trades in the window"}
    assert not any(f.passed for f in found.floors)


def test_long_side_has_floors_of_its_own(workspace: Workspace, candidate: Candidate) -> None:
    both = dataclasses.replace(candidate, config=candidate.config.with_values({"direction": "bidirectional"}))
    found = evaluate(workspace, both, tier2=False, climb=Ladder())
    green = [f for f in found.floors if f.name.startswith("long side")]
    assert len(green) == 5 and all("(6 days)" in f.window for f in green)
    assert [f.metric for f in green] == ["profit_factor", "win_rate", "roi", "max_drawdown", "trades"]


def test_windows_lie_at_the_end_and_repeat_by_hand(candidate: Candidate) -> None:
    measure = measure_of(candidate)
    bars = 2 * DAY // MINUTE
    found = measure.over(Window("pinned", 2))
    assert (found.start, found.stop) == (candidate.stop - bars, candidate.stop)
    again = run(candidate.dataset, measure.market, measure.config, found.start, found.stop)
    assert repr(again.metrics) == repr(found.metrics)  # nan is nan
    fixed = measure.over(Window("pinned", start="2025-01-02", stop="2025-01-03"))
    assert fixed.stop - fixed.start == DAY // MINUTE and "2025-01-02T00:00:00Z" in fixed.text
    outside = measure.over(Window("pinned", start="2025-01-02", stop="2025-02-03"))
    assert outside.metrics == {} or outside.stop == candidate.stop
    later = measure.over(Window("pinned", start="2026-01-02", stop="2026-02-03"))
    assert later.metrics == {} and "not inside the gate window" in later.problem


def test_rolling_window_is_the_worst_of_all(candidate: Candidate) -> None:
    measure = measure_of(candidate)
    equity, bars = [25_000.0, *measure.whole.recording.equity], 2 * DAY // MINUTE
    worst = min(equity[k + bars] / equity[k] - 1.0 for k in range(len(equity) - bars))  # by bar, not by day
    assert measure.over(Window("rolling", 2, rolling=True)).metrics["roi"] == worst


@pytest.mark.slow
def test_rolling_floor_is_soft_only_for_a_champion_that_breaches_it(
    workspace: Workspace, candidate: Candidate, champion: Champion
) -> None:
    text = (workspace.promote / "floors.toml").read_text()
    own = measure_of(candidate).over(Window("rolling", 2, rolling=True)).metrics["roi"]
    try:
        # The other floor is one that nobody meets: what follows the floors is not run.
        harder = text.replace("limit = -0.5\nor_", "limit = 0.9\nor_").replace("limit = 5\n", "limit = 5000\n")
        (workspace.promote / "floors.toml").write_text(harder)
        found = evaluate(workspace, Candidate.from_pointer(workspace), tier2=False)
    finally:
        (workspace.promote / "floors.toml").write_text(text)
    rolling = found.floors[2]
    assert rolling.passed and rolling.limit == own == rolling.value and own < 0.9
    assert "champion's own worst" in rolling.reason


@pytest.mark.slow
def test_champion_holds_the_evidence(workspace: Workspace, candidate: Candidate, champion: Champion) -> None:
    assert {p.name for p in champion.folder.iterdir()} == {
        *("config.json", "config.toml", "digests.parquet", "files.json", "floors.toml", "gate.html"),
        *("gate.json", "metrics.json", "parity.json", "provenance.json", "run.json", "strategy.py"),
        *("policy.toml", "trials.parquet"),
    }
    assert read_config(champion.folder / "config.toml").hash == candidate.config.hash
    whole = measure_of(candidate).whole
    digests = pl.read_parquet(champion.folder / "digests.parquet")
    assert digests["digest"].to_numpy().tolist() == whole.recording.digests.tolist()
    assert champion.document("run.json")["final_digest"] == whole.final_digest
    assert "timings" not in champion.document("run.json")
    provenance = champion.document("provenance.json")
    assert provenance["data"]["digest"] == candidate.dataset.digest and provenance["data"]["synthetic"]
    assert provenance["engine_digest"] == whole.engine.digest and provenance["who"] == "ada"
    assert provenance["installed"]["numba"] and provenance["platform"]["python"]
    assert champion.document("gate.json")["verdict"] == "PASS"
    assert champion.document("metrics.json")["whole"]["trades"] == whole.metrics["trades"]
    assert runtime_problems(workspace, champion) == []


@pytest.mark.slow
def test_weaker_rules_are_named_first_and_need_a_word(
    workspace: Workspace, candidate: Candidate, report: GateReport
) -> None:
    assert "policy.toml: total is 1, the shipped policy has 0.05" in report.weaker
    assert (
        "floors.toml: 'Sharpe (365), 55 days' (tier1) asks for > -100 over 5 days, shipped is > 1.5 over 55 days"
        in (report.weaker)
    )
    page = gate_page(report.as_dict())
    assert page.index("weaker rules than the shipped ones") < page.index("Is there an edge?") < page.index("Floors")
    with pytest.raises(DolphinError, match=r"weaker than the shipped rules: policy\.toml: total") as caught:
        promote(workspace, candidate, reason="try", climb=Ladder())
    assert "--weaker-policy" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.slow
def test_show_and_verify(workspace: Workspace, champion: Champion) -> None:
    shown = show(workspace)
    assert shown["pointers"]["blue"]["champion"] == champion.hash
    assert shown["pointers"]["green"] is None and shown["problems"] == []
    assert shown["audit"][-1]["reason"] == "it passed"
    assert shown["pointers"]["blue"]["synthetic"] is True
    found = verify(workspace, rerun=True, climb=Ladder())
    assert found["passed"] and found["reruns"]["blue"]["verdict"] == "PASS"


@pytest.mark.slow
def test_full_verification_gathers_the_evidence_again(workspace: Workspace, champion: Champion) -> None:
    found = verify(workspace, full=True, climb=Ladder())
    about = found["evidence"]["blue"]
    assert found["passed"] and about["repeated"] and about["now"] == about["then"]
    holdouts = workspace.experiments / "holdouts.jsonl"
    lines = holdouts.read_bytes()
    holdouts.unlink()
    try:
        alone = verify(workspace, full=True, climb=Ladder())["evidence"]["blue"]
        assert not alone["repeated"] and "import the registry" in alone["why"] and not holdouts.exists()
    finally:
        holdouts.write_bytes(lines)
    gate = champion.folder / "gate.json"
    frozen = json.loads(gate.read_text())
    frozen["evidence"]["edge"]["holdout"]["value"] += 1e-9
    listed = gate.read_bytes()
    assert repeat_evidence(workspace, "blue")["problems"] == []
    gate.chmod(0o644)
    gate.write_text(json.dumps(frozen))
    try:
        with pytest.raises(DolphinError, match="changed since it was frozen"):
            repeat_evidence(workspace, "blue")
    finally:
        gate.write_bytes(listed)
        gate.chmod(0o444)


@pytest.mark.slow
def test_blue_is_compared_bit_for_bit(workspace: Workspace, champion: Champion) -> None:
    blue = Candidate.from_pointer(workspace)
    changed = blue.digests.copy()
    changed[100:] ^= 1
    found = evaluate(workspace, dataclasses.replace(blue, digests=changed), tier2=False)
    (failure,) = found.failures
    assert failure.name == "same as the champion" and "differ from bar 100 (2025-01-01T01:40:00Z)" in failure.detail
    other = dict(blue.recorded) | {"engine_digest": "0" * 64}
    same = _reproduced(dataclasses.replace(blue, recorded=other), found.measure.whole)
    assert same.passed and "engine sources differ" in same.detail


@pytest.mark.slow
def test_worse_than_champion_is_refused(workspace: Workspace, candidate: Candidate, champion: Champion) -> None:
    theirs = measure_of(candidate).over(Window("55d", 5)).metrics["roi"]
    for hold in (2, 5, 10, 300, 600):
        changes = {"max_hold_bars": hold}
        mine = measure_of(candidate, **changes).over(Window("55d", 5)).metrics["roi"]
        if mine < theirs - 0.02:
            break
    else:
        pytest.fail("no worse candidate found on this market")
    worse = dataclasses.replace(candidate, config=candidate.config.with_values(changes))
    with pytest.raises(Refused, match="champion: ROI, 55 days: roi is ") as refused:
        promote(workspace, worse, reason="hope", weaker_policy=True, climb=Ladder())
    assert f"{100 * (theirs - 0.02):.6g} %" in str(refused.value)
    assert show(workspace)["pointers"]["blue"]["champion"] == champion.hash


@pytest.mark.slow
def test_run_folder_candidate(workspace: Workspace, candidate: Candidate, tmp_path: Path) -> None:
    measure = measure_of(candidate)
    done = run(candidate.dataset, measure.market, measure.config, 700, candidate.stop)
    folder = write_run(done, feature_columns(candidate.dataset)["regime"], tmp_path / "r")
    found = find_candidate(workspace, str(folder))
    assert (found.start, found.stop, found.config.hash) == (700, candidate.stop, candidate.config.hash)
    checks = {c.name: c for c in evaluate(workspace, found, tier2=False, parity=False).checks}
    assert checks["same as the run folder"].passed
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {"roi": 9.0}))
    write_manifest(folder)
    found = find_candidate(workspace, str(folder))
    checks = {c.name: c for c in evaluate(workspace, found, tier2=False, parity=False).checks}
    assert "metrics on record differ" in checks["same as the run folder"].detail
    config = json.loads((folder / "config.json").read_text())
    config["config"]["params"]["tp_pct"] = 0.5
    (folder / "config.json").write_text(json.dumps(config))
    write_manifest(folder)
    with pytest.raises(DolphinError, match="its hash is not that of its config"):
        find_candidate(workspace, str(folder))


def test_another_version_of_the_data_cannot_be_judged(
    workspace: Workspace, candidate: Candidate, tmp_path: Path
) -> None:
    measure = measure_of(candidate)
    folder = write_run(measure.whole, feature_columns(candidate.dataset)["regime"], tmp_path / "r")
    about = json.loads((folder / "run.json").read_text())
    about["dataset"]["digest"] = "0" * 64
    (folder / "run.json").write_text(json.dumps(about))
    write_manifest(folder)
    with pytest.raises(DolphinError, match="is of dataset 'edge' 0000000000000000") as caught:
        find_candidate(workspace, str(folder))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "no such candidate"),
        ("promote", "holds no run.json"),
        ("candidate.toml", "needs a dataset"),
    ],
)
def test_unknown_candidates(workspace: Workspace, text: str, message: str) -> None:
    with pytest.raises(DolphinError, match=message):
        find_candidate(workspace, str(workspace.root / text))


def test_p60_is_resolved_on_the_gate_window(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "p60.toml"
    file.write_text('[params]\nvol_p60 = "p60"\n')
    found = evaluate(workspace, find_candidate(workspace, str(file), dataset="edge"), tier2=False, parity=False)
    assert found.candidate["quantiles_of_the_gate_window"] == {"vol_p60": 60.0}
    assert found.measure.config.params.vol_p60 > 0 and not found.measure.config.of_window


def test_config_toml_reads_back_to_the_same_hash() -> None:
    table = {
        "params": {"vol_p60": 1e-07, "acb_day_reset": True, "tp_pct": 0.1 + 0.2},
        "account": {"initial_capital": 1e15},
    }
    config = parse_config(table, where="test")

    assert parse_config(tomllib.loads(to_toml(config.document())), where="test").hash == config.hash


@pytest.mark.slow
def test_rollback_of_a_promotion(workspace: Workspace, candidate: Candidate, champion: Champion) -> None:
    second = promote(workspace, candidate, reason="the same again", weaker_policy=True, climb=Ladder())
    assert second.hash != champion.hash
    assert rollback(workspace, "no need").hash == champion.hash
    assert verify(workspace)["passed"]
    assert [line["action"] for line in show(workspace)["audit"]] == ["promote", "promote", "rollback"]


@pytest.mark.slow
def test_the_real_ladder_is_the_default(workspace: Workspace, candidate: Candidate) -> None:
    found = evaluate(workspace, candidate, tier2=False)
    rungs = [c for c in found.checks if c.name.startswith("parity rung")]
    assert {c.name.split()[2].rstrip(":") for c in rungs} == {"0", "1", "2"}
    assert found.verdict == "PASS" and found.evidence["parity"]["passed"]
    assert "seconds" not in json.dumps(found.as_dict())
