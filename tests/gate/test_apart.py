"""The judge imports nothing of the workspace: what a strategy's module does to its own process changes no verdict."""

from __future__ import annotations

import copy
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import sneaky_for_tests as sneaky
from test_gate import Ladder

from dolphin.errors import DolphinError
from dolphin.gate import Candidate, GateReport, evaluate, find_candidate, open_champion, promote
from dolphin.gate.apart import _ask, _ran, judge_apart, promote_apart, verify_apart
from dolphin.gate.evaluation import _measure
from dolphin.gate.policy import DEFAULT as POLICY
from dolphin.gate.recount import leave, recounted
from dolphin.gate.repetition import held_against
from dolphin.gate.row_by_row import NAME as ROWS
from dolphin.gate.second_look import NAME, second_look
from dolphin.gate.watch import NAME as WATCHED
from dolphin.workspace import Workspace

#: A module that makes the gate of its own process say yes, and the checks of that process, too.
PATCHES = """
from dolphin.gate import evaluation, floors, judging, recount, report, unpatched, watch

def yes(name):
    return lambda *a, **k: report.Check(name, True, "all is well")

floors.judge = judging.judge = lambda *a, **k: (True, "")
unpatched.unpatched = evaluation.unpatched = yes("gate unchanged in memory")
evaluation.recounted = recount.recounted = yes(recount.NAME)
watch.Watch.check = yes(watch.NAME)
"""
#: One that patches, and leaves what watches it alone.
PATCHES_MATHS = "import numpy\nnumpy.mean = numpy.median\n"
#: One that reaches for memory, and swallows the answer.
REACHES = "import ctypes\ntry:\n    ctypes.string_at(id(0), 8)\nexcept BaseException:\n    pass\n"
#: One that writes the rules that it is judged by.
WRITES = "import pathlib\n(pathlib.Path(__file__).parents[1] / 'promote' / 'floors.toml').write_text('')\n"


@pytest.fixture(autouse=True)
def a_judges_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No research code is in it, whatever other tests have imported."""
    for name in [name for name in sys.modules if name.startswith("research_")]:
        monkeypatch.delitem(sys.modules, name)


def with_module(workspace: Workspace, tmp_path: Path, lines: str) -> tuple[Workspace, str]:
    """A copy of the workspace, and a config of a strategy whose module does this when it is imported."""
    home = Workspace(Path(shutil.copytree(workspace.root, tmp_path / "w")))
    home.research.mkdir(exist_ok=True)
    (home.research / "mine.py").write_text(Path(sneaky.__file__).read_text() + lines)
    (home.root / "mine.toml").write_text('strategy = "mine:SNEAKY"\n')
    return home, str(home.root / "mine.toml")


def judged(home: Workspace, config: str) -> GateReport:
    """The verdict of two processes, the parity ladder left out."""
    ask = _ask(home, config, "edge", None, None, tier2=True, parity=False, who=None)
    with _ran(home, ask, None) as (_, found):
        assert not any(name == "research_mine" for name in sys.modules)
        return found


@pytest.mark.slow
def test_a_module_that_makes_its_own_gate_say_yes(workspace: Workspace, tmp_path: Path) -> None:
    """The floors hold by what the process of the strategy says; by its fills they do not."""
    home, config = with_module(workspace, tmp_path, PATCHES)
    text = (home.promote / "floors.toml").read_text()
    (home.promote / "floors.toml").write_text(text.replace("limit = -100.0", "limit = 90.0"))
    found = judged(home, config)
    assert [check.passed for check in found.checks].count(False) == 1 and all(floor.passed for floor in found.floors)
    assert not found.passed and found.reasons[0] == found.checks[-1].line
    assert found.checks[-1].line.startswith("judged again without the strategy's code: floor")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "said"), [(PATCHES_MATHS, "is another since code of the workspace was imported"),
                        (REACHES, "mine.py:85 calls for 'ctypes.string_at'")],
)  # fmt: skip
def test_what_a_module_does_to_its_process_is_seen(workspace: Workspace, tmp_path: Path, lines: str, said: str) -> None:
    found = judged(*with_module(workspace, tmp_path, lines))
    (check,) = [check for check in found.checks if check.name == WATCHED]
    assert not check.passed and said in check.detail and not found.passed


@pytest.mark.slow
def test_a_module_that_writes_the_rules(workspace: Workspace, tmp_path: Path) -> None:
    home, config = with_module(workspace, tmp_path, WRITES)
    rules = (home.promote / "floors.toml").read_bytes()
    with pytest.raises(DolphinError, match="calls for 'open', which no strategy needs"):
        judged(home, config)
    assert (home.promote / "floors.toml").read_bytes() == rules


@pytest.mark.slow
def test_two_processes_say_what_one_says(workspace: Workspace, candidate: Candidate, config_file: Path) -> None:
    found = judged(workspace, str(config_file))
    assert found.passed, found.refusal()
    both, alone = found.as_dict(), evaluate(workspace, candidate, tier2=True, parity=False).as_dict()
    checks = [check for check in alone["checks"] if "in memory" not in check["name"]]
    assert [check for check in both["checks"][:-2] if "in memory" not in check["name"]] == checks
    assert both["floors"] == alone["floors"] and both["evidence"]["edge"] == alone["evidence"]["edge"]
    with pytest.raises(DolphinError, match="a config file needs a dataset"):
        judge_apart(workspace, str(config_file))


def test_weaker_rules_are_refused_before_anything_is_run(
    workspace: Workspace, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dolphin.gate.apart._ran", lambda *_: pytest.fail("nothing is to be run"))
    with pytest.raises(DolphinError, match="weaker than the shipped rules") as caught:
        promote_apart(workspace, str(config_file), dataset="edge", reason="they hold")
    assert "--weaker-policy" in str(caught.value)


@pytest.mark.slow
def test_a_notebook_that_has_imported_research_code_judges_too(
    workspace: Workspace, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "research_of_a_notebook", types.ModuleType("research_of_a_notebook"))
    found = judged(workspace, str(config_file))
    assert found.passed, found.refusal()
    assert found.checks[-1].name == NAME and found.checks[-1].passed


@pytest.fixture(scope="module")
def left(workspace: Workspace, candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a runner leaves of a candidate that passes: the folder, what was asked, what was found."""
    folder = tmp_path_factory.mktemp("left")
    report = evaluate(workspace, candidate, tier2=True, parity=False)
    assert report.passed, report.refusal()
    leave(report.measure, folder)
    found = {"report": report.as_dict(), "config": report.measure.config.document()}
    ask = {"candidate": str(workspace.root / "candidate.toml"), "dataset": "edge", "start": None, "stop": None}
    return folder, ask | {"tier2": True, "parity": False}, found


@pytest.mark.slow
def test_what_follows_from_the_fills_is_believed(workspace: Workspace, left: Any) -> None:
    check = second_look(workspace, *left)
    assert check.passed, check.detail


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["report"]["floors"].pop(0), "was not judged"),
        (lambda r: r["report"]["floors"][0].update(limit=0.01), "was judged at 0.01"),
        (lambda r: r["report"]["floors"][0].update(value=99.0), "was told as 99"),
        (lambda r: r["report"]["floors"][-1].update(value=99.0), "was told as 99"),
        (lambda r: r["report"]["checks"].pop(), "was not made"),
        (lambda r: r["report"]["checks"][0].update(passed=False), "the check 'data' was not made"),
        (lambda r: r["config"]["friction"].update(fee_bps=0.0), "other costs"),
        (lambda r: r["report"]["evidence"]["edge"].update(p=0.001), "p is "),
        (lambda r: r["report"]["evidence"]["edge"].update(alpha=2.0), "told were"),
        (lambda r: r["report"]["evidence"]["edge"]["holdout"].update(p=0.001), "was told as 0.001"),
        (lambda r: r["report"]["evidence"]["edge"]["holdout"].update(under_shifts=[0.0] * 5), "by its 5 scores"),
        (lambda r: r["report"]["evidence"].pop("edge"), "cannot be read"),
        (lambda r: r["report"]["evidence"]["holdout"].update(opening="0" * 64), "is not on the chain"),
    ],
)
def test_what_does_not_is_not(workspace: Workspace, left: Any, change: Any, said: str) -> None:
    folder, ask, found = left
    told = copy.deepcopy(found)
    change(told)
    check = second_look(workspace, folder, ask, told)
    assert not check.passed and said in check.detail, check.detail


@pytest.mark.slow
def test_another_window_or_no_edge_is_not_believed(workspace: Workspace, left: Any) -> None:
    folder, ask, found = left
    check = second_look(workspace, folder, ask | {"start": "2025-01-02"}, found)
    assert not check.passed and "were to be judged" in check.detail
    kept = (workspace.promote / "policy.toml").read_bytes()
    try:
        (workspace.promote / "policy.toml").write_bytes(POLICY.read_bytes())
        assert not second_look(workspace, folder, ask, found).passed, "by the shipped policy there is no edge"
    finally:
        (workspace.promote / "policy.toml").write_bytes(kept)


def test_modules_of_the_folder_that_it_is_started_in_are_not_imported(
    candidate: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("polars", "numpy", "json", "dolphin"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not the one that was meant')\n")
    monkeypatch.chdir(tmp_path)
    check = recounted(_measured(candidate))
    assert check.passed, check.detail


def _measured(candidate: Candidate) -> Any:
    measure = _measure(candidate, candidate.config, None)
    assert measure.whole.metrics["trades"] > 0
    return measure


@pytest.mark.slow
def test_champions_are_verified_by_two_processes(workspace: Workspace, tmp_path: Path) -> None:
    home = Workspace(Path(shutil.copytree(workspace.root, tmp_path / "w")))
    candidate = find_candidate(home, str(home.root / "candidate.toml"), dataset="edge")
    promote(home, candidate, reason="it passed", weaker_policy=True, climb=Ladder())
    told: list[str] = []
    found = verify_apart(home, full=True, progress=lambda done, total, text: told.append(text))
    assert found["passed"], found["problems"]
    report, about = found["reruns"]["blue"], found["evidence"]["blue"]
    names = [check["name"] for check in report["checks"]]
    assert {WATCHED, NAME, ROWS} <= {*names} and "gate: decided row by row" in told
    assert about["repeated"] and about["now"] == about["then"]
    edge = copy.deepcopy(open_champion(home, "blue").document("gate.json")["evidence"]["edge"])
    edge["holdout"]["value"] += 1.0
    edge["holdout"]["p"] /= 2.0
    again = held_against(open_champion(home, "blue"), "blue", {"why": "", "edge": edge, "refusals": []})
    assert "blue: evidence of the holdout: 'value' is not as frozen" in again["problems"]
    assert any("was told as" in line for line in again["problems"])
