"""Green against blue as a page: the verdict, the evidence growing day by day, the days that a difference needs."""

from __future__ import annotations

import math
from typing import Any

from dolphin.errors import DolphinError
from dolphin.report.markup import Cell, card, facts, page, table, text
from dolphin.report.palette import GAIN, LOSS, QUIET
from dolphin.report.svg import Frame, words

_KEYS = ("verdict", "sentence", "green", "blue", "path", "enough", "days_needed", "days", "days_of_scale", "warnings")
#: The picture, and the pixels for its labels below.
FRAME, BELOW = Frame(860.0, 320.0, 56.0), 28.0
#: Evidence below this is drawn at it.
LEAST = 0.01


def comparison_page(found: dict[str, Any]) -> str:
    """Return a comparison as one self-contained HTML document without scripts.

    Parameters
    ----------
    found : dict
        As ``dolphin compare --json`` writes it.

    Raises
    ------
    DolphinError
        If a key is missing.
    """
    missing = [key for key in _KEYS if key not in found]
    if missing:
        raise DolphinError(f"no {', '.join(missing)}", where="comparison", mend="run dolphin compare again")
    green, blue = str(found["green"]["name"]), str(found["blue"]["name"])
    tone = {"green is better": "good", "keep blue": "bad"}.get(found["verdict"], "")
    synthetic = '<span class="badge synthetic">SYNTHETIC DATA</span>' if found.get("synthetic") else ""
    parts = [
        f'<header><div class="title"><h1>{text(green)} against {text(blue)}</h1>'
        f'<span class="badge {tone}">{text(found["verdict"])}</span>{synthetic}</div>'
        f'<p class="sub">{text(found["sentence"])}</p></header>',
        *(f'<p class="notice">{text(line)}</p>' for line in found["warnings"]),
        card(
            "Evidence, day by day",
            evidence_picture(found["path"], float(found["enough"]), green, blue) or "<p>No day was judged yet.</p>",
            note=(
                f"Capital of a bet on the daily difference, log scale; {found['enough']:g} is enough. It may be looked "
                "at on every day: without a difference it gets there in at most about one of twenty cases, ever."
            ),
        ),
        card("Days that a difference needs", _needed(found)),
        card("The two", _sides(found)),
    ]
    return page(f"{green} against {blue}: {found['verdict']}", "\n".join(parts))


def evidence_picture(path: dict[str, Any], enough: float, green: str, blue: str) -> str:
    """The evidence of both sides over the days as inline SVG; nothing without days."""
    days = path["day"]
    if not days:
        return ""
    curves = [[max(LEAST, float(value)) for value in path[key]] for key in ("for_green", "for_blue")]
    high = math.log10(max(enough * 2.0, *(max(curve) for curve in curves)))
    low = math.log10(min(0.5, *(min(curve) for curve in curves)))

    def across(k: int) -> float:
        return FRAME.left + (FRAME.width - FRAME.left - 8.0) * (k / max(len(days) - 1, 1))

    def down(value: float) -> float:
        return 8.0 + (FRAME.height - BELOW - 8.0) * (high - math.log10(value)) / (high - low)

    marks = [
        value
        for power in range(math.floor(low), math.ceil(high) + 1)
        if low <= math.log10(value := 10.0**power) <= high
    ]
    parts = [FRAME.level(down(value), f"{value:g}", QUIET, "1 3") for value in marks]
    parts.append(FRAME.level(down(enough), f"{enough:g}", LOSS, "6 3"))
    for curve, colour, dash in zip(curves, (GAIN, QUIET), ("", ' stroke-dasharray="5 3"'), strict=True):
        points = " ".join(f"{across(k):.1f},{down(value):.1f}" for k, value in enumerate(curve))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        if len(curve) == 1:
            parts.append(f'<circle cx="{across(0):.1f}" cy="{down(curve[0]):.1f}" r="3" fill="{colour}"/>')
    foot = FRAME.height - 8.0
    parts.append(words(FRAME.left, foot, str(days[0]), "start"))
    parts.append(words(FRAME.width - 8.0, foot, str(days[-1]), "end"))
    parts.append(
        words((FRAME.left + FRAME.width) / 2, foot, f"solid: {green} is better; dashed: {blue} is better", "middle")
    )
    ends = [f"{path[key][-1]:.3g} for {name}" for key, name in (("for_green", green), ("for_blue", blue))]
    label = f"Evidence from {days[0]} to {days[-1]}: {', '.join(ends)}"
    return FRAME.picture(label, parts)


def _needed(found: dict[str, Any]) -> str:
    limit = found.get("days_needed_at_most")
    more = f"over {limit:,}" if isinstance(limit, int) else "more than were tried"

    def days(count: int | None) -> Cell:
        return Cell(more if count is None else f"{count:,}")

    rows = [
        [
            Cell(f"{row['sharpe']:g}"),
            days(row["days"]),
            days(row["days_from_here"]),
            Cell(f"{row['within_a_year']:.0%}"),
        ]
        for row in found["days_needed"]
    ]
    heads = [
        "Sharpe ratio of the difference",
        "Median days from a start",
        "Median days from here",
        "Told within a year",
    ]
    return table(heads, rows)


def _sides(found: dict[str, Any]) -> str:
    keys = ("first_day", "last_day", "days", "days_of_scale", "mean_difference", "sharpe_of_difference")
    blocks = [facts([(key.replace("_", " "), found.get(key)) for key in keys])]
    for side in ("green", "blue"):
        blocks.append(f"<h3>{text(side)}</h3>{facts(found[side].items())}")
    return "".join(blocks)
