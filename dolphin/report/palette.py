"""Colours that stay apart for colour-blind eyes (after Okabe and Ito), on light and on dark paper."""

from __future__ import annotations

GAIN = "#2f86c8"
LOSS = "#d8642a"
QUIET = "#8a94a3"

_GAIN_RGB = "47, 134, 200"
_LOSS_RGB = "216, 100, 42"

# Colour, plotly marker and the character of the same shape: no reason is told by its colour alone.
_REASONS = {
    "FIXED_TP": ("#2f86c8", "circle", "●"),
    "MAX_HOLD": ("#8a94a3", "diamond", "◆"),
    "STOP_LOSS": ("#d8642a", "x", "✖"),
    "SUBDAY_ACB_NORMALIZATION": ("#c06bb0", "triangle-up", "▲"),
    "HIBERNATE_HALT": ("#d9a400", "square", "■"),
    "LIQUIDATION": ("#b3202c", "star", "★"),
}
_OTHERS = (
    ("#1f9e78", "circle", "●"),
    ("#56b4e9", "diamond", "◆"),
    ("#7d6bd0", "square", "■"),
    ("#a6761d", "triangle-up", "▲"),
)


def reason_marks(reasons: list[str]) -> dict[str, tuple[str, str, str]]:
    """Return colour, plotly marker symbol and character for each exit reason, known or not."""
    unknown = sorted(set(reasons) - _REASONS.keys())
    marks = {reason: _OTHERS[i % len(_OTHERS)] for i, reason in enumerate(unknown)}
    return {reason: _REASONS.get(reason) or marks[reason] for reason in reasons}


def heat(value: float | None, strongest: float) -> str:
    """Return a CSS background for a return: blue gains, orange losses, paler towards zero."""
    if value is None or strongest <= 0 or value == 0:
        return ""
    alpha = 0.08 + 0.57 * min(abs(value) / strongest, 1.0) ** 0.7
    return f"background:rgba({_GAIN_RGB if value > 0 else _LOSS_RGB},{alpha:.2f})"
