"""What a killed live session left in its last row: orders that may have gone out, positions that it was given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dolphin.core.records import ORDER
from dolphin.journal.bookings import AT, ids_of
from dolphin.journal.schema import SUBMITTED
from dolphin.live.binance.trader import order_id
from dolphin.live.session import Given
from dolphin.trade.recovery import Recovered


@dataclass(frozen=True)
class Left:
    """Of the row that was not closed.

    Attributes
    ----------
    intents : mapping
        What was wished in it, by slot.
    sent : frozenset of str
        Client order ids of what may have been sent.
    given : tuple of Given
        What an operator said is ours.
    """

    intents: Mapping[int, tuple[Any, ...]]
    sent: frozenset[str]
    given: tuple[Given, ...]


def left_in(found: Recovered, name: str) -> Left:
    """Read the records of the open row; ``name`` is what client order ids begin with."""
    if found.row is None:
        return Left({}, frozenset(), ())
    journal, index, bar = found.journal, found.index, found.row.bar
    intents: dict[int, tuple[Any, ...]] = {}
    sent: set[str] = set()
    given: tuple[Given, ...] = ()
    for k in index.of("intent", "event", "operator").tolist():
        of, place = index.templates[int(index.which[k])], int(index.places[k]) * 8
        values = journal.record_at(place, of)
        if int(values["bar"]) != bar:
            continue
        if of.kind == "operator":
            told = json.loads(journal.text_at(place, of)).get("given")
            given = given if told is None else tuple(Given(*one) for one in told)
            continue
        numbers = values["order"].tolist()
        slot = int(numbers[AT["slot"]])
        if of.kind == "intent":
            order = [dtype.type(number) for number, dtype in zip(numbers, _types(), strict=False)]
            intents[slot] = tuple(one.item() for one in order)
            sent.add(order_id(name, bar, slot))
        elif int(numbers[AT["status"]]) == SUBMITTED:
            sent.add(str(ids_of(journal.text_at(place, of)).get("client_id", "")))
    return Left(intents, frozenset(sent), given)


def _types() -> list[Any]:
    """The types of an order's numbers, in order."""
    fields: Any = ORDER.fields
    return [fields[name][0] for name in ORDER.names or ()]
