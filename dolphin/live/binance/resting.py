"""One order that rests in the market: its legs, what they were given, what of it is booked. Pure.

A limit or a stop is one leg; a bracket is two, a limit and a stop, of which the first that is filled takes the place of
the other. The exchange does not know that they belong together: both only reduce, so that they cannot do more than
close, and what is left of one is cancelled when the other was filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from decimal import Decimal

from dolphin.core.records import CLOSE, LIMIT, REDUCE, STOP, Records
from dolphin.live.answers import order_direction
from dolphin.live.binance.outcomes import Filled, Part, total

ZERO = Decimal(0)


@dataclass
class Leg:
    """One order at the exchange.

    Attributes
    ----------
    client_id : str
    conditional : bool
        Whether it waits for a trigger.
    accepted, ended : bool
        Whether the exchange has had it, and has it no more.
    refused : str
        Why it was not taken, if so.
    """

    client_id: str
    conditional: bool
    accepted: bool = False
    ended: bool = False
    refused: str = ""

    @property
    def open(self) -> bool:
        """Whether something may still become of it."""
        return self.accepted and not self.ended

    @property
    def over(self) -> bool:
        """Whether nothing more will be heard of it."""
        return self.ended or bool(self.refused)


@dataclass
class Resting:
    """A slot's order in the market; ``order`` is the engine's record as it was laid, ``qty`` what it wanted then."""

    slot: int
    order: Records
    symbol: str
    qty: Decimal
    legs: tuple[Leg, ...]
    parts: dict[str, Part] = field(default_factory=dict)
    booked: set[str] = field(default_factory=set)
    repeated: int = 0

    def fill(self, part: Part) -> bool:
        """An execution; whether it is news."""
        if part.trade_id in self.parts:
            self.repeated += 1
            return False
        self.parts[part.trade_id] = part
        return True

    @property
    def complete(self) -> bool:
        """Whether all that was wanted was given."""
        return self.left <= 0

    @property
    def left(self) -> Decimal:
        """What is not given yet."""
        return self.qty - sum((part.qty for part in self.parts.values()), ZERO)

    @property
    def ended(self) -> bool:
        """Whether the exchange has nothing of it any more."""
        return all(leg.ended for leg in self.legs)

    @property
    def fresh(self) -> list[Part]:
        """What was given and is not booked."""
        return [part for part in self.parts.values() if part.trade_id not in self.booked]

    def take(self, only: Set[str] | None = None) -> tuple[Filled, dict[str, str]]:
        """All that is not booked, as one fill, and its ids; it counts as booked. ``only`` these trades, if given."""
        fresh = [part for part in self.fresh if only is None or part.trade_id in only]
        self.booked.update(part.trade_id for part in fresh)
        trades = ",".join(sorted(part.trade_id for part in fresh))
        return total(fresh), {"client_id": self.legs[0].client_id, "trade_id": trades}


def leg_names(name: str, bar: int, slot: int, kind: int) -> list[tuple[str, bool]]:
    """Client order ids of an order that rests, and whether each waits for a trigger: a function of bar and slot."""
    found = [(f"{name}-{bar:d}-{slot:d}s", True)] if kind & STOP else []
    return [*found, (f"{name}-{bar:d}-{slot:d}l", False)] if kind & LIMIT else found


def resting_of(name: str, slot: int, order: Records, symbol: str, qty: Decimal) -> Resting:
    """The order of a slot that is laid, or was."""
    names = leg_names(name, int(order["bar"]), slot, int(order["kind"]))
    return Resting(slot, order.copy(), symbol, qty, tuple(Leg(*one) for one in names))


def not_carried(order: Records) -> str | None:
    """Why an exchange cannot carry the order: two legs that open are not one."""
    if int(order["kind"]) == LIMIT | STOP and int(order["action"]) not in (CLOSE, REDUCE):
        return "a bracket that opens: the exchange does not cancel one order for another, and both may be filled"
    return None


def protects(order: Records) -> bool:
    """Whether a position is to be ended by it when the market goes against it."""
    return bool(int(order["kind"]) & STOP) and int(order["action"]) in (CLOSE, REDUCE)


def is_over(order: Records, bar: int) -> bool:
    """Whether ``bar`` is the last in which the order may be filled."""
    return bool(order["expires"]) and bar >= int(order["bar"]) + int(order["expires"])


def unbooked(orders: Iterable[Resting]) -> dict[str, Decimal]:
    """What resting orders were given and the books do not hold yet, signed, by symbol."""
    found: dict[str, Decimal] = {}
    for one in orders:
        amount = sum((part.qty for part in one.fresh), ZERO)
        if amount:
            found[one.symbol] = found.get(one.symbol, ZERO) + order_direction(one.order) * amount
    return found
