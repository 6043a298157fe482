"""Whether a stream is whole: numbers that count up by one, what is missing, twice or late."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["next", "first", "gap", "late", "twice"]


class Counted:
    """Numbers of one symbol that count up by one.

    Attributes
    ----------
    last : int or None
        The highest that was seen.
    missing : list of (first, last, since_ns)
        Ranges, both ends included, that have not come.
    """

    __slots__ = ("last", "missing")

    def __init__(self, last: int | None = None) -> None:
        self.last = last
        self.missing: list[tuple[int, int, int]] = []

    def take(self, number: int, now_ns: int) -> Verdict:
        """What a number is; "late" fills a hole, "twice" was there before."""
        last = self.last
        if last is None:
            self.last = number
            return "first"
        if number == last + 1:
            self.last = number
            return "next"
        if number > last:
            self.missing.append((last + 1, number - 1, now_ns))
            self.last = number
            return "gap"
        return "late" if self.fill(number) else "twice"

    def fill(self, number: int) -> bool:
        """Take a number out of what is missing; False if it is not missing."""
        for k, (first, end, since) in enumerate(self.missing):
            if first <= number <= end:
                parts = [(first, number - 1, since), (number + 1, end, since)]
                self.missing[k : k + 1] = [part for part in parts if part[0] <= part[1]]
                return True
        return False

    def lose(self, first: int, end: int) -> None:
        """Nobody has these numbers any more."""
        kept = []
        for low, high, since in self.missing:
            parts = [(low, min(high, first - 1), since), (max(low, end + 1), high, since)]
            kept += [part for part in parts if part[0] <= part[1]]
        self.missing = kept
