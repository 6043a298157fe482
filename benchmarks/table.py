"""What every benchmark returns and how it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One figure beside its peer's; ``ratio`` is the median of the ratios of paired repetitions."""

    name: str
    ours: float
    peer: float
    ratio: float
    unit: str


def show(title: str, rows: Sequence[Row]) -> None:
    """Print the rows."""
    print(f"\n{title}")
    print(f"  {'':<62}{'ours':>12}{'peer':>12}{'ratio':>9}  unit")
    for row in rows:
        print(f"  {row.name:<62}{row.ours:>12,.1f}{row.peer:>12,.1f}{row.ratio:>8.2f}x  {row.unit}")
