"""``dolphin promote``: blue, green, rollback, show, verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dolphin.cli.common import From, Json, To, emit, note, progress_bar, say, table
from dolphin.cli.gate import CandidateText, Data
from dolphin.errors import Refused

app = typer.Typer(help="Freeze what passes the gate; roll back, tag, compare, show, verify.", no_args_is_help=True)

Reason = Annotated[str, typer.Option("--reason", help="Why; goes into the audit log. Mandatory.")]

Weaker = Annotated[
    bool, typer.Option("--weaker-policy", help="Go on although policy or floors ask for less than the shipped ones.")
]


@app.command()
def blue(
    candidate: CandidateText,
    reason: Reason = "",
    data: Data = None,
    start: From = None,
    stop: To = None,
    weaker_policy: Weaker = False,
    as_json: Json = False,
) -> None:
    """Make the candidate the champion, if it passes floors, targets and evidence."""
    _promote("blue", candidate, reason, data, start, stop, weaker_policy, as_json)


@app.command()
def green(
    candidate: CandidateText,
    reason: Reason = "",
    data: Data = None,
    start: From = None,
    stop: To = None,
    weaker_policy: Weaker = False,
    as_json: Json = False,
) -> None:
    """Make the candidate the one that runs beside blue, if it passes floors and evidence."""
    _promote("green", candidate, reason, data, start, stop, weaker_policy, as_json)


@app.command()
def rollback(
    reason: Reason = "",
    to: Annotated[
        str | None, typer.Option("--to", metavar="CHAMPION", help="Hash or tag of any earlier one; default: the last.")
    ] = None,
    pointer: Annotated[str, typer.Option("--pointer", help="blue or green.")] = "blue",
    as_json: Json = False,
) -> None:
    """Back to the champion before the present one, or to any earlier one."""
    from dolphin import workspace
    from dolphin.gate import rollback as roll_back
    from dolphin.gate.history import find_champion

    home = workspace.find()
    wanted = find_champion(home, to).hash if to is not None else None
    champion = roll_back(home, reason, pointer=pointer, to=wanted)
    document = {"pointer": pointer, "champion": champion.hash, "folder": str(champion.folder)}
    emit(document, as_json, lambda: say(f"{pointer} is champion {champion.hash[:16]} again"))


@app.command()
def tag(
    name: Annotated[str, typer.Argument(help="The name.")],
    champion: Annotated[str, typer.Argument(metavar="CHAMPION", help="Pointer, tag or hash.")],
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Name a champion; the audit log keeps it."""
    from dolphin import workspace
    from dolphin.gate.history import tag as give

    found = give(workspace.find(), name, champion, reason=reason)
    document = {"tag": name, "champion": found.hash}
    emit(document, as_json, lambda: say(f"{name} is champion {found.hash[:16]}"))


@app.command()
def history(
    pointer: Annotated[str | None, typer.Argument(help="blue or green; default: both, and tags.")] = None,
    as_json: Json = False,
) -> None:
    """Every move of a pointer, oldest first."""
    from dolphin import workspace
    from dolphin.gate.history import history as moves

    rows = moves(workspace.find(), pointer)

    def tell() -> None:
        keys = ("time", "action", "pointer", "who", "champion", "tags", "present", "sharpe_365", "roi", "reason")
        shown = [{**row, "champion": row["champion"][:16], "tags": ", ".join(row["tags"])} for row in rows]
        table(None, keys, [[row[key] for key in keys] for row in shown])

    emit({"history": rows}, as_json, tell)


@app.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="ONE", help="Pointer, tag or hash.")],
    two: Annotated[str, typer.Argument(metavar="TWO", help="Pointer, tag or hash.")],
    as_json: Json = False,
) -> None:
    """What two champions differ in: configuration, data, engine, libraries, figures."""
    from dolphin import workspace
    from dolphin.gate.history import diff as differences

    found = differences(workspace.find(), one, two)

    def tell() -> None:
        if found["same"]:
            say(f"one and the same champion, {found['one'][:16]}")
            return
        rows = [(row["file"], row["key"], _text(row["one"]), _text(row["two"])) for row in found["differences"]]
        table(None, ("file", "key", found["one"][:16], found["two"][:16]), rows)
        say(f"files with other bytes: {', '.join(found['files'])}")

    emit(found, as_json, tell)


@app.command()
def show(as_json: Json = False) -> None:
    """The pointers, their champions, and the last lines of the audit log."""
    from dolphin import workspace
    from dolphin.gate import show as show_pointers

    found = show_pointers(workspace.find())

    def tell() -> None:
        for pointer, summary in found["pointers"].items():
            if summary is None:
                say(f"{pointer}: none")
            else:
                table(pointer, ("", ""), [(key, _text(value)) for key, value in summary.items()])
        lines = [(a["time"], a["action"], a["pointer"], a["who"], a["new"][:16], a["reason"]) for a in found["audit"]]
        if lines:
            table("audit log", ("time", "action", "pointer", "who", "champion", "reason"), lines)
        for problem in found["problems"]:
            note(problem)

    emit(found, as_json, tell)


@app.command()
def verify(
    rerun: Annotated[bool, typer.Option("--rerun", help="Also run the champions again, with parity.")] = False,
    full: Annotated[bool, typer.Option("--full", help="That, and gather the evidence of an edge again.")] = False,
    signers: Annotated[
        Path | None, typer.Option("--signers", help="Also the signatures of the audit log, by these allowed signers.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Re-hash every champion, check pointers and audit chain."""
    from dolphin import workspace
    from dolphin.gate.apart import verify_apart

    with progress_bar() as progress:
        found = verify_apart(workspace.find(), rerun=rerun, full=full, signers=signers, progress=progress)

    def tell() -> None:
        for line in (*found["completed"], *found["problems"]):
            say(line)
        for name, about in found["evidence"].items():
            say(f"{name}: evidence repeated, p = {about['now']['p']:.3g}, frozen {about['then']['p']:.3g}"
                if about["repeated"] else f"{name}: evidence NOT repeated: {about['why']}")  # fmt: skip
        if found["signed"] is not None:
            say(f"the audit log is signed up to line {found['signed']} of {found['audit_lines']}")
        word = "all as frozen" if found["passed"] else "NOT as frozen"
        say(f"{found['champions']} champions, {found['audit_lines']} audit lines: {word}")

    emit(found | {"ok": found["passed"]}, as_json, tell)
    if not found["passed"]:
        raise typer.Exit(1)


@app.command()
def sign(
    key: Annotated[Path, typer.Option("--key", help="SSH key, or the public one of a key that an agent holds.")],
    as_json: Json = False,
) -> None:
    """Sign the last line of the audit log with an SSH key; 'verify --signers FILE' checks it."""
    from dolphin import workspace
    from dolphin.gate.signing import sign as sign_head

    number, path = sign_head(workspace.find(), key)
    emit({"line": number, "file": str(path)}, as_json, lambda: say(f"line {number} of the audit log is signed: {path}"))


def _promote(
    pointer: str,
    candidate: str,
    reason: str,
    data: str | None,
    start: str | None,
    stop: str | None,
    weaker_policy: bool,
    as_json: bool,
) -> None:
    from dolphin import workspace
    from dolphin.gate.apart import promote_apart
    from dolphin.gate.champions import check_reason

    check_reason(reason)
    home = workspace.find()
    window = {"dataset": data, "start": start, "stop": stop}
    try:
        with progress_bar() as progress:
            champion = promote_apart(
                home, candidate, **window, pointer=pointer, reason=reason, weaker_policy=weaker_policy,
                progress=progress,
            )  # fmt: skip
    except Refused as refusal:
        if not as_json:
            table("refused", ("breached",), [(line,) for line in refusal.details])
            raise _short(refusal) from None
        print(json.dumps({"promoted": False, "refusals": list(refusal.details)}, indent=1))
        note(f"dolphin: {_short(refusal)}")
        raise typer.Exit(1) from None
    document = {
        "promoted": True,
        "pointer": pointer,
        "champion": champion.hash,
        "folder": str(champion.folder),
        "weaker": champion.document("gate.json")["weaker"],
    }
    under = " UNDER WEAKER RULES than the shipped ones" if document["weaker"] else ""
    emit(document, as_json, lambda: say(f"{pointer} is now champion {champion.hash}{under}\n{champion.folder}"))


def _short(refusal: Refused) -> Refused:
    """The first reason alone: all of them are on stdout, and stderr has the one line that a log needs."""
    if len(refusal.details) < 2:
        return refusal
    what = f"{refusal.what.partition(': ')[0]}: {refusal.details[0]} (and {len(refusal.details) - 1} more)"
    return Refused(what, where=refusal.where)


def _text(value: Any) -> str:
    return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
