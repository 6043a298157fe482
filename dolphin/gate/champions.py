"""Champions by the hash of their contents, and the pointers that name one of them.

A move takes three steps, each durable before the next: the champion's folder is put in place whole, a
line is appended to the audit log (from here on the move counts), the pointer is replaced. Whoever reads
the pointer sees the old champion or the new one. A crash between the last two steps leaves the pointer
one line behind; :func:`recover`, which every call here begins with, completes it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError, nearest
from dolphin.files import canonical_json, read_json, sha256_bytes, sha256_file, sync, write_bytes
from dolphin.gate.audit import AuditLog, append, next_entry, read_audit
from dolphin.ledger import cut, who_am_i
from dolphin.locks import hold
from dolphin.times import format_time
from dolphin.workspace import Workspace

POINTERS = ("blue", "green")

#: Before the name of a tag, where the audit log has a pointer's.
TAG = "tag:"

#: The list of a champion's files with their hashes; the folder's name is the hash of this file.
FILES = "files.json"


@dataclass(frozen=True)
class Champion:
    """A frozen champion: its hash, which is also the name of its folder."""

    hash: str
    folder: Path

    def document(self, name: str) -> Any:
        """One of its JSON files."""
        return read_json(self.folder / name)

    def problems(self) -> list[str]:
        """Every file that is missing, changed or not of the champion; empty if it is as frozen."""
        listing = self.folder / FILES
        for path in (self.folder.parent, self.folder, *self.folder.rglob("*")):
            if path.is_symlink():  # what it points to may change, and is not what was frozen
                return [f"{path}: is a symbolic link"]
        if not listing.is_file():
            return [f"{listing}: missing"]
        data = listing.read_bytes()
        if sha256_bytes(data) != self.hash:
            return [f"{listing}: changed (its hash is not the champion's)"]
        found = []
        listed = dict(json.loads(data))
        for name, sha256 in listed.items():
            path = self.folder / name
            if not path.is_file():
                found.append(f"{path}: missing")
            elif sha256_file(path) != sha256:
                found.append(f"{path}: changed since it was frozen")
        present = {str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file()}
        return found + [f"{self.folder / name}: not of the champion" for name in sorted(present - {*listed, FILES})]


@dataclass(frozen=True)
class State:
    """What :func:`recover` found: the log, what it completed, and what it cannot mend."""

    log: AuditLog
    completed: tuple[str, ...]
    problems: tuple[str, ...]

    def require_intact(self) -> None:
        """Refuse to build on a damaged log or pointer."""
        if self.problems:
            raise DolphinError(self.problems[0], mend="restore it from git; 'dolphin promote verify' lists all")


def open_champion(workspace: Workspace, pointer: str = "blue") -> Champion:
    """The champion of a pointer, every file of it checked.

    Raises
    ------
    DolphinError
        If there is none, or one of its files is not as it was frozen.
    """
    path = pointer_path(workspace, pointer)
    if not path.is_file():
        raise DolphinError(
            f"no {pointer} champion",
            where=str(path),
            mend=f"make one with 'dolphin promote {pointer} CANDIDATE'",
        )
    document = read_json(path)
    if not isinstance(document, dict) or not isinstance(document.get("champion"), str):
        raise DolphinError("names no champion", where=str(path), mend="restore it from git")
    champion = champion_at(workspace, document["champion"])
    problems = champion.problems()
    if problems:
        raise DolphinError(problems[0], mend="restore it from git")
    return champion


def champion_at(workspace: Workspace, digest: str) -> Champion:
    """The champion of a hash, unchecked."""
    return Champion(digest, workspace.promote / "champions" / digest)


def pointer_path(workspace: Workspace, pointer: str) -> Path:
    """The file of a pointer."""
    if pointer not in POINTERS:
        raise DolphinError(f"unknown pointer '{pointer}'", mend=nearest(pointer, POINTERS))
    return workspace.promote / f"{pointer}.json"


def install(
    workspace: Workspace,
    contents: Mapping[str, bytes],
    *,
    pointer: str,
    reason: str,
    who: str | None = None,
    over: str | None = None,
) -> Champion:
    """Freeze ``contents`` (bytes by relative path) and move the pointer to them.

    Parameters
    ----------
    over : str, optional
        The champion that the gate compared with, empty if there was none: it must still be the pointer's.

    Raises
    ------
    DolphinError
        Without a reason, on a damaged log, if the pointer has moved meanwhile, or when the disk is
        full; the pointer stays where it was.
    """
    with moving(workspace, pointer, reason) as (log, past):
        if over is not None and (past[-1] if past else "") != over:
            raise DolphinError(f"{pointer} was moved while the gate ran", mend="run the promotion again")
        champion = _put_in_place(workspace, contents)
        _move(workspace, log, pointer, "promote", reason, champion.hash, who)
    return champion


def roll_back(
    workspace: Workspace, *, reason: str, pointer: str = "blue", who: str | None = None, to: str | None = None
) -> Champion:
    """Move the pointer to the champion before the present one; that one's files are checked first.

    Parameters
    ----------
    to : str, optional
        The hash of any champion that the pointer has named before, instead of the last one.
    """
    with moving(workspace, pointer, reason) as (log, past):
        if to is not None:
            if all(line["new"] != to for line in log.of(pointer)):
                raise DolphinError(
                    f"{pointer} has never named champion {to[:16]}", where=str(log.path),
                    mend=f"'dolphin promote history {pointer}' lists those that it has",
                )  # fmt: skip
            if past[-1] == to:
                raise DolphinError(f"{pointer} names champion {to[:16]} already", mend="name an earlier one")
            past = [to, past[-1]]
        if len(past) < 2:
            raise DolphinError(
                f"nothing to roll back to: {len(past)} champion(s) of {pointer} in the audit log",
                where=str(log.path),
                mend=f"promote another with 'dolphin promote {pointer} CANDIDATE'",
            )
        champion = champion_at(workspace, past[-2])
        problems = champion.problems()
        if problems:
            raise DolphinError(problems[0], mend="restore it from git; the pointer was not moved")
        _move(workspace, log, pointer, "rollback", reason, champion.hash, who)
    return champion


def append_tag(workspace: Workspace, name: str, digest: str, *, reason: str, who: str | None = None) -> None:
    """Give a champion a name: a line of the audit log, whose ``pointer`` is ``tag:NAME``; moves no pointer."""
    check_reason(reason)
    with locked(workspace):
        state = recover(workspace)
        state.require_intact()
        append(state.log, _line(workspace, state.log, f"{TAG}{name}", "tag", reason, digest, who))


@contextmanager
def moving(workspace: Workspace, pointer: str, reason: str) -> Iterator[tuple[AuditLog, list[str]]]:
    """Hold the lock over an intact record: the audit log, and the pointer's champions, oldest first."""
    check_reason(reason)
    pointer_path(workspace, pointer)
    with locked(workspace):
        state = recover(workspace)
        state.require_intact()
        yield state.log, lineage(state.log, pointer)


def lineage(log: AuditLog, pointer: str) -> list[str]:
    """The champions of a pointer, oldest first; a rollback takes off those after the one that it goes to."""
    stack: list[str] = []
    for line in log.of(pointer):
        if line["action"] == "rollback":
            stack.pop()
            while stack and stack[-1] != line["new"] and line["new"] in stack:
                stack.pop()
        if not stack or stack[-1] != line["new"] or line["action"] != "rollback":
            stack.append(line["new"])
    return stack


def recover(workspace: Workspace) -> State:
    """Complete what a crash left between two steps; the caller holds the lock.

    Leftover temporary files go, a torn line that no pointer knows is cut, a pointer one line behind its
    log is brought up to it. Anything else that does not fit is a problem and stays for people to see.
    """
    completed = [f"removed {path.name}, left by a crash" for path in _leftovers(workspace)]
    for path in _leftovers(workspace):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    log = read_audit(workspace.promote / "audit.jsonl")
    if log.problem:
        return State(log, tuple(completed), (log.problem,))
    held = {name: _held(workspace, name) for name in POINTERS}
    known = {None, *(line["hash"] for line in log.lines)}
    strangers = [name for name in POINTERS if held[name].audit not in known]
    if log.torn and not strangers:
        cut(log.path, log.path.stat().st_size - log.torn)
        completed.append(f"cut {log.torn} bytes of a line that a crash tore off {log.path.name}")
        log = read_audit(log.path)
    problems = [f"{log.path}: its last line was changed"] if log.torn else []
    for name in POINTERS:
        mine, path = log.of(name), pointer_path(workspace, name)
        if not mine:
            if held[name].data is not None:
                problems.append(f"{path}: no line of the audit log moved it")
            continue
        if held[name].data == pointer_bytes(mine[-1]):
            continue
        before = pointer_bytes(mine[-2]) if len(mine) > 1 else None
        if held[name].data not in (before, None):
            problems.append(f"{path}: is not what the audit log wrote; remove it to have it written again")
        elif champion_at(workspace, mine[-1]["new"]).problems():
            problems += champion_at(workspace, mine[-1]["new"]).problems()
        else:
            write_bytes(path, pointer_bytes(mine[-1]))
            completed.append(f"moved {name} to {mine[-1]['new'][:16]}, as line {mine[-1]['seq']} of the log says")
    return State(log, tuple(completed), tuple(problems))


def pointer_bytes(line: Mapping[str, Any]) -> bytes:
    """What a pointer holds after a line of the log: every byte of it follows from the line."""
    document = {
        "champion": line["new"],
        "time": line["time"],
        "time_ns": line["time_ns"],
        "audit": line["hash"],
    }
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


@contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """One mover at a time; the lock goes with the process that holds it."""
    with hold(workspace.promote / ".lock"):
        yield


def check_reason(reason: str) -> None:
    """A reason is mandatory."""
    if not reason.strip():
        raise DolphinError("a reason is mandatory", mend="say why: --reason TEXT")


@dataclass(frozen=True)
class _Held:
    """The bytes of a pointer file, and the audit hash in them if there is one."""

    data: bytes | None
    audit: str | None


def _held(workspace: Workspace, pointer: str) -> _Held:
    path = pointer_path(workspace, pointer)
    if not path.is_file():
        return _Held(None, None)
    data = path.read_bytes()
    try:
        document = json.loads(data)
    except ValueError:
        return _Held(data, None)
    audit = document.get("audit") if isinstance(document, dict) else None
    return _Held(data, audit if isinstance(audit, str) else None)


def _leftovers(workspace: Workspace) -> list[Path]:
    folders = (workspace.promote, workspace.promote / "champions")
    return sorted(path for folder in folders for path in folder.glob(".*.part"))


def _put_in_place(workspace: Workspace, contents: Mapping[str, bytes]) -> Champion:
    """Write the champion's folder aside, sync every file, rename it to the hash of its contents."""
    folder = workspace.promote / "champions"
    listing = canonical_json(sorted((name, sha256_bytes(data)) for name, data in contents.items()))
    champion = champion_at(workspace, sha256_bytes(listing))
    if champion.folder.is_dir() and not champion.problems():
        return champion
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder, prefix=f".{champion.hash[:16]}.", suffix=".part"))
        try:
            for name, data in sorted({**contents, FILES: listing}.items()):
                path = part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                path.chmod(0o444)
            for inner in [path for path in part.rglob("*") if path.is_dir()]:
                sync(inner)
            part.chmod(0o755)
            sync(part)
            part.rename(champion.folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        sync(folder)
        sync(folder.parent)
    except OSError as error:
        raise DolphinError(
            f"cannot write: {error.strerror or error}",
            where=str(champion.folder),
            mend="free some space, or remove a damaged champion of that name; the pointer was not moved",
        ) from error
    return champion


def _move(
    workspace: Workspace, log: AuditLog, pointer: str, action: str, reason: str, new: str, who: str | None
) -> None:
    entry = _line(workspace, log, pointer, action, reason, new, who)
    size = append(log, entry)
    try:
        write_bytes(pointer_path(workspace, pointer), pointer_bytes(entry))
    except DolphinError:  # a full disk: the move is called off, so its line goes too
        cut(log.path, size)
        raise


def _line(
    workspace: Workspace, log: AuditLog, pointer: str, action: str, reason: str, new: str, who: str | None
) -> dict[str, Any]:
    """The line of the log that would follow."""
    from dolphin.study.trials.registry import Registry  # it takes the engine with it

    now = time.time_ns()
    if log.lines and now <= log.lines[-1]["time_ns"]:
        raise DolphinError(
            f"the clock says {format_time(now - now % 1000)}, and the last line is of {log.lines[-1]['time']}",
            where=str(log.path),
            mend="set the clock; the pointer was not moved",
        )
    mine = log.of(pointer)
    return next_entry(
        log,
        registry=Registry(workspace).anchor(),
        time_ns=now,
        time=format_time(now - now % 1000),
        who=who or who_am_i(),
        action=action,
        pointer=pointer,
        reason=reason.strip(),
        old=mine[-1]["new"] if mine else None,
        new=new,
    )
