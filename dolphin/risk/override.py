"""A person's posture over the stack's: with reason, author and end; never while the invariants are broken."""

from __future__ import annotations

from typing import NamedTuple

from dolphin.core.records import POSTURES
from dolphin.errors import BadInput, nearest
from dolphin.times import SECOND_NS, format_time

DEFAULT_NS = 60 * 60 * SECOND_NS


class Override(NamedTuple):
    """Posture ``posture`` from ``set_ns`` up to, not including, ``expires_ns``."""

    posture: int
    reason: str
    author: str
    set_ns: int
    expires_ns: int

    def as_dict(self) -> dict[str, str | int]:
        """The audit's line."""
        return self._asdict() | {"posture": POSTURES[self.posture], "expires": format_time(self.expires_ns)}


def new_override(posture: str, reason: str, author: str, now_ns: int, for_ns: int = DEFAULT_NS) -> Override:
    """An override that begins now.

    Raises
    ------
    DolphinError
        Without a reason, an author or a time to come, or for a posture that is none.
    """
    if posture not in POSTURES:
        raise BadInput(f"no posture '{posture}'", where="override", mend=nearest(posture, POSTURES))
    for what, value in (("reason", reason), ("author", author)):
        if not value.strip():
            raise BadInput(f"an override needs a {what}", where="override", mend=f"give its {what}")
    if for_ns <= 0:
        raise BadInput("an override needs an end after now", where="override", mend="give a time above 0")
    return Override(POSTURES.index(posture), reason.strip(), author.strip(), now_ns, now_ns + for_ns)


def in_force(posture: int, override: Override | None, now_ns: int, rm1: float) -> int:
    """The posture that counts now: the override's while it lasts and Rm1 is not 0, else the stack's."""
    if override is None or not rm1 > 0.0 or not override.set_ns <= now_ns < override.expires_ns:
        return posture
    return override.posture
