"""A stretch of a journal in memory: the market that its decisions read, its outcomes, its bookings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dolphin.core.digest import STAGES
from dolphin.core.logarithm import ln_array
from dolphin.core.records import ORDER, Floats, Ints, Market, Records, Words, neutral_risk
from dolphin.errors import DolphinError
from dolphin.journal.bookings import AT, Bookings, Event, book_events, ids_of
from dolphin.journal.header import check_header, instruments_of, named_symbols_of
from dolphin.journal.reader import Index, Journal
from dolphin.journal.schema import CLOSINGS, RISK_VALUES


@dataclass(frozen=True)
class Held:
    """Bars of a journal; arrays have a row per bar.

    Attributes
    ----------
    rows : int64 [R]
        Bars whose inputs are held, those before the first decision included; ``inputs`` are their records.
    bars, ts : int64 [B]
    digests : uint64 [B]
    stages : uint64 [B, 6]
    account : float64 [B, 4]
        :data:`dolphin.journal.schema.ACCOUNT_VALUES`.
    local : int64 [B]
        Clock of the machine when the bar was closed; 0 without a clock.
    intents : array of ORDER [I]
        With ``intent_slots`` and ``intent_bars`` int64 [I].
    events : tuple of Event
    bookings : Bookings
    state : (int, str), optional
        The number of the bar and the text of the last record of a state before the first bar.
    problems : list of str
        What cannot be, in words; the bookings' included.
    """

    journal: Journal
    index: Index
    rows: Ints
    inputs: Ints
    bars: Ints
    ts: Ints
    digests: Words
    stages: Words
    account: Floats
    local: Ints
    intents: Records
    intent_slots: Ints
    intent_bars: Ints
    events: tuple[Event, ...]
    bookings: Bookings
    state: tuple[int, str] | None
    problems: list[str]

    def market(self, low: int, high: int) -> Market:
        """Bars ``low`` to ``high`` of those held and what their decisions look back on, at their own row numbers.

        Other rows are not there, and use no memory.
        """
        first = int(self.bars[low]) - int(self.journal.header["lookback"])
        a, b = np.searchsorted(self.rows, (first, int(self.bars[high - 1]) + 1))
        return market_of(self.journal, self.index, self.rows[a:b], self.inputs[a:b])


def hold(journal: Journal, index: Index, banks: int = 3) -> Held:
    """Read the records of an index.

    Raises
    ------
    DolphinError
        If there is no bar among them.
    """
    check_header(journal.header, journal.path)
    closing = index.of(*CLOSINGS)
    if not len(closing):
        raise DolphinError("holds no bar that was closed", where=str(journal.path))
    closing = index.of(journal.closing)
    bars = journal.field(index, closing, "bar")
    problems = [
        f"bar {int(bars[k + 1])} follows bar {int(bars[k])}" for k in np.flatnonzero(np.diff(bars) <= 0).tolist()
    ]
    intents, slots, wished_in = _orders(journal, index, index.of("intent"))
    wished = {
        (slot, bar): (int(order["action"]), float(order["qty"]))
        for slot, bar, order in zip(slots.tolist(), wished_in.tolist(), intents, strict=True)
    }
    events = _events(journal, index)
    problems += _misplaced(index, closing, bars, events)
    inputs = index.of("history", "row" if journal.header["write_ahead"] else "bar")
    rows = _bars_of(journal, index, inputs)
    order = np.argsort(rows, kind="stable")
    last = int(bars[-1])
    instruments = instruments_of(journal.header)
    bookings = book_events([e for e in events if e.bar <= last], wished, banks, instruments)
    return Held(
        journal=journal,
        index=index,
        rows=rows[order],
        inputs=inputs[order],
        bars=bars,
        ts=journal.field(index, closing, "ts"),
        digests=journal.field(index, closing, "digest"),
        stages=journal.field(index, closing, "stages"),
        account=journal.field(index, closing, "account"),
        local=journal.field(index, closing, "local"),
        intents=intents,
        intent_slots=slots,
        intent_bars=wished_in,
        events=events,
        bookings=bookings,
        state=_state(journal, index, int(closing[0])),
        problems=problems + bookings.problems,
    )


def _orders(journal: Journal, index: Index, records: Ints) -> tuple[Records, Ints, Ints]:
    """Records of ORDER, their slots and the bars of their records."""
    values = journal.field(index, records, "order") if len(records) else np.zeros((0, len(AT)))
    orders = np.zeros(len(records), ORDER)
    for k, name in enumerate(ORDER.names or ()):
        orders[name] = values[:, k]
    bars = journal.field(index, records, "bar") if len(records) else np.zeros(0, np.int64)
    return orders, values[:, AT["slot"]].astype(np.int64), bars


def _events(journal: Journal, index: Index) -> tuple[Event, ...]:
    found = []
    for k in index.of("event").tolist():
        of, place = index.templates[int(index.which[k])], int(index.places[k]) * 8
        values = journal.record_at(place, of)
        ids = ids_of(journal.text_at(place, of))
        found.append(Event(int(values["bar"]), int(values["ts"]), tuple(values["order"].tolist()), ids, place))
    return tuple(found)


def _misplaced(index: Index, closing: Ints, bars: Ints, events: tuple[Event, ...]) -> list[str]:
    """Events of bars that were closed before they were written."""
    if not events:
        return []
    places = index.places[closing] * 8
    closed = np.searchsorted(places, [event.place for event in events])
    return [
        f"the event at byte {event.place} says bar {event.bar}, which was closed before it"
        for event, k in zip(events, closed.tolist(), strict=True)
        if k and event.bar <= int(bars[k - 1])
    ]


def market_of(journal: Journal, index: Index, rows: Ints, inputs: Ints) -> Market:
    """These rows at their own numbers."""
    shape, stop = journal.shape, int(rows[-1]) + 1
    assets = shape.assets
    price, log_price = np.empty((stop, assets)), np.empty((stop, assets))
    age, ts = np.empty((stop, assets), np.int32), np.empty(stop, np.int64)
    features, risk = np.empty((stop, shape.features)), neutral_risk(stop)
    more = {name: np.empty((stop, assets)) for name in shape.columns}
    for of in np.unique(index.which[inputs]).tolist():
        here = index.which[inputs] == of
        records, bars = inputs[here], rows[here]
        at: Any = slice(int(bars[0]), int(bars[-1]) + 1) if (np.diff(bars) == 1).all() else bars
        ts[at] = journal.field(index, records, "ts")
        price[at] = journal.field(index, records, "price")
        log_price[at] = ln_array(np.ascontiguousarray(price[at]))
        age[at] = journal.field(index, records, "age")
        features[at] = journal.field(index, records, "features")
        values = journal.field(index, records, "risk")
        for k, name in enumerate(RISK_VALUES[: shape.risk]):
            risk[name][at] = values[:, k]
        columns = journal.field(index, records, "columns").reshape(len(bars), len(shape.columns), assets)
        for k, name in enumerate(shape.columns):
            more[name][at] = columns[:, k]
    instruments, symbols = instruments_of(journal.header), named_symbols_of(journal.header)
    return Market(ts, price, log_price, age, features, risk, instruments, symbols=symbols, **more)


def _bars_of(journal: Journal, index: Index, records: Ints) -> Ints:
    """Bars of records of several kinds."""
    out = np.empty(len(records), np.int64)
    for of in np.unique(index.which[records]).tolist():
        here = index.which[records] == of
        out[here] = journal.field(index, records[here], "bar")
    return out


def _state(journal: Journal, index: Index, before: int) -> tuple[int, str] | None:
    """The last record of a state before the first bar."""
    states = [k for k in index.of("state").tolist() if k < before]
    if not states:
        return None
    of, place = index.templates[int(index.which[states[-1]])], int(index.places[states[-1]]) * 8
    return int(journal.record_at(place, of)["bar"]), journal.text_at(place, of)


def empty_stages(bars: int) -> Words:
    """Room for the stage words of so many bars."""
    return np.zeros((bars, len(STAGES)), np.uint64)
