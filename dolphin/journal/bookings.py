"""From the events of orders, as they came, to what is booked: each trade once, in one order, contradictions named.

The rules (docs/parity.md): an event is booked in the bar that was open when it was written. A trade id counts once.
Within a bar and a phase fills are booked by bank, slot and order, their parts by exchange time and trade id, and the
parts of one order as one fill at their average price. So neither repetition nor another order of arrival changes
anything, and what cannot be is said.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dolphin.core.records import NONE, ORDER, REVERSE, Records
from dolphin.journal.kernels import BOOKING
from dolphin.journal.schema import FILLED, ORDER_VALUES, PARTLY_FILLED, SUBMITTED

#: Values of an event in its list of numbers.
AT = {name: k for k, name in enumerate(ORDER_VALUES)}
_ACCEPTED = SUBMITTED + 1
#: The bank of fills that a margin call writes.
_CALLED = 1


@dataclass(frozen=True)
class Event:
    """One record of kind event: booked in bar ``bar``, at exchange time ``ts``."""

    bar: int
    ts: int
    values: tuple[float, ...]
    ids: dict[str, Any]
    place: int

    def __getitem__(self, name: str) -> float:
        return self.values[AT[name]]

    @property
    def order(self) -> tuple[int, int]:
        """The order: the slot that wished it and the bar in which it was wished."""
        return int(self["slot"]), int(self["bar"])


@dataclass
class Bookings:
    """What is booked, in order; what came twice; and what cannot be, in words."""

    records: Records
    duplicates: int = 0
    problems: list[str] = field(default_factory=list)


def ids_of(text: str) -> dict[str, Any]:
    """The exchange's ids in the text of an event."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def book_events(
    events: Sequence[Event], wished: dict[tuple[int, int], tuple[int, float]], banks: int, instruments: Records
) -> Bookings:
    """Reduce events to bookings.

    Parameters
    ----------
    events : sequence of Event
        As they were written.
    wished : dict
        Per order the action and the quantity of its intent.
    banks : int
        Fills that a slot can have in a bar.
    instruments : array of INSTRUMENT [N]
        Whose lots the sums of parts lie on.
    """
    out = Bookings(np.zeros(0, BOOKING))
    trades: dict[str, Event] = {}
    filled: dict[tuple[int, int], float] = {}
    kept = []
    for event in events:
        if event["status"] in (SUBMITTED, _ACCEPTED):
            continue
        if event["status"] in (PARTLY_FILLED, FILLED):
            trade = str(event.ids.get("trade_id", ""))
            if trade and trade in trades:
                out.duplicates += 1
                first = trades[trade]
                if (first["qty"], first["price"], first.order) != (event["qty"], event["price"], event.order):
                    out.problems.append(
                        f"trade {trade} came twice with different values (bars {first.bar}, {event.bar})"
                    )
                continue
            trades |= {trade: event} if trade else {}
            wrong = _wrong(event, filled, wished, banks)
            if wrong:
                out.problems.append(wrong)
        kept.append(event)
    kept.sort(key=_sequence)
    out.records = _merged(kept, instruments)
    return out


def _sequence(event: Event) -> tuple[Any, ...]:
    slot, order = event.order
    fills = event["status"] in (PARTLY_FILLED, FILLED)
    return (
        event.bar,
        event["phase"],
        event["bank"],
        slot,
        order,
        not fills,
        event.ts,
        str(event.ids.get("trade_id", "")),
    )


def _wrong(event: Event, filled: dict[Any, float], wished: dict[Any, tuple[int, float]], banks: int) -> str | None:
    """Why a fill cannot be, in words."""
    slot, order = event.order
    who = f"the fill of slot {slot}'s order of bar {order}, in bar {event.bar},"
    if not (0.0 < event["qty"] < np.inf and 0.0 < event["price"] < np.inf):
        return f"{who} has quantity {event['qty']!r} and price {event['price']!r}"
    if not 0 <= event["bank"] < banks:
        return f"{who} names bank {int(event['bank'])} of {banks}"
    if order > event.bar:
        return f"{who} comes before its order"
    closed_out = order == event.bar and not event["phase"]  # what a bar wishes is filled behind its decision
    if event["bank"] == _CALLED or closed_out:  # nobody wished it
        return None
    action, qty = wished.get((slot, order), (NONE, np.inf))
    total = filled[event.order] = filled.get(event.order, 0.0) + event["qty"]
    if action not in (NONE, REVERSE) and total > qty * (1.0 + 1e-9):
        return f"{who} makes {total!r} filled of {qty!r}"
    return None


def _merged(events: list[Event], instruments: Records) -> Records:
    """Bookings; the fills that one order had in one bar and phase are one."""
    rows: list[list[float]] = []
    keys: list[tuple[Any, ...]] = []
    names = ORDER.names or ()
    qty, price, fee = (5 + names.index(name) for name in ("qty", "price", "fee"))
    for event in events:
        row = [
            float(event.bar),
            event["phase"],
            event["slot"],
            event["bank"],
            event["status"],
            *event.values[: len(names)],
        ]
        fills = event["status"] in (PARTLY_FILLED, FILLED)
        key = (fills, event.bar, event["phase"], event["bank"], *event.order)
        if fills and keys and keys[-1] == key:
            last = rows[-1]
            total = last[qty] + row[qty]
            if row[price] != last[price]:  # the average of one price is that price, which its float64 would not be
                last[price] = (last[qty] * last[price] + row[qty] * row[price]) / total
            last[qty] = _on_lots(total, instruments[int(event["asset"])])
            last[fee] += row[fee]
            last[4] = max(last[4], row[4])
        else:
            rows.append(row)
            keys.append(key)
    out = np.zeros(len(rows), BOOKING)
    table = np.array(rows, np.float64).reshape(len(rows), len(BOOKING.names or ()))
    for k, name in enumerate(BOOKING.names or ()):
        out[name] = table[:, k]
    return out


def _on_lots(quantity: float, instrument: Any) -> float:
    """The quantity on the grid that a sum of parts is nearest to (:func:`dolphin.core.grid.lots_of`)."""
    lots = np.floor(quantity / instrument["lot"] + 0.5)
    return float(lots * instrument["lot_num"] / instrument["lot_den"])
