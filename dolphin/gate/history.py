"""Champions by name: what a hash, a tag or a pointer means, what two of them differ in, what a pointer has named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dolphin.errors import DolphinError, NotFound, nearest
from dolphin.gate.audit import AuditLog, read_audit
from dolphin.gate.champions import POINTERS, TAG, Champion, append_tag, champion_at, lineage, open_champion
from dolphin.workspace import Workspace

#: A tag: it cannot be taken for a hash, because it has a character that hashes have not, or is short.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{4,64}")
#: What is compared, by the file that it stands in.
_FILES = ("config.json", "run.json", "metrics.json", "provenance.json")
#: Of them what differs between any two, or says nothing of what a champion does.
_LEFT_OUT = ("provenance.json: created", "provenance.json: who", "provenance.json: candidate")


def find_champion(workspace: Workspace, text: str) -> Champion:
    """The champion that a pointer, a tag, a hash or the beginning of a hash names; every file of it checked.

    Raises
    ------
    DolphinError
        If nothing or more than one thing is meant, or a file is not as frozen.
    """
    if text in POINTERS:
        return open_champion(workspace, text)
    tagged = tags(workspace)
    if text in tagged:
        return _whole(champion_at(workspace, tagged[text]))
    names = sorted(path.name for path in (workspace.promote / "champions").glob("*") if _HASH.fullmatch(path.name))
    found = [name for name in names if name.startswith(text)] if _HASH.fullmatch(text) else []
    if len(found) > 1:
        raise DolphinError(f"means {len(found)} champions", where=text, mend="give more of the hash")
    if not found:
        known = nearest(text, [*POINTERS, *tagged, *(name[:16] for name in names)])
        raise NotFound("no such champion", where=text, mend=known)
    return _whole(champion_at(workspace, found[0]))


def tags(workspace: Workspace) -> dict[str, str]:
    """Champions by tag: the last line of the log that gave it."""
    lines = _log(workspace).lines
    return {line["pointer"].removeprefix(TAG): line["new"] for line in lines if line["action"] == "tag"}


def tag(workspace: Workspace, name: str, champion: str, *, reason: str, who: str | None = None) -> Champion:
    """Name a champion; the name goes into the audit log, and a later line may give it to another.

    Raises
    ------
    DolphinError
        If it is no name, there is no such champion, or no reason is given.
    """
    if not _NAME.fullmatch(name) or name in POINTERS or _HASH.fullmatch(name):
        raise DolphinError(
            f"'{name}' is no tag", mend="begin with a letter; letters, digits, '.', '_', '-'; no pointer, no hash"
        )
    found = find_champion(workspace, champion)
    append_tag(workspace, name, found.hash, reason=reason, who=who)
    return found


def history(workspace: Workspace, pointer: str | None = None) -> list[dict[str, Any]]:
    """Every move, oldest first: when, who, why, and what the champion had achieved when it was frozen.

    Parameters
    ----------
    pointer : str, optional
        Of this one alone; by default of both, and tags.
    """
    if pointer is not None and pointer not in POINTERS:
        raise DolphinError(f"unknown pointer '{pointer}'", mend=nearest(pointer, POINTERS))
    log = _log(workspace)
    now = {name: lineage(log, name)[-1:] for name in POINTERS}
    named = {
        digest: [name for name, d in tags(workspace).items() if d == digest] for digest in tags(workspace).values()
    }
    rows = []
    for line in log.lines if pointer is None else log.of(pointer):
        champion = champion_at(workspace, line["new"])
        whole = not champion.problems()
        metrics = champion.document("metrics.json")["whole"] if whole else {}
        rows.append(
            {key: line[key] for key in ("seq", "time", "action", "pointer", "who", "reason", "old")}
            | {
                "champion": line["new"],
                "tags": named.get(line["new"], []),
                "present": [line["new"]] == now.get(line["pointer"]),
                "whole": whole,
                "sharpe_365": metrics.get("sharpe_365"),
                "roi": metrics.get("roi"),
                "max_drawdown": metrics.get("max_drawdown"),
            }
        )
    return rows


def diff(workspace: Workspace, one: str, two: str) -> dict[str, Any]:
    """What two champions differ in.

    Returns
    -------
    dict
        ``one`` and ``two`` (hashes), ``same`` (whether they are one champion), ``differences`` (a row per value:
        ``file``, ``key``, ``one``, ``two``), ``files`` (those whose bytes differ).
    """
    champions = [find_champion(workspace, text) for text in (one, two)]
    rows = []
    for name in _FILES:
        mine, theirs = (dict(_flat(champion.document(name))) for champion in champions)
        for key in sorted(mine.keys() | theirs.keys()):
            if mine.get(key) != theirs.get(key) and not f"{name}: {key}".startswith(_LEFT_OUT):
                rows.append({"file": name, "key": key, "one": mine.get(key), "two": theirs.get(key)})
    listed = [dict(champion.document("files.json")) for champion in champions]
    files = sorted(name for name in listed[0].keys() | listed[1].keys() if listed[0].get(name) != listed[1].get(name))
    hashes = [champion.hash for champion in champions]
    return {"one": hashes[0], "two": hashes[1], "same": hashes[0] == hashes[1], "differences": rows, "files": files}


def _log(workspace: Workspace) -> AuditLog:
    log = read_audit(workspace.promote / "audit.jsonl")
    if log.problem:
        raise DolphinError(log.problem, mend="restore it from git; 'dolphin promote verify' lists all")
    return log


def _whole(champion: Champion) -> Champion:
    problems = champion.problems()
    if problems:
        raise DolphinError(problems[0], mend="restore it from git")
    return champion


def _flat(document: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, scalar) of a document."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(document, list):
        for k, value in enumerate(document):
            name = value.get("window") or value.get("name") if isinstance(value, dict) else None
            yield from _flat(value, f"{prefix}[{name or k}]")
    else:
        yield prefix, document
