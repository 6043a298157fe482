"""Messages of the exchange's combined streams, decoded into what they say; texts of prices stay texts."""

from __future__ import annotations

from decimal import Decimal

import msgspec

#: 1 in the units that ticks are recorded in: eight decimals.
UNIT = 10**8
_EXACT = 2.0**51


class Quote(msgspec.Struct, tag_field="e", tag="bookTicker", gc=False):
    """Best bid and offer with their sizes; ``u`` is the book's update, ``T`` and ``E`` ms."""

    s: str
    u: int
    b: str
    B: str
    a: str
    A: str
    T: int
    E: int


class Trade(msgspec.Struct, tag_field="e", tag="aggTrade", gc=False):
    """An aggregate trade: ``a`` counts up by one per symbol, ``m`` whether the buyer was the maker."""

    s: str
    a: int
    p: str
    q: str
    T: int
    m: bool


class Depth(msgspec.Struct, tag_field="e", tag="depthUpdate"):
    """The best levels of a book; ``pu`` is the ``u`` of the message before in this stream."""

    s: str
    u: int
    pu: int
    E: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class Order(msgspec.Struct):
    """The order that liquidates: ``S`` SELL where a long is closed, average price, filled quantity."""

    s: str
    S: str
    ap: str
    z: str
    T: int


class Forced(msgspec.Struct, tag_field="e", tag="forceOrder"):
    """A liquidation."""

    E: int
    o: Order


class Refusal(msgspec.Struct):
    """Why a subscription was not taken."""

    code: int = 0
    msg: str = ""


class Message(msgspec.Struct):
    """What comes: data of a stream, or the answer to a subscription (``id``)."""

    stream: str = ""
    data: Quote | Trade | Depth | Forced | None = None
    id: int | None = None
    error: Refusal | None = None


decode = msgspec.json.Decoder(Message).decode


def units(text: str) -> int:
    """A decimal of up to eight places in 1e-8, exactly."""
    scaled = float(text) * UNIT
    # k / 1e8 as a float, times 1e8, is less than half a unit off while k < 2**51
    return round(scaled) if -_EXACT < scaled < _EXACT else int(Decimal(text) * UNIT)
