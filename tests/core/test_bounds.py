from __future__ import annotations

import numpy as np
import pytest

from dolphin.core.bounds import bounds_checked
from dolphin.core.grid import lots_below
from dolphin.core.jit import inline
from dolphin.core.records import INSTRUMENT

OFFSET = 2


@inline
def third(values):
    return values[OFFSET]


@inline
def through(values):
    return third(values) + 1.0


def with_number(number):
    @inline
    def taken(values):
        return values[number]

    return taken


@inline
def lots(values, instruments):
    return lots_below(values[0], instruments[1])


def test_an_index_outside_is_found_in_functions_that_are_called():
    assert bounds_checked(through)(np.arange(3.0)) == 3.0
    with pytest.raises(IndexError):
        bounds_checked(through)(np.arange(2.0))


def test_closures_are_kept():
    assert bounds_checked(with_number(1))(np.arange(2.0)) == 1.0
    with pytest.raises(IndexError):
        bounds_checked(with_number(5))(np.arange(2.0))


def test_records_and_the_frameworks_functions():
    instruments = np.zeros(2, INSTRUMENT)
    instruments["lot"] = instruments["lot_num"] = instruments["lot_den"] = 1.0
    assert bounds_checked(lots)(np.array([3.5]), instruments) == 3.0
    with pytest.raises(IndexError):
        bounds_checked(lots)(np.array([3.5]), instruments[:1])


def test_what_was_compiled_before_is_as_it_was():
    assert bounds_checked(third) is not third and third.py_func.__globals__["OFFSET"] == 2
