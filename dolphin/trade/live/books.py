"""What a live session says of itself: positions, orders at the exchange, latencies, where it was left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np

from dolphin.catalog import Instrument
from dolphin.live.answers import order_direction
from dolphin.live.binance.reconcile import OpenIntent
from dolphin.live.binance.resting import Resting, unbooked
from dolphin.live.session import Session
from dolphin.trade.recovery import Recovered


def expected_at(
    session: Session, instruments: Sequence[Instrument], resting: Iterable[Resting]
) -> dict[str, Decimal]:  # fmt: skip
    """What the exchange should hold: our positions, and what resting orders were given and the next row will book."""
    books = held_by(session, instruments)
    for symbol, amount in unbooked(resting).items():
        books[symbol] = books.get(symbol, Decimal(0)) + amount
    return {symbol: amount for symbol, amount in books.items() if amount}


def open_intents(resting: Iterable[Resting]) -> tuple[OpenIntent, ...]:
    """The orders that should be open at the exchange."""
    return tuple(
        OpenIntent(leg.client_id, one.symbol, order_direction(one.order), one.qty)
        for one in resting for leg in one.legs if leg.open
    )  # fmt: skip


def held_by(session: Session, instruments: Sequence[Instrument]) -> dict[str, Decimal]:
    """Our positions by symbol, signed, on the lot."""
    books: dict[str, Decimal] = {}
    for slot in session.state.slots:
        if slot["side"]:
            one = instruments[int(slot["asset"])]
            amount = round(Decimal(float(slot["qty"])), one.lot_exp) * int(slot["side"])
            books[one.symbol] = books.get(one.symbol, Decimal(0)) + amount
    return books


def latency_of(taken: Sequence[int]) -> dict[str, float | int]:
    """From a row's last message to an order's submission, us: how many, median, 99th percentile."""
    if not taken:
        return {"orders": 0}
    middle, high = np.percentile(np.array(taken), (50, 99)) / 1000.0
    return {"orders": len(taken), "p50": round(float(middle), 1), "p99": round(float(high), 1)}


def last_closed(found: Recovered | None) -> int | None:
    """When the last row that was decided closed, ns; None for a session that begins."""
    if found is None:
        return None
    if found.ts:
        return found.ts
    header = found.journal.header
    return int(header["first_bar"]["ts"]) - int(header["dataset"]["spacing_ns"])
