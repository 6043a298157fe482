"""``dolphin compare``, ``dolphin trials export | import | merge`` and the names of champions, as a user runs them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Answer

from dolphin.study.trials.registry import Registry, trial_frame
from dolphin.workspace import Workspace

Call = Callable[..., Answer]


def test_two_runs_are_compared(home: Path, call: Call, tmp_path: Path) -> None:
    made = call(
        home, "backtest", "m", "--config", home / "config.toml", "--set", "tp_pct=0.004", "--journal",
        "--out", home / "runs" / "other",
    )  # fmt: skip
    assert made.code == 0, made.err
    page = tmp_path / "compare.html"
    found = call(home, "compare", home / "runs" / "other", home / "runs" / "run", "--html", page, "--json")
    assert found.code == 0, found.err
    assert (found.json["verdict"], found.json["synthetic"]) == ("not yet", True)
    assert [row["sharpe"] for row in found.json["days_needed"]] == [1.0, 2.0, 4.0]
    assert "against" in page.read_text() and "SYNTHETIC" in page.read_text()
    journal = call(home, "compare", home / "runs" / "other" / "journal.arrow", home / "runs" / "run", "--json")
    same = ("days", "days_of_scale", "for_green", "for_blue", "path")
    assert {key: journal.json[key] for key in same} == {key: found.json[key] for key in same}
    said = call(home, "compare", home / "runs" / "other", home / "runs" / "run")
    assert said.code == 0 and said.out.startswith("not yet")


@pytest.mark.parametrize(
    ("words", "say"),
    [
        (["runs/nowhere", "runs/run"], "no such side"),
        (["green", "runs/run"], "no green champion"),
        (["runs", "runs/run"], "holds no journal"),
        (["runs/run", "runs/run", "--since", "yesterday"], "yesterday"),
        (["runs/run", "runs/run", "--html", "runs"], "is a folder"),
    ],
)
def test_what_cannot_be_compared(pristine: Path, call: Call, words: list[str], say: str) -> None:
    given = [str(pristine / word) if word.startswith("runs") else word for word in words]
    answer = call(pristine, "compare", *given)
    assert answer.code == 2 and say in answer.err and answer.err.count("\n") == 1


def test_a_registry_goes_to_another_workspace(home: Path, call: Call, tmp_path: Path) -> None:
    other, file = tmp_path / "other", tmp_path / "all.zip"
    assert call(other, "init", other).code == 0
    Registry(Workspace(other)).append(trial_frame([{"study": "s", "state": "done", "config_hash": "c"}]))
    assert call(home, "trials", "export", file, "--json").json["trials"] == 1
    assert call(other, "trials", "import", file, "--json").json["trials_added"] == 1
    assert call(other, "trials", "import", file, "--json").json["trials_added"] == 0
    assert call(other, "trials", "merge", home, "--json").json["trials_added"] == 0
    assert call(other, "trials", "verify", "--sample", "0").code == 0
    (origin,) = (other / "experiments" / "registry" / "origins").glob("*.jsonl")
    origin.write_bytes(origin.read_bytes().replace(b"000001", b"000002"))
    broken = call(other, "trials", "verify", "--sample", "0")
    assert broken.code == 1 and "line 1 of the chain" in broken.out
    shutil.rmtree(origin.parent)
    for words, say in (
        (["export"], "needs one more argument"),
        (["import", tmp_path / "none.zip"], "no such file"),
        (["import", home / "config.toml"], "is no exported registry"),
        (["merge", tmp_path], "is no workspace"),
        (["merge", other], "this workspace itself"),
    ):
        answer = call(other, "trials", *words)
        assert answer.code == 2 and say in answer.err and answer.err.count("\n") == 1


def test_names_of_champions_that_are_none(pristine: Path, call: Call) -> None:
    for words, say in (
        (["diff", "blue", "green"], "no blue champion"),
        (["diff", "spring", "blue"], "no such champion"),
        (["tag", "spring", "abcd", "--reason", "x"], "no such champion"),
        (["history", "red"], "unknown pointer"),
        (["rollback", "--to", "spring", "--reason", "x"], "no such champion"),
    ):
        answer = call(pristine, "promote", *words)
        assert answer.code == 2 and say in answer.err, answer.err
    assert call(pristine, "promote", "history", "--json").json == {"history": []}
