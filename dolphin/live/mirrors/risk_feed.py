"""A feed whose rows carry the risk inputs of the moment: the trading process's own breaker and survival stack."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from dolphin.catalog import Instrument
from dolphin.live.feed import Feed, History, Row
from dolphin.live.mirrors.breaker import LiveBreaker
from dolphin.live.mirrors.safety import EVERY, Known, SafetyRecord, SafetyStack, invariants_of
from dolphin.times import SECOND_NS


class RiskFeed:
    """Another feed's rows with ``risk``; a row that brings its own keeps it.

    The journal has the row before it is decided on, so that what stood in the store at that moment is on record.

    Parameters
    ----------
    feed : Feed
    breaker : LiveBreaker
    stack : SafetyStack
    known : callable
        Gives what the stack's check at a time reads: equity, the store's health, forecast, book.
    clock : callable, optional
        Now, ns UTC. Then the stack is checked every ten seconds, by a row or by :meth:`check_if_due`, and at every
        row while the store is gone; without a clock the time is that of the rows, and each of them is a check.
    applied : bool
        Whether rows carry what was found; otherwise it is only told.
    """

    def __init__(
        self,
        feed: Feed,
        breaker: LiveBreaker,
        stack: SafetyStack,
        known: Callable[[int], Known],
        clock: Callable[[], int] | None = None,
        applied: bool = True,
    ) -> None:
        self.feed, self.breaker, self.stack, self.known = feed, breaker, stack, known
        self.clock, self.applied = clock, applied
        self.record: SafetyRecord | None = None

    @property
    def name(self) -> str:
        """See :class:`~dolphin.live.feed.Feed`."""
        return self.feed.name

    @property
    def symbols(self) -> tuple[str, ...]:
        """See :class:`~dolphin.live.feed.Feed`."""
        return self.feed.symbols

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """See :class:`~dolphin.live.feed.Feed`."""
        return self.feed.instruments

    @property
    def reference(self) -> str:
        """See :class:`~dolphin.live.feed.Feed`."""
        return self.feed.reference

    @property
    def spacing_ns(self) -> int:
        """See :class:`~dolphin.live.feed.Feed`."""
        return self.feed.spacing_ns

    async def history(self, rows: int, after: int | None) -> History:
        """See :class:`~dolphin.live.feed.Feed`."""
        return await self.feed.history(rows, after)

    async def rows(self, after: int | None) -> AsyncIterator[Row]:
        """See :class:`~dolphin.live.feed.Feed`."""
        async with aclosing(self.feed.rows(after)) as source:  # type: ignore[type-var]
            async for row in source:
                if row.risk is None:
                    risk = self._risk(row)
                    row = replace(row, risk=risk) if self.applied else row
                yield row

    async def close(self) -> None:
        """See :class:`~dolphin.live.feed.Feed`."""
        await self.feed.close()

    def check_if_due(self) -> bool:
        """Check the stack if ten seconds have passed since it was, or at once where the store is gone."""
        if self.clock is None:
            return False
        now = self.clock()
        known = self.known(now)
        waits = self.record is not None and 0 <= now - self.record.ts < EVERY * SECOND_NS
        if waits and invariants_of(known.health) > 0.0:
            return False
        self.record = self.stack.check(now, known)
        return True

    def _risk(self, row: Row) -> np.ndarray:
        boost = self.breaker.decide(row.ts, row.bar)
        if self.clock is None:
            self.record = self.stack.check(row.ts, self.known(row.ts))
        else:
            self.check_if_due()
        record = self.record
        assert record is not None
        # A step that weighs its account's drawdown reads Rm1 to Rm4 and makes Rm and posture itself; one that does
        # not has them as the last check found them.
        risk = self.stack.inputs.copy()
        risk["boost"], risk["beta"] = boost.boost, boost.beta
        risk["rm"], risk["posture"] = record.rm, record.posture
        return risk
