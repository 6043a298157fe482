"""A half-open stretch of rows, as windows, folds and batches name their bars."""

from __future__ import annotations

from typing import NamedTuple

from dolphin.core.records import Ints


class Span(NamedTuple):
    """Rows ``start`` to ``stop`` of a market, the last one not included."""

    start: int
    stop: int

    @property
    def bars(self) -> int:
        """How many rows."""
        return self.stop - self.start

    def closes(self, ts: Ints) -> tuple[int, int]:
        """Close of the first and of the last bar, ns; ``ts`` (T,) is the close of every row."""
        return int(ts[self.start]), int(ts[self.stop - 1])
