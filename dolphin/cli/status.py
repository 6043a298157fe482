"""``dolphin status``, ``halt`` and ``resume``: the operator's view of a session and hand on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli.common import Json, emit, say, table

if TYPE_CHECKING:
    from dolphin.trade.folder import StateFolder

State = Annotated[
    Path | None, typer.Option("--state", help="State folder; default: the only session of the workspace.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; goes on record. Mandatory.")]


def status(state: State = None, as_json: Json = False) -> None:
    """How a session is: capital, positions, posture, whether it is halted, the days so far."""
    from dolphin.errors import NotFound
    from dolphin.files import read_json
    from dolphin.locks import is_held
    from dolphin.trade.figures import day_line, line_of

    folder = _folder(state)
    if not folder.status.is_file():
        raise NotFound("has not said anything yet", where=str(folder.root), mend="wait for its first status")
    found = read_json(folder.status)
    found["days"] = [read_json(path) for path in sorted(folder.days.glob("*.json"))]
    found["running"] = is_held(folder.lock)

    def tell() -> None:
        say(f"{found['account']} on {found['feed']}: {'running' if found['running'] else found['state']}")
        say(line_of(found))
        if found["halted"]:
            say(f"halted: {found['reason']}")
        if found["positions"]:
            rows = [(p["symbol"], p["side"], p["quantity"], p["entry_price"]) for p in found["positions"]]
            table(None, ("symbol", "side", "quantity", "entry price"), rows)
        for day in found["days"]:
            say(day_line(day))

    emit(found, as_json, tell)


def halt(
    reason: Reason = "",
    flatten: Annotated[bool, typer.Option("--flatten", help="Close what is open, too.")] = False,
    state: State = None,
    as_json: Json = False,
) -> None:
    """No new entries from the next bar on."""
    from dolphin.trade.control import Wanted

    _order(Wanted(True, flatten, reason), "halt", state, as_json)


def resume(reason: Reason = "", state: State = None, as_json: Json = False) -> None:
    """Entries again from the next bar on."""
    from dolphin.trade.control import Wanted

    _order(Wanted(False, False, reason), "resume", state, as_json)


def _order(wanted: Any, action: str, state: Path | None, as_json: bool) -> None:
    from dolphin.trade.control import order

    folder = _folder(state)
    line = order(folder, wanted, action)
    emit(line | {"state_folder": str(folder.root)}, as_json, lambda: say(f"{action}: on record, acts within one bar"))


def _folder(state: Path | None) -> StateFolder:
    from dolphin import workspace
    from dolphin.errors import BadInput, NotFound
    from dolphin.trade.folder import find_state

    if state is not None:
        return find_state(state)
    root = workspace.find().root / "runs" / "trade"
    found = sorted(path.parent for path in root.glob("*/session.json"))
    if not found:
        raise NotFound("no session here", where=str(root), mend="begin one: dolphin trade paper")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise BadInput(f"there are several sessions ({names})", where=str(root), mend="name one: --state FOLDER")
    return find_state(found[0])
