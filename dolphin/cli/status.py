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
    from dolphin.trade.dashboard import POINTS, alerts_of, rows_of
    from dolphin.trade.lines import day_line, line_of
    from dolphin.trade.looking import look

    found = look(_folder(state), POINTS)

    def tell() -> None:
        stands = "running" if found["running"] else found["state"].replace("running", "killed")
        say(f"{found['account']} on {found['feed']}: {stands}")
        say(line_of(found))
        for alert in alerts_of(found):
            say(f"ALERT {alert['about']}: {alert['text']}")
        for name, text in rows_of(found):
            if name not in ("equity", "", "position", "day"):
                say(f"{name}: {text.plain}")
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
    from dolphin.trade.folder import find_state
    from dolphin.trade.looking import find_session

    return find_state(state) if state is not None else find_session(workspace.find(), None)
