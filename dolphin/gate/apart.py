"""Judging and promoting in a process that never imports code of the workspace.

The strategy runs in a process of its own (:mod:`dolphin.gate.runner`), and what it reports is judged again here
(:mod:`dolphin.gate.second_look`) before anything is said to pass, and before a pointer moves.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dolphin import errors
from dolphin.errors import DolphinError, Refused
from dolphin.files import read_json
from dolphin.gate.champions import Champion, install, moving, open_champion
from dolphin.gate.promotion import refuse, refuse_weaker, verify
from dolphin.gate.report import Check, FloorResult, GateReport, plain
from dolphin.gate.runner import SAID
from dolphin.ledger import who_am_i
from dolphin.parity.fresh_process import own_environment
from dolphin.progress import Progress
from dolphin.workspace import Workspace


def judge_apart(
    workspace: Workspace,
    candidate: str,
    *,
    dataset: str | None = None,
    start: str | None = None,
    stop: str | None = None,
    progress: Progress | None = None,
) -> GateReport:
    """The verdict on what a command's argument means (see :func:`dolphin.gate.candidate.find_candidate`)."""
    ask = _ask(workspace, candidate, dataset, start, stop, tier2=False, parity=None, who=None)
    with _ran(workspace, ask, progress) as (_, report):
        return report


def verify_apart(
    workspace: Workspace, *, rerun: bool = False, full: bool = False, signers: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """:func:`dolphin.gate.promotion.verify`, each champion run again in a process of its own and judged in this one."""

    def again(pointer: str) -> tuple[GateReport, dict[str, Any] | None]:
        ask = _ask(workspace, pointer, None, None, None, tier2=False, parity=True, who=None, repeat=full)
        with _ran(workspace, ask, progress) as (folder, report):
            found = read_json(folder / "found.json").get("repeated")
        if found is None:
            return report, None
        from dolphin.gate.repetition import held_against

        return report, held_against(open_champion(workspace, pointer), pointer, found)

    return verify(workspace, rerun=rerun, full=full, signers=signers, again=again)


def promote_apart(
    workspace: Workspace,
    candidate: str,
    *,
    dataset: str | None = None,
    start: str | None = None,
    stop: str | None = None,
    pointer: str = "blue",
    reason: str,
    who: str | None = None,
    weaker_policy: bool = False,
    progress: Progress | None = None,
) -> Champion:
    """Judge, freeze and move the pointer, as :func:`dolphin.gate.promotion.promote` does."""
    with moving(workspace, pointer, reason) as (_, present):
        pass  # what cannot move is said before the gate runs, not after
    refuse_weaker(workspace, weaker_policy)
    who = who or who_am_i()
    ask = _ask(workspace, candidate, dataset, start, stop, tier2=pointer == "blue", parity=True, who=who)
    with _ran(workspace, ask, progress) as (folder, report):
        if not report.passed:
            refuse(report, str(report.candidate["name"]))
        left = folder / "champion"
        contents = {str(p.relative_to(left)): p.read_bytes() for p in sorted(left.rglob("*")) if p.is_file()}
        contents |= _verdict(report, contents)
    return install(workspace, contents, pointer=pointer, reason=reason, who=who, over=present[-1] if present else "")


def _ask(
    workspace: Workspace, candidate: str, dataset: str | None, start: str | None, stop: str | None, **more: Any
) -> dict[str, Any]:
    path = Path(candidate)
    named = str(path.resolve()) if path.exists() else candidate
    about = {"root": str(workspace.root), "candidate": named, "dataset": dataset, "start": start, "stop": stop}
    return about | {"repeat": False} | more


@contextmanager
def _ran(workspace: Workspace, ask: dict[str, Any], progress: Progress | None) -> Iterator[tuple[Path, GateReport]]:
    """Run what is asked for in a process of its own; what it left, and the report with the second look."""
    with tempfile.TemporaryDirectory(prefix="dolphin-gate-") as name:
        folder = Path(name)
        (folder / "ask.json").write_text(json.dumps(ask))
        command = [sys.executable, "-P", "-m", "dolphin.gate.runner", name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own_environment()) as running:
            try:
                assert running.stdout is not None
                for line in running.stdout:
                    if progress is not None:
                        done, total, text = json.loads(line)
                        progress(int(done), int(total), str(text))
            except BaseException:
                running.terminate()
                raise
        if running.returncode == SAID:
            raise _said(read_json(folder / "error.json"))
        if running.returncode:
            how = f"exit code {running.returncode}" if running.returncode > 0 else f"signal {-running.returncode}"
            raise DolphinError(f"the process that runs the strategy ended with {how}", mend="run 'dolphin doctor'")
        yield folder, _report(workspace, folder, ask, read_json(folder / "found.json"), progress)


def _report(
    workspace: Workspace, folder: Path, ask: dict[str, Any], found: dict[str, Any], progress: Progress | None
) -> GateReport:
    document = found["report"]
    floors = tuple(FloorResult(**{**row, "limit": float(row["limit"]), "value": float(row["value"])})
                   for row in document["floors"])  # fmt: skip
    checks: list[Check] = [*(Check(**row) for row in document["checks"]), Check(**found["watch"])]
    if all(floor.passed for floor in floors) and all(check.passed for check in checks):
        # What is refused is refused; only a pass has to be believed.
        checks += _looked_at_again(workspace, folder, ask, found, progress)
    reasons = [check.line for check in checks[len(document["checks"]) :] if not check.passed] + document["reasons"]
    return GateReport(
        candidate=document["candidate"], floors=floors, checks=tuple(checks), evidence=document["evidence"],
        created=document["created"], answers=document["answers"], reasons=tuple(reasons),
        weaker=tuple(document["weaker"]),
    )  # fmt: skip


def _looked_at_again(
    workspace: Workspace, folder: Path, ask: dict[str, Any], found: dict[str, Any], progress: Progress | None
) -> list[Check]:
    """The second look; a notebook that has imported research code takes a process without any."""
    if not any(name.startswith("research_") for name in sys.modules):
        from dolphin.gate.second_look import look_again

        return look_again(workspace, folder, ask, found, progress)
    command = [sys.executable, "-P", "-m", "dolphin.gate.second_look", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=own_environment())
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise DolphinError(f"the process that judges again failed: {last}", mend="run 'dolphin doctor'")
    return [Check(**row) for row in json.loads(done.stdout)]


def _verdict(report: GateReport, contents: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a champion that hold the verdict, with the second look in it."""
    from dolphin.report import gate_page

    document = report.as_dict()
    parity = json.loads(contents["parity.json"]) | {"checks": document["checks"]}
    texts = {"gate.json": document, "parity.json": parity}
    found = {
        name: (json.dumps(plain(value), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
        for name, value in texts.items()
    }
    return found | {"gate.html": gate_page(document).encode()}


def _said(error: dict[str, Any]) -> DolphinError:
    """The error of the other process, as it was."""
    if error["kind"] == "Refused":
        return Refused(error["what"], where=error["where"], details=error["details"])
    kind = getattr(errors, str(error["kind"]), DolphinError)
    known = isinstance(kind, type) and issubclass(kind, DolphinError)
    found: DolphinError = (kind if known else DolphinError)(error["what"], where=error["where"], mend=error["mend"])
    return found
