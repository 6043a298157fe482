"""So many tokens a minute for each provider: a request costs its weight, and waits its turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Budget:
    """A bucket that holds ten seconds' worth of ``per_minute`` tokens, but at least the heaviest request's.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, per_minute: int, least: int = 20, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = per_minute / 60.0
        self.size = float(max(least, per_minute // 6))
        self._clock, self._at, self._tokens = clock, clock(), self.size
        self.waited = 0.0

    def wait_for(self, weight: int) -> float:
        """Take ``weight`` tokens, and say for how many seconds to wait before using them."""
        now = self._clock()
        self._tokens = min(self.size, self._tokens + (now - self._at) * self.rate)
        self._at = now
        self._tokens -= weight
        return max(0.0, -self._tokens / self.rate)

    async def take(self, weight: int, patience: float) -> bool:
        """Wait for the turn of a request; False, and nothing taken, where that is longer than ``patience``."""
        wait = self.wait_for(weight)
        if wait > patience:
            self._tokens += weight
            return False
        if wait > 0.0:
            self.waited += wait
            await asyncio.sleep(wait)
        return True
