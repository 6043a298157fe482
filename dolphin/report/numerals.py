"""Numbers as people read them: thousand separators, a true minus sign, ``∞`` and ``–``."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from dolphin.times import SECOND_NS

MISSING = "\u2013"
#: Figures that are shares of one: people read them in per cent.
SHARES = ("win_rate", "roi", "max_drawdown", "exposure", "worst_10_days")
TIMES = "\u00d7"
_MINUS = "\u2212"


def round_levels(low: float, high: float, steps: int) -> list[float]:
    """Round numbers between ``low`` and ``high``, 1, 2 or 5 times a power of ten apart, in at most ``steps`` steps.

    Zero is among them where it lies between. ``high`` must be above ``low``.
    """
    raw = (high - low) / steps
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1.0, 2.0, 5.0, 10.0) if size * power >= raw)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def number(value: float | None, digits: int = 2, *, signed: bool = False, suffix: str = "") -> str:
    """Return ``value`` with ``digits`` decimals; None and not-a-number are a dash.

    A value that rounds to zero carries no sign, so that no "−0.00" is ever shown.
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return ("+" if signed else "") + "∞" if value > 0 else _MINUS + "∞"
    body = f"{abs(value):,.{digits}f}"
    zero = not any(c in "123456789" for c in body)
    sign = "" if zero else _MINUS if value < 0 else "+" if signed else ""
    return f"{sign}{body}{suffix}"


def percent(fraction: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """Return a fraction as per cent: 0.0123 is ``1.23%``."""
    scaled = None if fraction is None else fraction * 100.0
    return number(scaled, digits, signed=signed, suffix="%")


def significant(value: float, digits: int = 6) -> str:
    """Return a price or a parameter in its shortest form of at most ``digits`` significant digits."""
    if not math.isfinite(value):
        return number(value)
    if value == int(value) and abs(value) < 1e15:
        return number(value, 0)
    text = f"{value:,.{digits}g}"
    return text.replace("-", _MINUS, 1) if text.startswith("-") else text


def instant(ts: int) -> str:
    """Return nanoseconds since 1970 UTC as ``2022-10-01 00:05:00``, with milliseconds only if any."""
    seconds, rest = divmod(ts, SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{rest // 1_000_000:03d}" if rest else text


def duration(nanoseconds: float) -> str:
    """Return a length of time in its two largest units: ``5 s``, ``5 min``, ``10 h 25 min``, ``61 d``."""
    seconds = nanoseconds / SECOND_NS
    if seconds < 60:
        return f"{seconds:g} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60))
    rest, parts = round(seconds), []
    for name, size in units:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:,} {name}")
    if rest and len(parts) < 2:
        parts.append(f"{rest} s")
    return " ".join(parts[:2])


def plain(value: Any) -> str:
    """Return any JSON scalar as text for a table of facts: exact, not rounded."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", _MINUS)
    if isinstance(value, float):
        return repr(value).replace("-", _MINUS, 1) if value < 0 else repr(value)
    return str(value)
