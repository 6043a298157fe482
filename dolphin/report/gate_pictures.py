"""Small pictures of the gate's evidence as inline SVG: where a figure stands, and against what."""

from __future__ import annotations

import math
from typing import Any

from dolphin.report.markup import text
from dolphin.report.palette import GAIN, LOSS, QUIET

#: Pixels of a picture.
WIDTH, HEIGHT, EDGE = 168.0, 34.0, 5.0


def picture(document: Any, label: str) -> str:
    """A picture by its ``kind``: ``range``, ``bars`` or ``dots``; nothing for what is unknown or has no numbers."""
    kinds = {"range": _range, "bars": _bars, "dots": _dots}
    if not isinstance(document, dict) or document.get("kind") not in kinds:
        return ""
    inner = kinds[document["kind"]](document)
    if not inner:
        return ""
    return (
        f'<svg class="small" role="img" aria-label="{text(label)}" width="{WIDTH:g}" height="{HEIGHT:g}" '
        f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}">{inner}</svg>'
    )


def _range(document: dict[str, Any]) -> str:
    """A bar from low to high, a dot at the mark, a line at the limit; ``least`` and ``most`` only make room."""
    low, high, mark, limit = (_number(document.get(key)) for key in ("low", "high", "mark", "limit"))
    known = [value for value in (low, high, mark, limit) if value is not None]
    if mark is None or len(known) < 2:
        return ""
    known += [value for key in ("least", "most") if (value := _number(document.get(key))) is not None]
    place = _scale(min(known), max(known))
    parts = []
    if low is not None and high is not None:
        parts.append(_line(place(low), place(high), HEIGHT / 2, QUIET, 6))
    if limit is not None:
        parts.append(_upright(place(limit), LOSS, 4.0, HEIGHT - 4.0))
    parts.append(_dot(place(mark), HEIGHT / 2, 4.5, GAIN))
    return "".join(parts)


def _bars(document: dict[str, Any]) -> str:
    """Bars from a zero line, those below it in another colour."""
    values = [value for value in map(_number, document.get("values") or []) if value is not None]
    if not values:
        return ""
    low, high = min(0.0, *values), max(0.0, *values)
    if low == high:
        return ""
    width = (WIDTH - 2 * EDGE) / len(values)
    zero = _height(0.0, low, high)
    parts = []
    for k, value in enumerate(values):
        top, bottom = sorted((zero, _height(value, low, high)))
        parts.append(
            f'<rect x="{EDGE + k * width + 0.5:.1f}" y="{top:.1f}" width="{max(width - 1.0, 0.8):.1f}" '
            f'height="{max(bottom - top, 0.6):.1f}" fill="{GAIN if value >= 0.0 else LOSS}"/>'
        )
    return "".join(parts) + _line(EDGE, WIDTH - EDGE, zero, QUIET, 0.8)


def _dots(document: dict[str, Any]) -> str:
    """Many values as faint dots, the mark as a large one, a line at the limit."""
    values = [value for value in map(_number, document.get("values") or []) if value is not None]
    mark, limit = _number(document.get("mark")), _number(document.get("limit"))
    known = [*values, *(value for value in (mark, limit) if value is not None)]
    if mark is None or len(known) < 2:
        return ""
    place = _scale(min(known), max(known))
    parts = [_dot(place(v), HEIGHT / 2 + 7.0 * ((k * 5) % 7 - 3) / 3, 2.0, QUIET) for k, v in enumerate(values)]
    if limit is not None:
        parts.append(_upright(place(limit), LOSS, 4.0, HEIGHT - 4.0))
    return "".join(parts) + _upright(place(mark), GAIN, 2.0, HEIGHT - 2.0) + _dot(place(mark), HEIGHT / 2, 4.5, GAIN)


def _scale(low: float, high: float) -> Any:
    spread = (high - low) or 1.0
    return lambda value: EDGE + (WIDTH - 2 * EDGE) * (value - low) / spread


def _height(value: float, low: float, high: float) -> float:
    return EDGE / 2 + (HEIGHT - EDGE) * (high - value) / (high - low)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _line(x1: float, x2: float, y: float, colour: str, width: float) -> str:
    return (
        f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="{width:g}" '
        'stroke-linecap="round" stroke-opacity="0.7"/>'
    )


def _upright(x: float, colour: str, top: float, bottom: float) -> str:
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:g}" y2="{bottom:g}" stroke="{colour}" stroke-width="2" '
        'stroke-dasharray="3 2"/>'
    )


def _dot(x: float, y: float, radius: float, colour: str) -> str:
    opacity = "" if radius > 3.0 else ' fill-opacity="0.5"'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"{opacity}/>'
