"""The bars that a study keeps for the gate: ``[holdout]`` of a study file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dolphin.catalog import parse_time
from dolphin.core.records import Ints
from dolphin.errors import DolphinError, nearest
from dolphin.times import DAY_NS, format_time

_KEYS = ("from", "to", "days")


@dataclass(frozen=True)
class Holdout:
    """Closes in [start_ns, stop_ns), to the end of the data without ``stop_ns``; or the last ``days`` of the data."""

    start_ns: int | None
    stop_ns: int | None
    days: int | None

    def rows(self, ts: Ints, spacing_ns: int, where: str) -> tuple[int, int]:
        """Rows of the holdout among closes ``ts``.

        Raises
        ------
        DolphinError
            If the data has no bars there, or none before.
        """
        if self.days is not None:
            start, stop = int(np.searchsorted(ts, int(ts[-1]) - self.days * DAY_NS + spacing_ns)), len(ts)
        else:
            assert self.start_ns is not None
            start = int(np.searchsorted(ts, self.start_ns))
            stop = len(ts) if self.stop_ns is None else int(np.searchsorted(ts, self.stop_ns))
        if not 0 < start < stop:
            raise DolphinError(
                "[holdout] must leave bars before it and have bars of its own",
                where=where,
                mend=f"the data closes from {format_time(ts[0])} to {format_time(ts[-1])}",
            )
        return start, stop

    def document(self) -> dict[str, Any]:
        """As a study file writes it."""
        if self.days is not None:
            return {"days": self.days}
        times = {"from": self.start_ns, "to": self.stop_ns}
        return {key: format_time(value) for key, value in times.items() if value is not None}


def parse_holdout(table: Any, where: str) -> Holdout:
    """``{ from = "2025-02-25", to = "2025-04-21" }`` (``to`` may be left out) or ``{ days = 55 }``."""
    where = f"{where}: [holdout]"
    if not isinstance(table, Mapping):
        raise DolphinError("must be a table", where=where, mend='write from = "2025-02-25", or days = 55')
    for key in table:
        if key not in _KEYS:
            raise DolphinError(f"unknown key '{key}'", where=where, mend=nearest(key, _KEYS))
    days = table.get("days")
    if ("from" in table) == (days is not None) or (days is not None and "to" in table):
        raise DolphinError("needs either 'from' (and 'to') or 'days'", where=where)
    if days is not None:
        if type(days) is not int or days < 1:
            raise DolphinError(f"days = {days!r} must be a whole number from 1", where=where)
        return Holdout(None, None, days)
    return Holdout(parse_time(str(table["from"])), parse_time(str(table["to"])) if "to" in table else None, None)
