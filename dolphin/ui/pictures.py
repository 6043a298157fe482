"""Curves as inline SVG: small ones in a line, and several over each other. They need no script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dolphin.core.records import Floats, Ints
from dolphin.report.decimate import extremes
from dolphin.report.markup import text
from dolphin.report.numerals import percent, round_levels
from dolphin.report.palette import GAIN, LOSS, QUIET
from dolphin.times import SECOND_NS, format_time

#: Colour and dash of each curve: none is told by its colour alone (after Okabe and Ito).
STROKES = ((GAIN, ""), (LOSS, "8 3"), ("#1f9e78", "2 3"), ("#b07aa1", "10 3 2 3"), ("#d9a400", "5 5"), (QUIET, "1 4"))
#: Units of the large picture, and its margins.
_WIDTH, _HEIGHT, _LEFT, _BELOW, _ABOVE = 860.0, 320.0, 84.0, 26.0, 10.0
_POINTS = 700


class Curve(NamedTuple):
    """Returns since the start over times (ns)."""

    name: str
    ts: Ints
    value: Floats


def sparkline(values: Sequence[float] | Floats, label: str, *, width: int = 120, height: int = 28) -> str:
    """A curve as high as a line of text; ``label`` says the same in words."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return '<span class="quiet">-</span>'
    rows = extremes(known, 2 * width)
    low, high = float(known.min()), float(known.max())
    span = (high - low) or 1.0
    points = " ".join(
        f"{row / (len(known) - 1) * width:.1f},{2 + (high - known[row]) / span * (height - 4):.1f}" for row in rows
    )
    return (
        f'<svg class="spark" role="img" aria-label="{text(label)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" preserveAspectRatio="none"><title>{text(label)}</title>'
        f'<polyline points="{points}" fill="none" stroke="{GAIN}" stroke-width="1.5"/></svg>'
    )


def overlaid(curves: Sequence[Curve]) -> str:
    """Several curves on one axis of time."""
    first = min(int(curve.ts[0]) for curve in curves)
    last = max(int(curve.ts[-1]) for curve in curves)
    low = min(0.0, *(float(curve.value.min()) for curve in curves))
    high = max(0.0, *(float(curve.value.max()) for curve in curves))
    air = 0.04 * ((high - low) or 0.02)
    low, high = low - air, high + air
    plot, room = _WIDTH - _LEFT, _HEIGHT - _BELOW - _ABOVE

    def place(ts: int, value: float) -> str:
        across = _LEFT + plot * (ts - first) / max(last - first, 1)
        return f"{across:.1f},{_ABOVE + room * (high - value) / (high - low):.1f}"

    parts = []
    for level in round_levels(low, high, 6):
        y, dash = _ABOVE + room * (high - level) / (high - low), ' stroke-dasharray="2 3"' if level else ""
        parts.append(
            f'<line x1="{_LEFT:g}" x2="{_WIDTH:g}" y1="{y:.1f}" y2="{y:.1f}" stroke="{QUIET}" opacity="0.5"{dash}/>'
            f'<text x="{_LEFT - 6:g}" y="{y + 4:.1f}" text-anchor="end">{text(_level(level, high - low))}</text>'
        )
    for k, curve in reversed(list(enumerate(curves))):
        rows = extremes(curve.value, _POINTS)
        points = " ".join(place(int(curve.ts[row]), float(curve.value[row])) for row in rows)
        colour, dash = STROKES[k % len(STROKES)]
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>')
    foot = _HEIGHT - 6
    for share in (0.0, 0.5, 1.0):
        anchor = {0.0: "start", 0.5: "middle", 1.0: "end"}[share]
        day = format_time(int(first + share * (last - first)) // SECOND_NS * SECOND_NS)[:10]
        parts.append(f'<text x="{_LEFT + share * plot:g}" y="{foot:g}" text-anchor="{anchor}">{day}</text>')
    ends = "; ".join(f"{curve.name} {percent(float(curve.value[-1]), 1, signed=True)}" for curve in curves)
    return (
        f'<svg class="curves" role="img" aria-label="{text(ends)}" width="100%" '
        f'viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}">{"".join(parts)}</svg>'
    )


def stroke(k: int) -> str:
    """The sign of a curve, for a legend."""
    colour, dash = STROKES[k % len(STROKES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        '<svg class="sign" width="34" height="10" aria-hidden="true"><line x1="0" x2="34" y1="5" y2="5" '
        f'stroke="{colour}" stroke-width="3"{dashed}/></svg>'
    )


def _level(value: float, span: float) -> str:
    return percent(value, 0 if span > 0.06 else 2, signed=True)
