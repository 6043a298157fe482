"""What a killed live session left in its last row: orders that may have gone out, positions that it was given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dolphin.core.records import MARKET, NONE, ORDER
from dolphin.journal import Journal
from dolphin.journal.bookings import AT, ids_of
from dolphin.journal.schema import FILLED, PARTLY_FILLED, SUBMITTED
from dolphin.live.answers import Given
from dolphin.live.binance.funding import noted
from dolphin.live.binance.market_desk import order_id
from dolphin.live.binance.resting import leg_names
from dolphin.trade.folder import StateFolder
from dolphin.trade.recovery import Recovered

#: Before the first row that a journal holds, ms: nothing was held then.
BEFORE_MS = 1000


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
    booked : mapping of set of str
        Trades of resting orders that were booked in it before its decision, by slot.
    """

    intents: Mapping[int, tuple[Any, ...]]
    sent: frozenset[str]
    given: tuple[Given, ...]
    booked: Mapping[int, Set[str]] = field(default_factory=dict)


def left_in(found: Recovered, name: str) -> Left:
    """Read the records of the open row; ``name`` is what client order ids begin with."""
    if found.row is None:
        return Left({}, frozenset(), ())
    journal, index, bar = found.journal, found.index, found.row.bar
    intents: dict[int, tuple[Any, ...]] = {}
    sent: set[str] = set()
    given: tuple[Given, ...] = ()
    booked: dict[int, set[str]] = {}
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
            kind = int(numbers[AT["kind"]])
            sent.update(client_id for client_id, _ in leg_names(name, bar, slot, kind))
        elif int(numbers[AT["status"]]) == SUBMITTED:
            sent.add(str(ids_of(journal.text_at(place, of)).get("client_id", "")))
        elif _fills(numbers) and not numbers[AT["phase"]] and numbers[AT["kind"]]:
            booked.setdefault(slot, set()).update(_trades(journal.text_at(place, of)))
    return Left(intents, frozenset(sent), given, booked)


def booked_of(folder: StateFolder, found: Recovered) -> dict[tuple[int, int], set[str]]:
    """The trades that are booked of orders that rest, by slot and bar of the order: from the day they were laid on."""
    working = found.state.working
    rests = (working["action"] != NONE) & (working["kind"] != MARKET)
    slots = np.flatnonzero(rests).tolist()
    wanted: dict[tuple[int, int], set[str]] = {(s, int(working["bar"][s])): set() for s in slots}
    if not wanted:
        return {}
    first = min(bar for _, bar in wanted)
    for path in reversed(folder.sessions_journals()):
        journal = Journal(path)
        index = journal.index()
        for k in index.of("event").tolist():
            of, place = index.templates[int(index.which[k])], int(index.places[k]) * 8
            values = journal.record_at(place, of)
            numbers = values["order"].tolist()
            order = int(numbers[AT["slot"]]), int(numbers[AT["bar"]])
            if order in wanted and _fills(numbers) and int(values["bar"]) <= found.bar:
                wanted[order].update(_trades(journal.text_at(place, of)))
        if int(journal.header["first_bar"]["row"]) <= first:
            break
    return wanted


def funding_noted(folder: StateFolder, found: Recovered | None) -> tuple[int, set[int]]:
    """Since when funding is to be asked for (ms of this machine's clock, 0: from now on), and the lines that are known.

    Two days are enough: what was settled before the first of them was asked for then. Lines that were written for a
    row that was not are to be booked yet.
    """
    paths = folder.sessions_journals()[-2:]
    if found is None or not paths:
        return 0, set()
    last = found.bar if found.row is None else found.row.bar
    since, known = 0, set[int]()
    for path in paths:
        journal = Journal(path)
        index = journal.index()
        rows = index.of("row")
        if not since and len(rows):
            since = int(journal.field(index, rows[:1], "local")[0]) // 1_000_000 - BEFORE_MS
        for k in index.of("operator").tolist():
            of, place = index.templates[int(index.which[k])], int(index.places[k]) * 8
            if int(journal.record_at(place, of)["bar"]) <= last:
                known |= noted(json.loads(journal.text_at(place, of)))
    return since, known


def _fills(numbers: Sequence[float]) -> bool:
    return int(numbers[AT["status"]]) in (PARTLY_FILLED, FILLED)


def _trades(text: str) -> list[str]:
    """The exchange's trades in the ids of an event."""
    return [one for one in str(ids_of(text).get("trade_id", "")).split(",") if one]


def _types() -> list[Any]:
    """The types of an order's numbers, in order."""
    fields: Any = ORDER.fields
    return [fields[name][0] for name in ORDER.names or ()]
