"""What a session looks at between its rows: is the feed fresh, the clock right, the store there, the disk not full."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from dolphin.live.feed import Row
from dolphin.times import SECOND_NS, format_duration
from dolphin.trade.alerts import Alerts
from dolphin.trade.limits import Guard
from dolphin.trade.risk_inputs import SessionRisk

#: Seconds between two looks, between two questions for the exchange's clock, and that an answer may take.
EVERY, CLOCK_EVERY, PATIENCE = 0.5, 30.0, 5.0

#: A clock that goes on while the machine sleeps, where the system has one.
_AWAKE_OR_NOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

#: This machine's clock minus the exchange's, ms.
Skew = Callable[[], Awaitable[float]]


def elapsed() -> float:
    """Seconds, also those in which the machine slept or the process stood still."""
    return time.clock_gettime(_AWAKE_OR_NOT)


class Watch:
    """The looks of one session.

    Parameters
    ----------
    alerts : Alerts
    guard : Guard
    spacing_ns : int
    fresh_spacings : float
        Spacings without a fresh row beyond which the feed is silent, and a row old.
    risk : SessionRisk, optional
    live : bool
        Whether rows come as they happen: only then the feed can be silent.
    paced : bool
        Whether its rows follow each other as the clock does, so that one that comes long after it was due is old.
    skew : callable, optional
        Asks the exchange; then the age of rows is told by its clock.
    skew_ms : float
        The most that the clocks may differ.
    """

    def __init__(
        self, alerts: Alerts, guard: Guard, spacing_ns: int, fresh_spacings: float, *, risk: SessionRisk | None,
        live: bool, skew: Skew | None, skew_ms: float, paced: bool = False,
    ) -> None:  # fmt: skip
        self.alerts, self._guard, self._risk = alerts, guard, risk
        self._live, self._skew, self._most = live, skew, skew_ms
        self._patience_ns = int(fresh_spacings * spacing_ns)
        self._spacings = fresh_spacings
        self._row_at, self._paced = elapsed(), paced
        self._promptest: tuple[float, int] | None = None
        self._clock_at = float("-inf")
        self.skew: float | None = None
        self.row_age: float | None = None
        self.archive_failed: str | None = None

    def row(self, row: Row) -> None:
        """A row has come."""
        self._row_at = elapsed()
        if not self._live or not row.trade:  # one that was missed is old, and opens nothing anyway
            return
        text, age = None, self._age(row)
        if age is not None:
            self.row_age = age / SECOND_NS
            if age > self._patience_ns:
                text = f"the newest row closed {age / SECOND_NS:.1f} s ago ({self._spacings:g} spacings are fresh)"
        self.alerts.set("feed", text)

    def _age(self, row: Row) -> int | None:
        """How long ago a row closed, ns: by the exchange's clock, or by what passed here since the promptest row came.

        A process that was stopped, or slept, finds the rows of meanwhile in its sockets and takes one after the other.
        """
        if self._skew is not None:
            return row.local - int((self.skew or 0.0) * 1e6) - row.ts if row.local else None
        if not self._paced:
            return None
        at, ts = (self._row_at, row.ts) if self._promptest is None else self._promptest
        age = int((self._row_at - at) * SECOND_NS) - (row.ts - ts)
        if age <= 0:
            self._promptest = self._row_at, row.ts
        return max(age, 0)

    @property
    def silent_seconds(self) -> float:
        """Since the last row."""
        return elapsed() - self._row_at

    async def run(self, after_each: Callable[[], Any]) -> None:
        """Look until cancelled; ``after_each`` is called after every look."""
        asking: asyncio.Task[None] | None = None
        try:
            while True:
                if self._skew is not None and time.monotonic() - self._clock_at >= CLOCK_EVERY:
                    self._clock_at = time.monotonic()
                    asking = asyncio.get_running_loop().create_task(self._ask_clock(self._skew))
                self.look()
                after_each()
                await asyncio.sleep(EVERY)
        finally:
            if asking is not None:
                asking.cancel()

    def look(self) -> None:
        """One look."""
        if self._live and self.silent_seconds * SECOND_NS > self._patience_ns:
            patience = format_duration(self._patience_ns) if self._patience_ns % SECOND_NS == 0 else (
                f"{self._patience_ns / SECOND_NS:g}s"
            )  # fmt: skip
            self.alerts.set("feed", f"no row for more than {patience}")
        if self._risk is not None:
            self._risk.look()
            self.alerts.set("store", self._risk.gone())
        low = f"less than {self._guard.limits.disk_mb:g} MB are free" if self._guard.disk_low else None
        self.alerts.set("disk", low)
        self.alerts.set("archive", self.archive_failed, stops=False)

    async def _ask_clock(self, skew: Skew) -> None:
        try:
            self.skew = await asyncio.wait_for(skew(), PATIENCE)
        except Exception as error:  # the exchange does not answer: what that means its rows tell
            self.alerts.set("clock", f"the exchange does not tell its time ({type(error).__name__})", stops=False)
            return
        text = None
        if abs(self.skew) > self._most:
            way = "ahead of" if self.skew > 0 else "behind"
            text = f"this machine's clock is {abs(self.skew):.0f} ms {way} the exchange's"
        self.alerts.set("clock", None)
        self.alerts.set("skew", text)
