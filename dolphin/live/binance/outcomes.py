"""What became of an order, from events that come twice, late, in another order, or not at all. Pure.

An order is settled when its parts add up to it, when the exchange refused it with a code that means *not executed*, or
when the exchange was asked. Everything else is doubt, and doubt is asked about, never guessed and never sent again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

#: Codes that say that an order was not executed.
CERTAIN = frozenset(
    {
        -1013, -1015, -1021, -1022, -1102, -1106, -1111, -1116, -1121, -2010, -2014, -2015, -2018, -2019, -2020, -2021,
        -2022, -2027, -4003, -4004, -4005, -4014, -4016, -4023, -4024, -4061, -4131, -4140, -4164, -5022,
    }
)  # fmt: skip

_CODE = re.compile(r"""['"]code['"]:\s*(-?\d+)""")
_MESSAGE = re.compile(r"""['"]msg['"]:\s*(?:'([^']*)'|"([^"]*)")""")


class Part(NamedTuple):
    """One execution; ``ts`` is the exchange's time in ns."""

    trade_id: str
    qty: Decimal
    price: Decimal
    commission: Decimal
    ts: int
    passive: bool


class Filled(NamedTuple):
    """All that an order was given: quantity, average price, commission, time of the last part."""

    qty: float
    price: float
    commission: float
    ts: int | None
    passive: bool


def code_of(reason: str) -> int | None:
    """The exchange's code in the words of a rejection; None if there is none."""
    found = _CODE.search(reason)
    return int(found.group(1)) if found else None


def words_of(reason: str) -> str:
    """A rejection in the exchange's words, with its code."""
    code, found = code_of(reason), _MESSAGE.search(reason)
    return f"code {code} ({found.group(1) or found.group(2)})" if found else f"code {code}"


def is_certain(reason: str) -> bool:
    """Whether a rejection says that the order was not executed."""
    return code_of(reason) in CERTAIN


def total(parts: Iterable[Part]) -> Filled:
    """The parts as one fill, exact in decimals: equal parts in another order give equal floats."""
    known = sorted(parts, key=lambda part: (part.ts, part.trade_id))
    qty = sum((part.qty for part in known), Decimal(0))
    if not qty:
        return Filled(0.0, 0.0, 0.0, None, False)
    value = sum((part.qty * part.price for part in known), Decimal(0))
    commission = sum((part.commission for part in known), Decimal(0))
    passive = all(part.passive for part in known)
    return Filled(float(qty), float(value / qty), float(commission), max(part.ts for part in known), passive)


@dataclass
class Outcome:
    """One order.

    Attributes
    ----------
    client_id, symbol : str
    slot : int
    qty : Decimal
        What was asked for.
    why : str
        How it was settled, or what the doubt is.
    came : bool
        Whether the exchange is known to have had it: it is on its way no more, and can be asked about at once.
    then : callable, optional
        Is told of the end in the session's place.
    """

    client_id: str
    symbol: str
    slot: int
    qty: Decimal
    then: Callable[[Outcome], None] | None = None
    parts: dict[str, Part] = field(default_factory=dict)
    settled: bool = False
    doubtful: bool = False
    why: str = ""
    repeated: int = 0
    came: bool = False

    def fill(self, part: Part) -> None:
        """An execution; one that is known changes nothing."""
        if part.trade_id in self.parts:
            self.repeated += 1
            return
        if self.settled:
            return
        self.parts[part.trade_id] = part
        if sum((known.qty for known in self.parts.values()), Decimal(0)) >= self.qty:
            self._settle("filled")

    def reject(self, reason: str) -> None:
        """A rejection: an end if it is certain and nothing was filled, else a doubt."""
        if is_certain(reason) and not self.parts:
            self._settle(f"rejected: {words_of(reason)}")
        else:
            self.doubt(f"rejected without certainty: {reason}")

    def deny(self, reason: str) -> None:
        """It was never sent."""
        self._settle(f"not sent: {reason}")

    def doubt(self, why: str) -> None:
        """Something is wrong: the exchange is to be asked."""
        if not self.settled:
            self.doubtful, self.why = True, why

    def answer(self, parts: Iterable[Part], why: str) -> None:
        """What the exchange said when asked: this is all there is."""
        if self.settled:
            return
        for part in parts:
            self.parts.setdefault(part.trade_id, part)
        self._settle(why)

    def _settle(self, why: str) -> None:
        if not self.settled:
            self.settled, self.doubtful, self.why = True, False, why

    @property
    def filled(self) -> Filled:
        """What it was given so far."""
        return total(self.parts.values())
