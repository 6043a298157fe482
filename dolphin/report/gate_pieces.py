"""One piece of the gate's evidence as a small card: picture, value, limit, and how to read it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeGuard

from dolphin.report.gate_pictures import picture
from dolphin.report.markup import text
from dolphin.report.numerals import MISSING, SHARES, number, plain, significant

#: How to read a floor's figure, by metric.
READING = {
    "profit_factor": "Gains of closed trades over their losses, fees included; above 1 it earned.",
    "win_rate": "Share of closed trades that gained.",
    "roi": "Return on the initial capital, with what is still open.",
    "trades": "Closed trades: with a few, luck decides.",
    "max_drawdown": "The deepest fall of the equity from its peak before.",
    "sharpe_365": "Mean of the daily returns over their deviation, times the root of 365.",
    "sharpe_252": "Mean of the daily returns over their deviation, times the root of 252.",
}


def piece(
    name: str, *, value: str, limit: str = "", reading: str = "", good: bool | None = None, drawn: str = "",
    below: str = "", advisory: bool = False,
) -> str:  # fmt: skip
    """One card; ``good`` None is neither, and what is advisory is good or poor, not passed or failed."""
    tone, sign = {True: ("gain", "✔"), False: ("loss", "✖"), None: ("", "")}[good]
    word = "" if good is None else ("poor", "good")[good] if advisory else ("FAIL", "pass")[good]
    mark = f'<b class="{tone}"><i class="mark">{sign}</i>{word}</b>' if word else ""
    limits = f'<span class="limit">{"should" if advisory else "must"} be {text(limit)}</span>' if limit else ""
    return (
        f'<article class="piece {tone}"><h3>{text(name)}{mark}</h3>{drawn}'
        f'<p class="value">{text(value)} {limits}</p>'
        + (f"<p>{text(reading)}</p>" if reading else "")
        + (f"<small>{text(below)}</small>" if below else "")
        + "</article>"
    )


def grid(pieces: Iterator[str] | list[str]) -> str:
    """Cards side by side."""
    return f'<div class="pieces">{"".join(pieces)}</div>'


def floor_pieces(floors: list[dict[str, Any]], chances: Any) -> Iterator[str]:
    """A card per floor, those that did not hold first; with the chance that bad luck alone breaches it."""
    luck = {row.get("floor"): row for row in (chances.get("floors") or [])} if isinstance(chances, dict) else {}
    for floor in sorted(floors, key=lambda row: bool(row.get("passed"))):
        row = luck.get(floor.get("name"))
        share = row.get("fat_tailed_days") if isinstance(row, dict) else None
        odds = (
            f" If it is as good as it looked, {100.0 * share:.0f} of 100 such windows breach this."
            if _is_real(share)
            else ""
        )
        yield piece(
            plain(floor.get("name")),
            value=_figure(floor, "value"),
            limit=f"{operator(floor.get('op'))} {_figure(floor, 'limit')}".strip(),
            reading=READING.get(str(floor.get("metric")), "") + odds,
            good=bool(floor.get("passed")),
            drawn=picture(_against(floor), f"{floor.get('name')}: value against limit"),
            below="; ".join(str(floor[key]) for key in ("reason", "window") if floor.get(key)),
        )


def _against(floor: dict[str, Any]) -> dict[str, Any] | None:
    """The value as a dot and the limit as a line, with zero and some room in sight."""
    value, limit = floor.get("value"), floor.get("limit")
    if not (_is_real(value) and _is_real(limit)):
        return None
    low, high = min(0.0, value, limit), max(0.0, value, limit)
    room = 0.15 * ((high - low) or 1.0)
    side = {"low": limit, "high": high + room} if str(floor.get("op", ">"))[0] == ">" else {"low": low, "high": limit}
    return {"kind": "range", "mark": value, "limit": limit, "least": low, "most": high + room, **side}


def _is_real(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _figure(floor: dict[str, Any], key: str) -> str:
    """A value or limit as people say it: shares of one in per cent."""
    value = floor.get(key)
    if floor.get("metric") == "trades" and _is_real(value) and value == int(value):
        return f"{int(value):,}"
    if floor.get("metric") in SHARES and _is_real(value):
        return f"{number(100.0 * float(value), 2)} %"
    return significant(value) if key == "limit" and isinstance(value, float) else value_of(value)


def operator(op: object) -> str:
    """A comparison by its sign."""
    return {">=": "≥", "<=": "≤", None: ""}.get(op, str(op)) if isinstance(op, str | None) else str(op)


def value_of(value: object) -> str:
    """A figure of a report: infinity and what is missing by signs, fractions to four places, smaller ones whole."""
    if isinstance(value, str):
        return {"inf": "∞", "-inf": "\u2212∞", "nan": MISSING}.get(value, value)
    if isinstance(value, float):
        return significant(value, 3) if 0.0 < abs(value) < 5e-5 else number(value, 4)
    return plain(value)
