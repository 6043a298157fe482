"""``dolphin feeds`` and ``dolphin risk override`` as people call them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_line import Answer
from command_line import dolphin as command

from dolphin.workspace import create

NOWHERE = "\n".join(
    ["timeout = 1.0", "attempts = 1"]
    + [
        f'[sources.{name}]\nbase = "http://127.0.0.1:9"'
        for name in ("binance", "deribit", "bybit", "fred", "alternative", "blockchain", "mempool", "llama")
    ]
    + ['[sources.binance_ws]\nbase = "ws://127.0.0.1:9"']
)


def dolphin(*words: str, code: int = 0) -> Answer:
    """A command in the test's workspace, and the exit code that it must have."""
    answer = command(Path(os.environ["DOLPHIN_HOME"]), *words)
    assert answer.code == code, answer.err
    return answer


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    create(tmp_path)
    (tmp_path / "feeds.toml").write_text(NOWHERE)
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path))
    return tmp_path


def test_without_any_source_it_runs_says_so_and_ends(home: Path) -> None:
    assert "nothing was ever recorded" in dolphin("feeds", "status", code=2).err
    found = json.loads(dolphin("feeds", "run", "--for", "1", "--json").out)
    assert found["status"] == "critical"
    texts = " ".join(alert["text"] for alert in found["alerts"])
    assert "no external factor is known" in texts and "no connection" in texts
    status = json.loads(dolphin("feeds", "status", "--json", code=1).out)
    assert status["running"] and status["only"] == ["exf", "books", "ticks"]
    assert json.loads(dolphin("feeds", "verify", "--json").out) == {"problems": []}
    assert json.loads(dolphin("feeds", "compact", "--json").out) == {"tables": []}
    assert "no snapshot has rows" in dolphin("feeds", "compact", "--date", "2026-01-01", code=2).err
    asked = json.loads(dolphin("feeds", "doctor", "--json", code=1).out)["findings"]
    assert len(asked) == 34 and not any(finding["ok"] for finding in asked)
    assert "did you mean 'ticks'" in dolphin("feeds", "run", "--only", "tick", code=2).err


def test_override(home: Path) -> None:
    assert "an override needs a reason" in dolphin("risk", "override", "--posture", "TURTLE", code=2).err
    dolphin("risk", "override", "--posture", "turtle", "--until", "30m", "--reason", "news at two")
    found = json.loads(dolphin("risk", "override", "--json").out)
    assert found["in_force"]["posture"] == "TURTLE" and len(found["lines"]) == 1
    past = dolphin("risk", "override", "--posture", "APEX", "--until", "2020-01-01", "--reason", "x", code=2)
    assert "end after now" in past.err
    dolphin("risk", "override", "--lift", "--reason", "over")
    assert "no override is in force" in dolphin("risk", "override").out
