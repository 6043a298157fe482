from __future__ import annotations

import numpy as np

from dolphin.core.records import CLOSE, INSTRUMENT, MARKET, OPEN
from dolphin.journal.bookings import AT, Event, book_events
from dolphin.journal.schema import FILLED

SLOT, BAR, QTY = 3, 7, 2.0


def fill(phase, qty, action=CLOSE):
    """Of an order of the bar in which it is filled."""
    values = [0.0] * len(AT)
    for name, value in (
        ("slot", SLOT), ("bar", BAR), ("phase", phase), ("status", FILLED), ("action", action), ("kind", MARKET),
        ("qty", qty), ("price", 10.0),
    ):  # fmt: skip
        values[AT[name]] = value
    return Event(BAR, 0, tuple(values), {"trade_id": f"{phase}"}, 0)


def test_a_position_that_was_closed_before_the_decision_says_nothing_of_what_the_bar_wished():
    instruments = np.ones(1, INSTRUMENT)
    wished = {(SLOT, BAR): (OPEN, QTY)}
    both = [fill(0, 5.0), fill(1, QTY, OPEN)]
    found = book_events(both, wished, 2, instruments)
    assert found.problems == [] and found.records["qty"].tolist() == [5.0, QTY]
    (problem,) = book_events([fill(1, 5.0, OPEN)], wished, 2, instruments).problems
    assert "makes 5.0 filled of 2.0" in problem
