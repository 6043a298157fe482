"""The writes of the app; each does what a command does, with the same code and the same record."""

from __future__ import annotations

from urllib.parse import quote

from dolphin.errors import BadInput
from dolphin.study.findings.run_list import remove_run
from dolphin.ui.asked import Asked, inside


def remove(ask: Asked) -> str:
    """``dolphin runs rm``: a folder that holds anything else stays."""
    remove_run(ask.run_folder())
    return "/runs"


def halt(ask: Asked) -> str:
    """``dolphin halt``."""
    return _order(ask, halted=True)


def resume(ask: Asked) -> str:
    """``dolphin resume``."""
    return _order(ask, halted=False)


def _order(ask: Asked, *, halted: bool) -> str:
    from dolphin.trade.control import Wanted, order
    from dolphin.trade.folder import find_state

    folder = find_state(inside(ask.workspace.root / "runs" / "trade", ask.name))
    reason = str(ask.form.get("reason", "")).strip()
    if not reason:
        raise BadInput("a reason is mandatory", where=ask.name, mend="say why; it goes on record")
    flatten = halted and ask.form.get("flatten") == "yes"
    order(folder, Wanted(halted, flatten, reason), "halt" if halted else "resume")
    return f"/session/{quote(ask.name)}"
