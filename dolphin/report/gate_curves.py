"""Equity of a candidate against the champion and a bought symbol, as inline SVG with a table of how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dolphin.report.markup import Cell, card, signed, table, text
from dolphin.report.numerals import percent, round_levels
from dolphin.report.palette import GAIN, QUIET

#: Units of the picture, and of the room at the left and below.
WIDTH, HEIGHT, LEFT, BELOW, ABOVE = 860.0, 300.0, 92.0, 26.0, 10.0
#: Name, colour and dash of each curve: none is told by its colour alone.
_CURVES = (
    ("candidate", "candidate", GAIN, ""),
    ("champion", "present champion", "#b07aa1", "9 4"),
    ("hold", "buy and hold", QUIET, "2 4"),
)


def equity_card(curves: Any) -> str:
    """The card, or nothing where a report has no curves (older ones)."""
    if not isinstance(curves, dict) or not _is_curve(curves.get("candidate")):
        return ""
    there = [(name, colour, dash, curves[key]) for key, name, colour, dash in _CURVES if _is_curve(curves.get(key))]
    reference = str(curves.get("reference", ""))
    named = [(f"{name} of {reference}" if name == "buy and hold" else name, *rest) for name, *rest in there]
    missing = "" if _is_curve(curves.get("champion")) else " There is no other champion to compare with."
    note = f"Return since the start of the judged window, at the end of each UTC day.{missing}"
    days = [str(day) for day in curves.get("days") or ("",)]
    first = str(curves.get("from", days[0]))[:10]
    return card("Equity", _picture(named, first, days[-1]) + _ends(named), note=note)


def _is_curve(values: Any) -> bool:
    return isinstance(values, list) and len(values) > 1 and all(isinstance(v, int | float) for v in values)


def _picture(curves: Sequence[tuple[Any, ...]], first: str, last: str) -> str:
    every = [value - 1.0 for *_, values in curves for value in values]
    low, high = min(0.0, *every), max(0.0, *every)
    air = 0.04 * ((high - low) or 0.02)
    low, high = low - air, high + air

    def down(value: float) -> float:
        return ABOVE + (HEIGHT - BELOW - ABOVE) * (high - value) / (high - low)

    parts = []
    for value in round_levels(low, high, 5):
        y, dash = down(value), ' stroke-dasharray="2 3"' if value else ""
        parts.append(
            f'<line x1="{LEFT:g}" x2="{WIDTH:g}" y1="{y:.1f}" y2="{y:.1f}" stroke="{QUIET}" opacity="0.5"{dash}/>'
            f'<text x="{LEFT - 6:g}" y="{y + 4:.1f}" text-anchor="end">{text(percent(value, 0, signed=True))}</text>'
        )
    for _, colour, dash, values in reversed(curves):
        step = (WIDTH - LEFT) / (len(values) - 1)
        points = " ".join(f"{LEFT + k * step:.1f},{down(value - 1.0):.1f}" for k, value in enumerate(values))
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.2"{dashed}/>')
    foot = HEIGHT - 6.0
    parts.append(f'<text x="{LEFT:g}" y="{foot:g}">{text(first)}</text>')
    parts.append(f'<text x="{WIDTH:g}" y="{foot:g}" text-anchor="end">{text(last)}</text>')
    ends = "; ".join(f"{name} {percent(values[-1] - 1.0, 1, signed=True)}" for name, _, _, values in curves)
    return (
        f'<svg class="curves" role="img" aria-label="{text(f"Return from {first} to {last}: {ends}")}" width="100%" '
        f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}">{"".join(parts)}</svg>'
    )


def _ends(curves: Sequence[tuple[Any, ...]]) -> str:
    rows = []
    for name, colour, dash, values in curves:
        peak, fall = values[0], 0.0
        for value in values:
            peak = max(peak, value)
            fall = max(fall, (peak - value) / peak if peak > 0 else 0.0)
        sign = {"": "━", "9 4": "╍"}.get(dash, "┄")
        end = values[-1] - 1.0
        rows.append(
            [
                Cell(name, mark=(colour, sign)),
                signed(percent(end, 1, signed=True), end),
                Cell(percent(fall, 1)),
            ]
        )
    return table(["", "Return", "Largest fall"], rows, kind="whole")
