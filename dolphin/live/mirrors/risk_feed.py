"""A feed whose rows carry the risk inputs of the moment: the trading process's own breaker and survival stack."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from dolphin.catalog import Instrument
from dolphin.core.records import RISK
from dolphin.live.feed import Feed, History, Row
from dolphin.live.mirrors.breaker import LiveBreaker
from dolphin.live.mirrors.safety import Known, SafetyStack


class RiskFeed:
    """Another feed's rows with ``risk``; a row that brings its own keeps it.

    The journal has the row before it is decided on, so that what stood in the store at that moment is on record.
    Between two rows the stack is checked by its owner; here at most once a row.

    Parameters
    ----------
    feed : Feed
    breaker : LiveBreaker
    stack : SafetyStack
    known : callable
        Gives what the stack's check reads: equity, the store's health, forecast, book.
    clock : callable
        Now, ns UTC.
    """

    def __init__(
        self,
        feed: Feed,
        breaker: LiveBreaker,
        stack: SafetyStack,
        known: Callable[[], Known],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.feed, self.breaker, self.stack, self.known, self.clock = feed, breaker, stack, known, clock

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
                yield row if row.risk is not None else replace(row, risk=self._risk(row))

    async def close(self) -> None:
        """See :class:`~dolphin.live.feed.Feed`."""
        await self.feed.close()

    def _risk(self, row: Row) -> np.ndarray:
        known = self.known()
        boost = self.breaker.decide(row.ts, row.bar)
        record = self.stack.check(self.clock(), known)
        risk = np.zeros(1, RISK)
        risk["boost"], risk["beta"] = boost.boost, boost.beta
        risk["rm"], risk["posture"] = record.rm, record.posture
        risk["quality"] = np.clip((record.breakdown[2] - 0.3) / 0.7, 0.0, 1.0)
        return risk
