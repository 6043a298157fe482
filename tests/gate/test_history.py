"""Champions by name: hash, tag, pointer; what a pointer has named; what two differ in; back to any of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dolphin.errors import DolphinError
from dolphin.gate import rollback, verify
from dolphin.gate.audit import read_audit
from dolphin.gate.champions import Champion, install, lineage, open_champion
from dolphin.gate.history import diff, find_champion, history, tag, tags
from dolphin.workspace import Workspace, create


def contents(n: int) -> dict[str, bytes]:
    documents: dict[str, Any] = {
        "config.json": {"config": {"params": {"tp_pct": n / 100}}, "hash": f"h{n}"},
        "run.json": {"dataset": {"name": "m", "digest": "d"}},
        "metrics.json": {"whole": {"sharpe_365": float(n), "roi": 0.1, "max_drawdown": 0.05}, "windows": []},
        "provenance.json": {"created": f"day {n}", "who": f"w{n}", "engine_digest": "e"},
    }
    return {name: json.dumps(document).encode() for name, document in documents.items()}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create(tmp_path / "workspace")


@pytest.fixture
def three(workspace: Workspace) -> list[Champion]:
    return [install(workspace, contents(n), pointer="blue", reason=f"number {n}", who="ada") for n in (1, 2, 3)]


def test_back_to_any_champion_and_forward_again(workspace: Workspace, three: list[Champion]) -> None:
    one, two, last = (champion.hash for champion in three)
    assert rollback(workspace, "far back", to=one).hash == one
    assert lineage(read_audit(workspace.promote / "audit.jsonl"), "blue") == [one]
    assert rollback(workspace, "forward", to=last).hash == last
    assert lineage(read_audit(workspace.promote / "audit.jsonl"), "blue") == [last]
    assert open_champion(workspace).hash == last and verify(workspace)["passed"]
    with pytest.raises(DolphinError, match="already"):
        rollback(workspace, "again", to=last)
    with pytest.raises(DolphinError, match="has never named"):
        rollback(workspace, "to nobody", to="0" * 64)
    green = install(workspace, contents(4), pointer="green", reason="other")
    with pytest.raises(DolphinError, match="blue has never named"):
        rollback(workspace, "not blue's", to=green.hash)
    assert two in {path.name for path in (workspace.promote / "champions").glob("*")}


def test_a_damaged_champion_is_not_gone_back_to(workspace: Workspace, three: list[Champion]) -> None:
    path = three[0].folder / "config.json"
    path.chmod(0o644)
    path.write_bytes(b"{}")
    with pytest.raises(DolphinError, match="changed since it was frozen"):
        rollback(workspace, "back", to=three[0].hash)
    assert open_champion(workspace).hash == three[2].hash


def test_tags_stand_in_the_audit_log(workspace: Workspace, three: list[Champion]) -> None:
    assert tag(workspace, "spring", three[0].hash[:12], reason="to keep").hash == three[0].hash
    tag(workspace, "best", "blue", reason="at hand", who="ada")
    assert tags(workspace) == {"spring": three[0].hash, "best": three[2].hash}
    assert find_champion(workspace, "spring").hash == three[0].hash
    tag(workspace, "best", "spring", reason="after all")
    assert find_champion(workspace, "best").hash == three[0].hash
    assert verify(workspace)["passed"] and open_champion(workspace).hash == three[2].hash
    assert rollback(workspace, "as before", to=find_champion(workspace, "best").hash).hash == three[0].hash


@pytest.mark.parametrize("name", ["blue", "abcd", "", "a b", "../x", "-x"])
def test_what_cannot_be_a_tag(workspace: Workspace, three: list[Champion], name: str) -> None:
    with pytest.raises(DolphinError, match="is no tag"):
        tag(workspace, name, "blue", reason="x")
    with pytest.raises(DolphinError, match="a reason is mandatory"):
        tag(workspace, "fine", "blue", reason=" ")


def test_history_says_who_why_and_what_it_achieved(workspace: Workspace, three: list[Champion]) -> None:
    tag(workspace, "spring", three[0].hash, reason="to keep")
    rollback(workspace, "worse live", to=three[1].hash)
    rows = history(workspace, "blue")
    assert [row["action"] for row in rows] == ["promote"] * 3 + ["rollback"]
    assert [row["sharpe_365"] for row in rows] == [1.0, 2.0, 3.0, 2.0]
    assert [row["present"] for row in rows] == [False, True, False, True]
    assert rows[0]["tags"] == ["spring"] and rows[3]["reason"] == "worse live"
    assert len(history(workspace)) == 5
    with pytest.raises(DolphinError, match="unknown pointer"):
        history(workspace, "red")


def test_what_two_champions_differ_in(workspace: Workspace, three: list[Champion]) -> None:
    found = diff(workspace, three[0].hash, "blue")
    assert {(row["key"], row["one"], row["two"]) for row in found["differences"]} == {
        ("config.params.tp_pct", 0.01, 0.03),
        ("hash", "h1", "h3"),
        ("whole.sharpe_365", 1.0, 3.0),
    }
    assert found["files"] == ["config.json", "metrics.json", "provenance.json"] and not found["same"]
    same = diff(workspace, "blue", three[2].hash[:8])
    assert (same["same"], same["differences"], same["files"]) == (True, [], [])
    with pytest.raises(DolphinError, match="no such champion"):
        diff(workspace, "blue", "ffffffff")
