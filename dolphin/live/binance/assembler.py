"""From an exchange's bars, as they come, to rows: complete or at their deadline, in order, each once. No I/O, no clock.

Rows close by the exchange's time and never by this machine's clock: that time is the newest close that a bar has named,
plus what has passed since by a monotonic clock. What is missing in a row carries its last price at an age one higher,
as the catalog fills; a stretch without any bar becomes rows on which nothing is traded; what comes later is late.

Where somebody can be asked (``asks``), rows wait behind a hole in the bars until the answer is there
(:meth:`Assembler.fill`) or the deadline of the bar that showed the hole: rows of it then have the exchange's prices,
and still nothing is traded on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dolphin.core.records import Floats

#: How long a row waits for its last symbols, ms of the exchange's time after its close.
DEADLINE_MS = 1500

#: Rows of a hole that are asked for at most: one page of the exchange's answer.
MOST = 1500

#: A symbol's bar: its close, and its values of the columns beside closes.
type Bar = tuple[float, Sequence[float]]


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


class Fetched(NamedTuple):
    """What was asked for because the stream did not bring it.

    From the close of the first row to that of the last: how many bars came, how many of them were too late for their
    rows, how long it took, and why nothing came, if so.
    """

    first_ms: int
    last_ms: int
    bars: int
    late: int
    took_ms: int
    failed: str


class _Bars:
    """The bars of a row that is not closed yet, each put in its place as it comes: the last one only completes it."""

    __slots__ = ("came", "more", "price")

    def __init__(self, assets: int, columns: int) -> None:
        self.came: dict[int, float] = {}
        self.price, self.more = np.empty(assets), np.empty((columns, assets))

    def take(self, column: int, price: float, more: Sequence[float]) -> None:
        """A symbol's bar, its first."""
        self.came[column] = self.price[column] = price
        if len(self.more):
            self.more[:, column] = more


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
    asks : bool
        Whether somebody asks for what a hole lacks.
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
        asks: bool = False,
        columns: Sequence[str] = (),
    ) -> None:
        self.assets, self.spacing_ms, self.deadline_ms = assets, spacing_ms, deadline_ms
        self.last_ms = last_ms
        self._price = np.full(assets, np.nan) if price is None else np.array(price, np.float64)
        self._age = np.full(assets, -1, np.int32) if age is None else np.array(age, np.int32)
        self._carried = np.array([name != "volume" for name in columns], bool)
        self._fresh = np.zeros(assets, np.int32)
        self._waiting: dict[int, _Bars] = {}
        self._newest, self._seen = 0, 0.0
        self._asks, self._held = asks, False
        self._missed: set[int] = set()
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
        if closed or (close_ms + self.deadline_ms <= self._newest and not self._held):
            self.late.append(Late(column, close_ms, price, "late"))
            return []
        row = self._waiting.get(close_ms) or self._begin(close_ms)
        if column in row.came:
            self.late.append(Late(column, close_ms, price, "repeated" if row.came[column] == price else "corrected"))
            return []
        row.take(column, price, more)
        if close_ms > self._newest:
            self._newest, self._seen = close_ms, now_ms
            self._held = self._held or (self._asks and bool(self.holes()))
        elif len(row.came) < self.assets:  # nothing is whole by it, and no time has passed
            return []
        # Not by what passed here: bars that a stalled process has yet to read are no missing ones.
        return self._until(self._newest)

    def _begin(self, close_ms: int) -> _Bars:
        row = self._waiting[close_ms] = _Bars(self.assets, len(self._carried))
        return row

    def due(self, now_ms: float) -> list[Closed]:
        """The rows whose time is up."""
        return self._until(self.exchange_ms(now_ms))

    @property
    def held(self) -> bool:
        """Whether rows wait behind a hole."""
        return self._held

    def holes(self) -> list[int]:
        """Closes before the newest whose rows lack bars; the last :data:`MOST` of them."""
        if self.last_ms is None:
            return []
        first = max(self.last_ms + self.spacing_ms, self._newest - MOST * self.spacing_ms)
        closes = range(first, self._newest, self.spacing_ms)
        return [close for close in closes if len(self._came(close)) < self.assets]

    def _came(self, close_ms: int) -> Mapping[int, float]:
        """The prices of a row that came so far, by column."""
        row = self._waiting.get(close_ms)
        return {} if row is None else row.came

    def exchange_ms(self, now_ms: float) -> float:
        """The exchange's time, as far as the newest bar tells it."""
        return self._newest + (now_ms - self._seen)

    def next_close(self, asked_ms: int = 0) -> int | None:
        """The row that is to come next and was not asked for yet; None as long as no bar has told the time."""
        if not self._newest or self.last_ms is None:
            return None
        first = min(self._waiting, default=self.last_ms + self.spacing_ms)
        return max(first, asked_ms + self.spacing_ms) if asked_ms >= first else first

    def lacking(self, closes: Sequence[int]) -> list[int]:
        """The columns that one of these rows lacks."""
        rows = [self._came(close) for close in closes]
        return [column for column in range(self.assets) if any(column not in row for row in rows)]

    @property
    def newest(self) -> int:
        """The newest close that a bar has named, ms; 0 before the first."""
        return self._newest

    @property
    def stand(self) -> tuple[int, int]:
        """What a deadline hangs on: the newest close, and how many rows wait."""
        return self._newest, len(self._waiting)

    def fill(self, found: Mapping[int, Mapping[int, Bar]], now_ms: float, told_ms: float = 0.0) -> list[Closed]:
        """What was asked for, by close and column; the rows that close with it. Rows wait for nothing any more.

        ``told_ms`` is the exchange's time if it was asked for: a clock of this machine stands still while it sleeps.
        """
        over = max(self.exchange_ms(now_ms), told_ms) - self.deadline_ms
        newest = max([self._newest, *found])
        for close_ms, bars in sorted(found.items()):
            if self.last_ms is not None and close_ms <= self.last_ms:
                self.late += [Late(column, close_ms, price, "late") for column, (price, _) in bars.items()]
                continue
            row = self._waiting.get(close_ms) or self._begin(close_ms)
            for column, bar in bars.items():
                if column not in row.came:
                    row.take(column, *bar)
            if close_ms < newest or close_ms <= over:
                self._missed.add(close_ms)
            if close_ms > self._newest:
                self._newest, self._seen = close_ms, now_ms
        self._held = False
        return self._until(self.exchange_ms(now_ms))

    def _until(self, exchange_ms: float) -> list[Closed]:
        """The rows that are complete, or whose deadline lies before a time of the exchange."""
        if self._held:
            if exchange_ms < self._newest + self.deadline_ms:
                return []
            self._held = False
        closed: list[Closed] = []
        for close_ms in sorted(self._waiting):
            whole = len(self._waiting[close_ms].came) == self.assets
            if not whole and exchange_ms < close_ms + self.deadline_ms:
                break
            closed += self._close(close_ms)
        return closed

    def wait_ms(self, now_ms: float) -> float | None:
        """How long until :meth:`due` may have something to say; None if nothing waits."""
        if not self._waiting:
            return None
        exchange_ms = self.exchange_ms(now_ms)
        first = self._newest if self._held else min(self._waiting)
        return max(0.0, first + self.deadline_ms - exchange_ms)

    def _close(self, close_ms: int) -> list[Closed]:
        row = self._waiting.pop(close_ms)
        closed = []
        if self.last_ms is not None:
            for missed in range(self.last_ms + self.spacing_ms, close_ms, self.spacing_ms):
                closed.append(self._row(missed, None))
        closed.append(self._row(close_ms, row))
        self.last_ms = close_ms
        return closed

    def _row(self, close_ms: int, row: _Bars | None) -> Closed:
        """What is missing stands at its last price, in the columns too; nothing of it was traded."""
        came = 0 if row is None else len(row.came)
        if row is not None and came == self.assets:
            self._price, self._age, more = row.price, self._fresh, row.more
        else:
            self._price, age = self._price.copy(), self._age.copy()
            age[age >= 0] += 1
            self._age = age
            more = np.where(self._carried[:, None], self._price, np.where(np.isnan(self._price), np.nan, 0.0))
            if row is not None:
                columns = np.fromiter(row.came, np.int64, came)
                self._price[columns] = row.price[columns]
                age[columns] = 0
                more[:, columns] = row.more[:, columns]
        # What was missed is over: it is known as it was, and not traded on.
        trade = came > 0 and close_ms not in self._missed
        self._missed.discard(close_ms)
        # Nobody writes into a row that is out: the next one has arrays of its own.
        return Closed(close_ms, self._price, self._age, came, trade, more)
