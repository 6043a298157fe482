"""The recorder of external values: what it last said of its parts, and how long ago."""

from __future__ import annotations

import time

from dolphin.errors import DolphinError
from dolphin.feeds.recorder import recording_folder
from dolphin.files import read_json
from dolphin.report.markup import Cell, card, table, text
from dolphin.report.numerals import duration
from dolphin.times import SECOND_NS, parse_time
from dolphin.ui.asked import Asked
from dolphin.ui.shell import Marked, badge


def feeds_card(ask: Asked) -> str:
    """What a running recorder of external values says of itself, part by part."""
    path = recording_folder(ask.workspace) / "status.json"
    if not path.is_file():
        return ""
    try:
        found = read_json(path)
        age = (time.time_ns() - parse_time(found["timestamp"])) / SECOND_NS
        parts = found["components"].items()
        rows = [
            [Cell(name), Marked("", inner=_part_badge(one["status"])), Cell(_age(one["age_s"], age)),
             Cell(", ".join(f"{count:,} {what}" for what, count in one["counts"].items()))]
            for name, one in parts
        ]  # fmt: skip
    except (DolphinError, KeyError, TypeError, AttributeError, ValueError) as error:
        return card("Feeds", f'<p class="notice bad">{text(" ".join(str(error).split()))}</p>')
    note = f"said {duration(max(age, 0) // 1 * SECOND_NS)} ago" + ("" if age < 30 else ": it does not run now")
    return card("Feeds", table(("Part", "State", "Last value", "Counted"), rows, names=2), note=note, kind="long")


def _age(then: float | None, since: float) -> str:
    return "-" if then is None else f"{duration((then + max(since, 0.0)) // 1 * SECOND_NS)} ago"


def _part_badge(status: str) -> str:
    kinds = {"healthy": ("good", "●"), "degraded": ("stale", "◐")}
    kind, sign = kinds.get(status, ("bad", "○"))
    return badge(f"{kind} small", f"{sign} {status}")
