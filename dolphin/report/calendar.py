"""Daily returns as a calendar, a square per UTC day, as inline SVG: a run of any length keeps its days."""

from __future__ import annotations

from datetime import date, timedelta

from dolphin.report.markup import text
from dolphin.report.numerals import percent
from dolphin.report.palette import GAIN, LOSS, QUIET

#: Units of a square with its gap, of the room at the left, and above a year.
CELL, LEFT, ABOVE = 13, 34, 18
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def calendar_picture(days: list[tuple[date, float | None]]) -> str:
    """Squares by week (across) and weekday (down), a block per year; darker is further from zero.

    A gain is blue, a loss orange with a bar across it; a day without a return is hollow. What a square stands for is
    told on hover.
    """
    if len(days) > 1 and not days[0][1] and days[0][0].year < days[1][0].year:
        days = days[1:]  # a first bar that closes at midnight ends a year that the run has nothing of
    strongest = max((abs(value) for _, value in days if value is not None), default=0.0)
    blocks: list[str] = []
    years = sorted({day.year for day, _ in days})
    for row, year in enumerate(years):
        top = row * (ABOVE + 7 * CELL + 8)
        blocks.append(f'<text x="0" y="{top + ABOVE - 6}" font-weight="600">{year}</text>')
        monday = date(year, 1, 1) - timedelta(days=date(year, 1, 1).weekday())
        for month, name in enumerate(_MONTHS, start=1):
            week = (date(year, month, 1) - monday).days // 7
            blocks.append(f'<text x="{LEFT + week * CELL}" y="{top + ABOVE - 6}">{name}</text>')
        for day, value in days:
            if day.year == year:
                place = LEFT + (day - monday).days // 7 * CELL, top + ABOVE + day.weekday() * CELL
                blocks.append(_square(*place, day, value, strongest))
    height = len(years) * (ABOVE + 7 * CELL + 8)
    label = f"Daily returns from {days[0][0]} to {days[-1][0]}"
    return (
        f'<div class="scroll" tabindex="0"><svg class="calendar" role="img" aria-label="{text(label)}" '
        f'viewBox="0 0 {LEFT + 54 * CELL} {height}" width="{LEFT + 54 * CELL}">{"".join(blocks)}</svg></div>'
    )


def _square(x: int, y: int, day: date, value: float | None, strongest: float) -> str:
    told = f"<title>{day:%a %Y-%m-%d}: {text(percent(value, 2, signed=True))}</title>"
    size = CELL - 2
    place = f'x="{x}" y="{y}" width="{size}" height="{size}"'
    if not value or not strongest:
        return f'<rect {place} fill="none" stroke="{QUIET}" stroke-opacity=".4">{told}</rect>'
    alpha = 0.15 + 0.85 * (abs(value) / strongest) ** 0.7
    colour = GAIN if value > 0 else LOSS
    square = f'<rect {place} rx="2" fill="{colour}" fill-opacity="{alpha:.2f}">{told}</rect>'
    if value > 0:
        return square
    middle = y + size / 2
    return square + (
        f'<line x1="{x + 2}" x2="{x + size - 2}" y1="{middle}" y2="{middle}" stroke="currentColor" '
        'stroke-width="1.2" pointer-events="none"/>'
    )
