"""A provider that fails is left alone for a while: the circuit breaker of one source."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Closed, until ``failures`` in a row open it for ``rest`` seconds; then one probe decides.

    Parameters
    ----------
    failures : int
        Failures in a row that open it.
    rest : float
        Seconds until the probe.
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, failures: int = 5, rest: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.failures, self.rest, self._clock = failures, rest, clock
        self.in_a_row = 0
        self.opened = 0
        self._until: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """What it is now."""
        if self._until is None:
            return "closed"
        return "open" if self._clock() < self._until else "half-open"

    @property
    def seconds_left(self) -> float:
        """Seconds until the next probe; 0 where one may go."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def allow(self) -> bool:
        """Whether a request may go now; a half-open one lets a single probe through."""
        state = self.state
        if state == "half-open":
            if self._probing:
                return False
            self._probing = True
            return True
        return state == "closed"

    def succeeded(self) -> None:
        """A request was answered: closed."""
        self.in_a_row, self._until, self._probing = 0, None, False

    def failed(self) -> None:
        """A request failed; a failed probe opens it again."""
        self.in_a_row += 1
        if self._probing or self.in_a_row >= self.failures:
            self.hold(self.rest)

    def hold(self, seconds: float) -> None:
        """Open for so long, whatever was counted: the provider asked for it."""
        self.opened += self._until is None or self._probing
        self._until, self._probing = self._clock() + seconds, False

    def gave_up(self) -> None:
        """A request ended without a verdict (cancelled): a probe may go again."""
        self._probing = False
