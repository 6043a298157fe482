"""The last n values of a feature's own, kept in its state: a count, then a ring of n numbers."""

from __future__ import annotations

import math

from dolphin.core.jit import inline


@inline
def known(values, asset):  # type: ignore[no-untyped-def]
    """The value of an asset; NaN where the market has fewer columns."""
    return values[asset] if asset < values.size else math.nan


@inline
def push(state, n, value):  # type: ignore[no-untyped-def]
    """Take a value into the ring; whether it holds ``n`` by now. A NaN is left out."""
    if value != value:  # NaN
        return False
    count = int(state[0])
    state[1 + count % n] = value
    state[0] = count + 1
    return count + 1 >= n


@inline
def mean_of(state, n):  # type: ignore[no-untyped-def]
    """The ring's mean, summed from its oldest value on: no rounding is carried from bar to bar."""
    first, total = int(state[0]), 0.0
    for k in range(n):
        total += state[1 + (first + k) % n]
    return total / n


@inline
def deviation_of(state, n, mean):  # type: ignore[no-untyped-def]
    """The ring's standard deviation about ``mean``, of the population (divided by ``n``)."""
    first, square = int(state[0]), 0.0
    for k in range(n):
        gap = state[1 + (first + k) % n] - mean
        square += gap * gap
    return math.sqrt(square / n)


@inline
def last_of(state, n):  # type: ignore[no-untyped-def]
    """The newest value of the ring."""
    return state[1 + (int(state[0]) - 1) % n]
