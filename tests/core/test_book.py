from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dolphin.core.grid import lots_below, round_against
from dolphin.core.jit import kernel
from dolphin.core.records import INSTRUMENT


@kernel
def rounded(price, side, instruments):
    return round_against(price, side, instruments[0])


@kernel
def lots(quantity, instruments):
    return lots_below(quantity, instruments[0])


def grid(numerator: int, exponent: int):
    record = np.zeros(1, INSTRUMENT)
    for kind in ("tick", "lot"):
        record[f"{kind}_num"], record[f"{kind}_den"] = numerator, 10.0**exponent
        record[kind] = numerator / 10.0**exponent
    return record


steps = st.tuples(st.sampled_from([1, 2, 5, 25]), st.integers(0, 8))


@given(st.floats(1e-3, 1e6), steps)
def test_rounding_is_never_in_our_favour(price, step):
    record, tick = grid(*step), step[0] / 10.0 ** step[1]
    hair = 1.0001e-9 * tick + 1e-15 * price
    assert rounded(price, 1, record) >= price - hair
    assert rounded(price, -1, record) <= price + hair
    assert rounded(price, 1, record) - price < tick * (1 + 1e-9) + hair
    assert price - rounded(price, -1, record) < tick * (1 + 1e-9) + hair


@given(st.integers(1, 10**9), steps)
def test_a_price_on_the_grid_stays_to_the_bit(k, step):
    record = grid(*step)
    price = k * step[0] / 10.0 ** step[1]
    assert rounded(price, 1, record) == rounded(price, -1, record) == price
    assert lots(price, record) == price


@given(st.floats(1e-3, 1e6), steps)
def test_a_rounded_price_is_the_double_nearest_to_its_decimal(price, step):
    got = rounded(price, 1, grid(*step))
    ticks = round(Fraction(got) / Fraction(step[0], 10 ** step[1]))
    assert got == float(Fraction(ticks * step[0], 10 ** step[1]))


@given(st.floats(0, 1e6), steps)
def test_lots_never_exceed_the_quantity(quantity, step):
    size = step[0] / 10.0 ** step[1]
    got = lots(quantity, grid(*step))
    assert got <= quantity + 1.0001e-9 * size + 1e-15 * quantity
    assert quantity - got < size * (1 + 1e-9) + 1e-15 * quantity
    assert math.isfinite(got)
