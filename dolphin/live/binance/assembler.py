"""From an exchange's bars, as they come, to rows: complete or at their deadline, in order, each once. No I/O, no clock.

Rows close by the exchange's time and never by this machine's clock: that time is the newest close that a bar has named,
plus what has passed since by a monotonic clock. What is missing in a row carries its last price at an age one higher,
as the catalog fills; a stretch without any bar becomes rows on which nothing is traded; what comes later is late.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dolphin.core.records import Floats

#: How long a row waits for its last symbols, ms of the exchange's time after its close.
DEADLINE_MS = 1500


class Closed(NamedTuple):
    """A row: its close (ms, on the grid), prices, ages, how many bars came for it, whether it may be traded on.

    ``more`` (C, N) are the columns beside closes.
    """

    close_ms: int
    price: Floats
    age: NDArray[np.int32]
    came: int
    trade: bool
    more: Floats


class Late(NamedTuple):
    """A bar that changed nothing: its row was closed, it was there already (``repeated``), or it is off the grid."""

    column: int
    close_ms: int
    price: float
    why: str


class Assembler:
    """One market's rows.

    Parameters
    ----------
    assets : int
        Columns.
    spacing_ms : int
    deadline_ms : int
        See :data:`DEADLINE_MS`.
    last_ms : int, optional
        Close of the last row that is known; without it the first bar that comes begins.
    price, age : float64 [N], int32 [N], optional
        Of that row.
    columns : sequence of str
        What bars hold beside their close: open, high, low, volume.
    """

    def __init__(
        self,
        assets: int,
        spacing_ms: int,
        deadline_ms: int = DEADLINE_MS,
        *,
        last_ms: int | None = None,
        price: Floats | None = None,
        age: NDArray[np.int32] | None = None,
        columns: Sequence[str] = (),
    ) -> None:
        self.assets, self.spacing_ms, self.deadline_ms = assets, spacing_ms, deadline_ms
        self.last_ms = last_ms
        self._price = np.full(assets, np.nan) if price is None else np.array(price, np.float64)
        self._age = np.full(assets, -1, np.int32) if age is None else np.array(age, np.int32)
        self._carried = np.array([name != "volume" for name in columns], bool)
        self._waiting: dict[int, dict[int, tuple[float, Sequence[float]]]] = {}
        self._newest, self._seen = 0, 0.0
        self.late: list[Late] = []

    def bar(
        self, column: int, close_ms: int, price: float, now_ms: float, more: Sequence[float] = ()
    ) -> list[Closed]:  # fmt: skip
        """A symbol's bar; the rows that close with it.

        Parameters
        ----------
        close_ms : int
            The bar's close on the grid, by the exchange's clock.
        now_ms : float
            A monotonic clock of this machine.
        more : sequence of float
            The bar's values of the columns beside its close.
        """
        if close_ms % self.spacing_ms:
            self.late.append(Late(column, close_ms, price, "off the grid"))
            return []
        closed = self.last_ms is not None and close_ms <= self.last_ms
        if closed or close_ms + self.deadline_ms <= self._newest:
            self.late.append(Late(column, close_ms, price, "late"))
            return []
        row = self._waiting.setdefault(close_ms, {})
        if column in row:
            self.late.append(Late(column, close_ms, price, "repeated" if row[column][0] == price else "corrected"))
            return []
        row[column] = price, more
        if close_ms > self._newest:
            self._newest, self._seen = close_ms, now_ms
        # Not by what passed here: bars that a stalled process has yet to read are no missing ones.
        return self._until(self._newest)

    def due(self, now_ms: float) -> list[Closed]:
        """The rows whose time is up."""
        return self._until(self._newest + (now_ms - self._seen))

    def _until(self, exchange_ms: float) -> list[Closed]:
        """The rows that are complete, or whose deadline lies before a time of the exchange."""
        closed: list[Closed] = []
        for close_ms in sorted(self._waiting):
            whole = len(self._waiting[close_ms]) == self.assets
            if not whole and exchange_ms < close_ms + self.deadline_ms:
                break
            closed += self._close(close_ms)
        return closed

    def wait_ms(self, now_ms: float) -> float | None:
        """How long until :meth:`due` may have something to say; None if nothing waits."""
        if not self._waiting:
            return None
        exchange_ms = self._newest + (now_ms - self._seen)
        return max(0.0, min(self._waiting) + self.deadline_ms - exchange_ms)

    def _close(self, close_ms: int) -> list[Closed]:
        row = self._waiting.pop(close_ms)
        closed = []
        if self.last_ms is not None:
            for missed in range(self.last_ms + self.spacing_ms, close_ms, self.spacing_ms):
                closed.append(self._row(missed, {}))
        closed.append(self._row(close_ms, row))
        self.last_ms = close_ms
        return closed

    def _row(self, close_ms: int, row: dict[int, tuple[float, Sequence[float]]]) -> Closed:
        """What is missing stands at its last price, in the columns too; nothing of it was traded."""
        self._age[self._age >= 0] += 1
        more = np.where(self._carried[:, None], self._price, np.where(np.isnan(self._price), np.nan, 0.0))
        for column, (price, values) in row.items():
            self._price[column], self._age[column] = price, 0
            if len(self._carried):
                more[:, column] = values
        return Closed(close_ms, self._price.copy(), self._age.copy(), len(row), bool(row), more)
