"""What goes between a session and whoever carries its orders: orders out, what they were given, what is ours anyway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from dolphin.core.records import CLOSE, REDUCE, Records

#: A fill as it was booked: ``direction`` +1 bought, -1 sold; ``commission`` is the exchange's own.
FILL = np.dtype(
    [
        ("bar", "i8"), ("slot", "i8"), ("action", "i8"), ("asset", "i8"), ("direction", "i8"),
        ("qty", "f8"), ("price", "f8"), ("fee", "f8"), ("passive", "i8"), ("commission", "f8"),
    ]
)  # fmt: skip


def order_direction(order: Records) -> int:
    """+1 if the order buys, -1 if it sells."""
    side = int(order["side"])
    return -side if order["action"] in (CLOSE, REDUCE) else side


class Transport(Protocol):
    """What carries a session's orders to an exchange."""

    def send(self, slot: int, order: Records) -> None:
        """A market order, which is to be answered within the bar."""

    def rest(self, slot: int, order: Records) -> None:
        """An order that waits in the market from the next bar on."""

    def withdraw(self, slot: int) -> None:
        """The slot's waiting order is not wanted any more."""


class Answer(NamedTuple):
    """What an exchange gave for an order in one bar."""

    qty: float
    price: float
    commission: float
    ts: int | None
    passive: bool
    ids: Mapping[str, str] | None = None


class Late(NamedTuple):
    """What an order was given that was on its way out of the market; ``order`` as it worked."""

    slot: int
    order: Records
    answer: Answer


class Given(NamedTuple):
    """What an account holds and its session did not know of: so much bought (``direction`` +1) or sold for a slot."""

    slot: int
    asset: int
    direction: int
    qty: float
    price: float
    fee: float
    trade_id: str
