"""A session as anybody can see it: its files alone, so that another terminal, or another user, can look."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.errors import DolphinError, NotFound
from dolphin.files import read_json
from dolphin.journal.reader import Journal
from dolphin.journal.schema import ACCOUNT_VALUES
from dolphin.locks import is_held
from dolphin.times import SECOND_NS, parse_time
from dolphin.trade.folder import StateFolder, find_state
from dolphin.workspace import Workspace

_EQUITY = ACCOUNT_VALUES.index("equity")


def find_session(workspace: Workspace, name: Path | None) -> StateFolder:
    """The session of a state folder, of an account's name, or the only one of the workspace.

    Raises
    ------
    DolphinError
        If there is none there, or several and none is named.
    """
    root = workspace.root / "runs" / "trade"
    if name is not None:
        return find_state(root / name if not name.exists() and (root / name).is_dir() else name)
    found = sorted(path.parent for path in root.glob("*/session.json"))
    if not found:
        raise NotFound("no session here", where=str(root), mend="begin one: dolphin trade paper")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DolphinError(f"there are several sessions ({names})", where=str(root), mend="name one")
    return find_state(found[0])


def look(folder: StateFolder, points: int = 0) -> dict[str, Any]:
    """The status as it was written last, the days so far, whether a process trades it, and how old all that is.

    Parameters
    ----------
    points : int
        With some, ``curve`` is the equity of so many bars, of the last two days, from the journals.

    Raises
    ------
    NotFound
        If the session has not said anything yet.
    """
    if not folder.status.is_file():
        raise NotFound("has not said anything yet", where=str(folder.root), mend="wait for its first status")
    found: dict[str, Any] = read_json(folder.status)
    found["days"] = [read_json(path) for path in sorted(folder.days.glob("*.json"))]
    found["running"] = is_held(folder.lock)
    found["status_age_seconds"] = max(0.0, (time.time_ns() - parse_time(found["written"])) / SECOND_NS)
    if points:
        found["curve"] = curve_of(folder, points)
    return found


def curve_of(folder: StateFolder, points: int) -> list[float]:
    """Equity after so many bars of the last two days, evenly spaced, the last bar among them."""
    journals = []
    for path in folder.sessions_journals()[-2:]:
        try:
            journals.append(Journal(path))
        except DolphinError:  # begun this moment, or damaged: others tell
            continue
    counts = [journal.bars for journal in journals]
    total = sum(counts)
    curve = []
    for k in np.unique(np.linspace(0, total - 1, min(points, total)).round().astype(int)).tolist() if total else ():
        j = 0
        while k >= counts[j]:
            k, j = k - counts[j], j + 1
        closing = journals[j].bar_at(k)
        of = journals[j].template_at(closing.offset)
        if of is not None:
            curve.append(float(journals[j].record_at(closing.offset, of)["account"][_EQUITY]))
    return curve
