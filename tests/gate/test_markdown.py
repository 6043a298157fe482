"""A verdict as Markdown, and the champion that this repository is held against."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from dolphin.gate import Check, FloorResult, GateReport, open_champion
from dolphin.gate.markdown import gate_markdown, write_markdown
from dolphin.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parents[2]


def report(*, passed: bool, weaker: tuple[str, ...] = ()) -> GateReport:
    candidate = {
        "name": "blue", "dataset": "m", "dataset_digest": "d" * 64, "synthetic": True, "engine_digest": "e" * 64,
        "config_hash": "c" * 64, "final_digest": "f" * 16,
        "window": {"from": "2025-01-01", "to": "2025-02-24", "days": 55.0, "bars": 79_200},
    }  # fmt: skip
    floor = FloorResult("win rate", "win_rate", "pinned: 10 days", ">=", 0.42, 0.5 if passed else 0.4, passed)
    answers = {"floors": {"question": "Is it good enough?", "answer": "yes", "line": "all | hold"}}
    checks = (Check("registry", True, "its chain\nholds"),)
    return GateReport(candidate, (floor,), checks, {}, "2025-01-01T00:00:00Z", answers, (), weaker)


def test_the_verdict_stands_first_and_cells_stay_cells(tmp_path: Path) -> None:
    words = gate_markdown(report(passed=True))
    assert words.startswith("# Gate: PASS (blue)") and "m dddddddddddddddd (SYNTHETIC)" in words
    assert "| win rate | 50 % | >= 42 % | ok |" in words and "| registry | its chain holds | ok |" in words
    assert "all \\| hold" in words and "Did not hold" not in words
    write_markdown(report(passed=True), tmp_path / "gate.md")
    assert (tmp_path / "gate.md").read_text() == words


def test_what_did_not_hold_and_weaker_rules_are_said() -> None:
    words = gate_markdown(report(passed=False, weaker=("floors.toml: less",)))
    assert "# Gate: REFUSED" in words and "- win rate: win_rate is 40 %, must be >= 42 %" in words
    assert "**BREACHED**" in words and "**Weaker than the shipped rules:** floors.toml: less" in words


def test_the_champion_of_this_repository_is_as_frozen_under_the_shipped_rules() -> None:
    champion = open_champion(Workspace(REPOSITORY))
    gate, market = champion.document("gate.json"), REPOSITORY / "promote" / "regression" / "market.toml"
    assert (gate["verdict"], gate["weaker"]) == ("PASS", [])
    assert champion.document("run.json")["dataset"]["name"] == tomllib.loads(market.read_text())["name"]
    for name in ("floors.toml", "policy.toml"):
        assert (champion.folder / name).read_bytes() == (REPOSITORY / "dolphin" / "gate" / name).read_bytes()
    (line,) = (REPOSITORY / "promote" / "audit.jsonl").read_text().splitlines()
    assert json.loads(line)["new"] == champion.hash
