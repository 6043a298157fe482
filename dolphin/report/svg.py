"""Small pictures drawn by hand: they need no script, and print as they look."""

from __future__ import annotations

from typing import NamedTuple

from dolphin.report.markup import text


class Frame(NamedTuple):
    """Pixels of a picture, and where its plot begins at the left."""

    width: float
    height: float
    left: float

    def level(self, y: float, label: str, colour: str, dash: str) -> str:
        """A dashed line across the plot with its label at the left."""
        place = f'x1="{self.left:g}" x2="{self.width - 8.0:g}" y1="{y:.1f}" y2="{y:.1f}"'
        line = f'<line {place} stroke="{colour}" stroke-dasharray="{dash}"/>'
        return line + words(self.left - 6.0, y + 4.0, label, "end")

    def picture(self, label: str, parts: list[str]) -> str:
        """The parts as one inline SVG that a narrow screen scrolls; ``label`` says the same to who cannot see it."""
        return (
            f'<div class="scroll flat" tabindex="0"><svg class="frame" role="img" aria-label="{text(label)}" '
            f'width="100%" viewBox="0 0 {self.width:g} {self.height:g}">{"".join(parts)}</svg></div>'
        )


def words(x: float, y: float, shown: str, anchor: str) -> str:
    """Text at a place; ``anchor`` is start, middle or end."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" fill="currentColor">{text(shown)}</text>'
    )
