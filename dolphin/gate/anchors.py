"""Where the trial registry is anchored: lines of the audit log, and openings of holdouts, carry what it was then.

An older copy, a shorter one or a new one in its place does not hold what was anchored, and is told by that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dolphin.gate.audit import ANCHOR, AuditLog, read_audit
from dolphin.study.trials.holdouts import Holdouts, family_of, rules_of
from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace


def anchor_problems(workspace: Workspace) -> list[str]:
    """The first anchor that the registry does not hold, in words; empty if it holds all."""
    registry = Registry(workspace)
    for where, anchor in _anchors(workspace):
        missing = registry.missing(anchor)
        if missing:
            return [f"{registry.folder}: {missing} (anchored in {where})"]
    return []


def rules_problems(workspace: Workspace, config_hash: str) -> list[str]:
    """Rules that are others by now than when the holdout of a configuration's search was declared, in words."""
    family, now, found = family_of(workspace, config_hash), rules_of(workspace), []
    for number, entry in enumerate(Holdouts(workspace).entries(), 1):
        if entry["action"] == "declare" and entry["family"] == family:
            found += [
                f"{name}.toml is not the one that the search was declared with (line {number} of holdouts.jsonl): "
                "restore it, or search anew"
                for name, digest in entry.get("rules", {}).items()
                if now[name] != digest
            ]
    return found


def clock_problems(log: AuditLog) -> list[str]:
    """Lines of the audit log that are earlier than the one before."""
    pairs = zip(log.lines, log.lines[1:], strict=False)
    return [f"{log.path}: line {b['seq']} is of an earlier time than the one before" for a, b in pairs
            if b["time_ns"] < a["time_ns"]]  # fmt: skip


def _anchors(workspace: Workspace) -> Iterator[tuple[str, dict[str, Any]]]:
    log = read_audit(workspace.promote / "audit.jsonl")
    for line in log.lines:
        if ANCHOR in line:
            yield f"line {line['seq']} of {log.path.name}", line[ANCHOR]
    holdouts = Holdouts(workspace)
    for number, entry in enumerate(holdouts.entries(), 1):
        if ANCHOR in entry:
            yield f"line {number} of {holdouts.path.name}", entry[ANCHOR]
