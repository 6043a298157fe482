"""Numbers that count up by one; holes that fill late, in part, or never; exact decimals; books' and days' figures."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dolphin.feeds.liquidations import MINUTE_NS, Liquidations
from dolphin.feeds.messages import units
from dolphin.feeds.sequence import Counted


@given(st.permutations(list(range(1, 12))), st.lists(st.integers(1, 11), max_size=6))
def test_every_number_is_taken_once_in_any_order(order: list[int], again: list[int]) -> None:
    counted, taken = Counted(0), []
    for number in [*order, *again]:
        if counted.take(number, 0) != "twice":
            taken.append(number)
    assert sorted(taken) == list(range(1, 12)) and not counted.missing and counted.last == 11


def test_holes() -> None:
    counted = Counted()
    assert [counted.take(n, 7) for n in (5, 6, 10, 10, 8)] == ["first", "next", "gap", "twice", "late"]
    assert counted.missing == [(7, 7, 7), (9, 9, 7)]
    counted.take(21, 8)
    counted.lose(9, 14)
    assert counted.missing == [(7, 7, 7), (15, 20, 8)] and not counted.fill(12) and counted.fill(17)
    assert counted.missing == [(7, 7, 7), (15, 16, 8), (18, 20, 8)]


@given(st.decimals(0, 10**10, places=8))
def test_decimals_are_exact(value: Decimal) -> None:
    assert units(f"{value:.8f}") == int(value * 10**8)


def test_liquidations_are_known_after_a_day_and_compared_after_a_week() -> None:
    found, now = Liquidations(), 1_800_000_000_000_000_000 // MINUTE_NS * MINUTE_NS
    for minute in range(1440):
        found.heard(now + minute * MINUTE_NS)
        if minute == 700:
            assert set(found.figures(now + minute * MINUTE_NS).values()) == {None}
    end = now + 1439 * MINUTE_NS
    found.add(end, 3000.0, long=True)
    found.add(end, 1000.0, long=False)
    first = found.figures(end)
    assert first["liq_vol_24h"] == 4000.0 and first["liq_long_ratio"] == 0.75 and first["liq_z_score"] is None
    found.readings.extend(float(value) for value in range(168))
    told = Liquidations()
    told.restore(found.document())
    second = told.figures(end)
    past = np.array([4000.0, *range(168)])
    assert abs((second["liq_z_score"] or 0.0) - (4000.0 - past.mean()) / past.std()) < 1e-9
    assert second["liq_percentile"] == 100.0
