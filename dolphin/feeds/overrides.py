"""A person's posture, on record: a ledger of hash-chained lines, and the one that is in force now.

The ledger lies beside the audit log (``promote/overrides.jsonl``). Whoever runs the stack asks :func:`current` and
passes what it gives to :func:`dolphin.risk.override.in_force`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dolphin import locks
from dolphin.core.records import POSTURES
from dolphin.errors import BadInput, Damaged
from dolphin.files import canonical_json
from dolphin.ledger import GENESIS, Entry, append, follows, last_line, lines_of, sealed, who_am_i
from dolphin.risk.override import Override, new_override
from dolphin.workspace import Workspace


def ledger_path(workspace: Workspace) -> Path:
    """Where the ledger of a workspace lies."""
    return workspace.promote / "overrides.jsonl"


def set_override(workspace: Workspace, posture: str, reason: str, now_ns: int, for_ns: int) -> Override:
    """Put a posture over the stack's for so long; it replaces the one before.

    Raises
    ------
    DolphinError
        Without a reason or a time to come, for a posture that is none, or where the ledger is damaged.
    """
    made = new_override(posture, reason, who_am_i(), now_ns, for_ns)
    _append(workspace, {"action": "set", **made.as_dict()})
    return made


def lift_override(workspace: Workspace, reason: str, now_ns: int) -> Override:
    """End the override that is in force.

    Raises
    ------
    DolphinError
        If there is none, or no reason.
    """
    if not reason.strip():
        raise BadInput("lifting an override needs a reason", where="override", mend="give its reason")
    found = current(workspace, now_ns)
    if found is None:
        raise BadInput("no override is in force", where=str(ledger_path(workspace)), mend="there is nothing to lift")
    _append(workspace, {"action": "lift", "reason": reason.strip(), "author": who_am_i(), "set_ns": now_ns})
    return found


def current(workspace: Workspace, now_ns: int) -> Override | None:
    """The override that is in force now, by the newest line of the ledger.

    Raises
    ------
    Damaged
        If the ledger is not as it was written.
    """
    entries = read_overrides(workspace)
    if not entries or entries[-1]["action"] != "set":
        return None
    last = entries[-1]
    found = Override(
        POSTURES.index(last["posture"]), last["reason"], last["author"], last["set_ns"], last["expires_ns"]
    )
    return found if found.set_ns <= now_ns < found.expires_ns else None


def read_overrides(workspace: Workspace) -> list[Entry]:
    """Every line of the ledger, oldest first, its chain checked.

    Raises
    ------
    Damaged
        If a line was changed, taken out or put in.
    """
    path, previous, found = ledger_path(workspace), GENESIS, []
    for number, line in enumerate(lines_of(path)[0], 1):
        try:
            entry: dict[str, Any] = json.loads(line)
            whole = follows(entry, previous, canonical_json)
        except (ValueError, AttributeError, TypeError):
            whole = False
        if not whole:
            raise Damaged(f"line {number} is not as it was written", where=str(path), mend="restore it from git")
        previous = entry["hash"]
        found.append(entry)
    return found


def _append(workspace: Workspace, body: dict[str, Any]) -> None:
    path = ledger_path(workspace)
    with locks.passing(path.with_name(f".{path.name}.lock")):
        entries = read_overrides(workspace)
        previous = entries[-1]["hash"] if entries else GENESIS
        line = canonical_json(sealed({**body, "previous": previous}, canonical_json))
        append(path, line, last_line(path)[1])
