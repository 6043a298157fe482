"""What became of a request that was handed on: yes, no, or not known yet. Waiting for it has an end."""

from __future__ import annotations

import threading

#: Seconds that a caller waits at most, if it waits at all.
PATIENCE = 0.05


class Outcome:
    """True (done), False (refused, or failed: ``error`` says how), or None (not known yet)."""

    __slots__ = ("_done", "answer", "error")

    def __init__(self) -> None:
        self._done = threading.Event()
        self.answer: bool | None = None
        self.error: str | None = None

    def settle(self, answer: bool, error: str | None = None) -> None:
        """Say it; the first word counts."""
        if self.answer is None:
            self.error, self.answer = error, answer
            self._done.set()

    def wait(self, seconds: float = PATIENCE) -> bool | None:
        """The answer, waited for so long at most."""
        self._done.wait(seconds)
        return self.answer

    def __repr__(self) -> str:
        return f"Outcome({self.answer}{f', {self.error}' if self.error else ''})"


def settled(answer: bool, error: str | None = None) -> Outcome:
    """An outcome that is known."""
    outcome = Outcome()
    outcome.settle(answer, error)
    return outcome
