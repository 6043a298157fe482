"""``dolphin promote``: freeze what passes the gate and move a pointer; roll back, show, verify."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from dolphin.errors import DolphinError, Refused
from dolphin.gate.champions import (
    POINTERS,
    Champion,
    champion_at,
    install,
    lineage,
    locked,
    moving,
    open_champion,
    pointer_path,
    recover,
    roll_back,
)
from dolphin.ledger import who_am_i
from dolphin.progress import Progress
from dolphin.workspace import Workspace

if TYPE_CHECKING:
    from dolphin.gate.report import GateReport

    #: From a pointer to the report on its champion, run again, and the evidence gathered again, if it was asked for.
    Again = Callable[[str], tuple[GateReport, dict[str, Any] | None]]


def promote(
    workspace: Workspace,
    candidate: Any,
    *,
    pointer: str = "blue",
    reason: str,
    who: str | None = None,
    weaker_policy: bool = False,
    progress: Progress | None = None,
    climb: Callable[..., Any] | None = None,
) -> Champion:
    """Run the gate and, only if all of it passes, freeze the candidate and move the pointer; all in this process.

    The command and :func:`dolphin.promote` do it in two (:func:`dolphin.gate.apart.promote_apart`).
    The promotion targets (tier 2) are for blue; a move of green needs tier 1 and the evidence.

    Parameters
    ----------
    weaker_policy : bool
        Go on although the workspace's policy or floors ask for less than the package's; the verdict says so.

    Raises
    ------
    Refused
        With every breached floor and failed check, its value and its limit.
    DolphinError
        Without a reason, or when the gate cannot run or the champion cannot be written.
    """
    from dolphin.gate.evaluation import evaluate
    from dolphin.gate.freeze import contents_of
    from dolphin.gate.unpatched import unpatched

    with moving(workspace, pointer, reason) as (_, present):
        pass  # what cannot move is said before the gate runs, not after
    refuse_weaker(workspace, weaker_policy)
    report = evaluate(workspace, candidate, tier2=pointer == "blue", parity=True, progress=progress, climb=climb)
    if not report.passed:
        refuse(report, candidate.name)
    who = who or who_am_i()
    contents = contents_of(workspace, candidate, report, who)
    whole = unpatched()
    if not whole.passed:
        raise Refused(f"not promoted: {whole.line}", where=candidate.name)
    return install(workspace, contents, pointer=pointer, reason=reason, who=who, over=present[-1] if present else "")


def refuse_weaker(workspace: Workspace, weaker_policy: bool) -> None:
    """Refuse rules that ask for less than the shipped ones, unless they are meant."""
    from dolphin.gate.floors import read_floors
    from dolphin.gate.policy import read_policy, weaker

    less = weaker(read_policy(workspace), read_floors(workspace))
    if less and not weaker_policy:
        more = f" (and {len(less) - 1} more)" if len(less) > 1 else ""
        raise DolphinError(
            f"weaker than the shipped rules: {less[0]}{more}",
            where=str(workspace.promote),
            mend="restore them, or promote under them with --weaker-policy",
        )


def refuse(report: Any, name: str) -> NoReturn:
    """Say no, with every breached floor and failed check."""
    lines = [failure.line for failure in report.failures]
    prefix = "not promoted, under weaker rules than the shipped ones" if report.weaker else "not promoted"
    raise Refused(f"{prefix}: {'; '.join(lines)}", where=name, details=dict.fromkeys([*report.reasons, *lines]))


def rollback(
    workspace: Workspace, reason: str, *, pointer: str = "blue", who: str | None = None, to: str | None = None
) -> Champion:
    """Move the pointer to the champion before the present one, or to ``to``, with a line in the audit log."""
    return roll_back(workspace, reason=reason, pointer=pointer, who=who, to=to)


def show(workspace: Workspace, *, lines: int = 5) -> dict[str, Any]:
    """Pointers with a summary of their champions, and the last lines of the audit log."""
    with locked(workspace):
        state = recover(workspace)
    pointers = {
        name: _summary(open_champion(workspace, name)) if pointer_path(workspace, name).is_file() else None
        for name in POINTERS
    }
    return {
        "pointers": pointers,
        "before": {name: lineage(state.log, name)[:-1] for name in POINTERS},
        "audit": list(state.log.lines[-lines:]),
        "problems": list(state.problems),
        "completed": list(state.completed),
    }


def verify(
    workspace: Workspace,
    *,
    rerun: bool = False,
    full: bool = False,
    signers: Path | None = None,
    progress: Progress | None = None,
    climb: Callable[..., Any] | None = None,
    again: Again | None = None,
) -> dict[str, Any]:
    """Re-hash every file of every champion, check pointers and the audit chain.

    What a crash left half done is completed first and reported under ``completed``.

    Parameters
    ----------
    rerun : bool
        Also run each pointer's champion again: floors, digests bar by bar, parity evidence.
    full : bool
        That, and the evidence of its edge once more: the search under shifted signals, and the holdout.
    signers : Path, optional
        Also the signatures of the audit log, by this file of allowed signers.
    again : callable, optional
        From a pointer to the report on its champion and, with ``full``, its evidence; by default both are gathered
        in this process. The command gathers them in two (:func:`dolphin.gate.apart.verify_apart`).

    Returns
    -------
    dict
        ``passed``; ``problems`` (lines that name the file); ``completed``; ``champions`` and
        ``audit_lines`` (counts); ``unreferenced`` (champions that no line of the log names, left by a
        crash before the log, harmless); ``reruns`` (gate report per pointer); ``evidence`` (see
        :func:`dolphin.gate.repetition.repeat_evidence`); ``signed`` (the last signed line of the log; None if
        that was not asked).
    """
    from dolphin.gate.anchors import anchor_problems, clock_problems

    with locked(workspace):
        state = recover(workspace)
    problems = list(state.problems) + clock_problems(state.log) + anchor_problems(workspace)
    folder = workspace.promote / "champions"
    present = {path.name for path in folder.glob("*") if path.is_dir() and not path.name.startswith(".")}
    named = {line["new"] for line in state.log.lines}
    for digest in sorted(present | named):
        found = champion_at(workspace, digest)
        problems += [f"{found.folder}: missing"] if digest not in present else found.problems()
    problems, signed = list(dict.fromkeys(problems)), None
    if signers is not None:
        from dolphin.gate.signing import signature_problems

        signed, wrong = signature_problems(workspace, signers)
        problems += wrong
    reruns, evidence = {}, {}
    if (rerun or full) and not problems:
        for name in [name for name in POINTERS if pointer_path(workspace, name).is_file()]:
            report, repeated = again(name) if again else _again(workspace, name, full, progress, climb)
            reruns[name] = report.as_dict()
            problems += [f"{name}: {failure.line}" for failure in report.failures]
            if repeated is not None:
                evidence[name] = repeated
                problems += repeated["problems"]
    return {
        "passed": not problems,
        "problems": problems,
        "completed": list(state.completed),
        "champions": len(present),
        "unreferenced": sorted(present - named),
        "audit_lines": len(state.log.lines),
        "signed": signed,
        "reruns": reruns,
        "evidence": evidence,
    }


def _again(
    workspace: Workspace, pointer: str, full: bool, progress: Progress | None, climb: Callable[..., Any] | None
) -> tuple[GateReport, dict[str, Any] | None]:
    """The report on a pointer's champion and its evidence, gathered in this process."""
    from dolphin.gate.candidate import Candidate
    from dolphin.gate.evaluation import evaluate
    from dolphin.gate.repetition import repeat_evidence

    candidate = Candidate.from_pointer(workspace, pointer)
    report = evaluate(workspace, candidate, tier2=False, parity=True, progress=progress, climb=climb)
    return report, repeat_evidence(workspace, pointer, progress) if full else None


def runtime_problems(workspace: Workspace, champion: Champion) -> list[str]:
    """What differs here from what was frozen: files, engine, strategy, library lock. Live runs on none.

    Installed versions count where no lock file was frozen.
    """
    from dolphin.core.engine import engine_for
    from dolphin.features import scanner_digest
    from dolphin.gate.freeze import runtime
    from dolphin.strategies import load

    problems = champion.problems()
    if problems:
        return problems
    frozen, now = champion.document("provenance.json"), runtime(workspace)
    engine = engine_for(load(frozen["strategy"]["name"], workspace.research))
    pairs = [
        ("engine digest", frozen["engine_digest"], engine.digest),
        ("scanner digest", frozen["scanner_digest"], scanner_digest()),
        ("library lock", frozen["lock"]["sha256"], now["lock"]["sha256"]),
    ]
    if frozen["lock"]["sha256"] is None:
        pairs += [(f"version of {n}", v, now["installed"].get(n)) for n, v in frozen["installed"].items()]
    return [f"{what}: frozen with {then}, here {here}" for what, then, here in pairs if then != here]


def _summary(champion: Champion) -> dict[str, Any]:
    run, provenance = champion.document("run.json"), champion.document("provenance.json")
    gate = champion.document("gate.json")
    return {
        "champion": champion.hash,
        "folder": str(Path("promote") / "champions" / champion.hash),
        "created": provenance["created"],
        "who": provenance["who"],
        "strategy": provenance["strategy"]["name"],
        "config_hash": provenance["config_hash"],
        "dataset": run["dataset"]["name"],
        "synthetic": run["synthetic"],
        "window": gate["candidate"]["window"],
        "metrics": champion.document("metrics.json")["whole"],
        "final_digest": run["final_digest"],
    }
