"""How far one asset's closes spread: Bollinger bands, z-score, Donchian channel, realised volatility, correlation."""

from __future__ import annotations

import functools
import math

from dolphin.core.jit import inline
from dolphin.features import Feature
from dolphin.indicators.averages import length, named
from dolphin.indicators.rings import deviation_of, known, last_of, mean_of, push


@functools.cache
def bollinger(n: int = 20, width: float = 2.0, asset: int = 0) -> Feature:
    """Bollinger bands in three columns: ``middle`` = SMA(n), ``upper`` and ``lower`` = ``width`` deviations off it."""
    length(n, 2)

    @inline
    def update(state, bar, out):  # type: ignore[no-untyped-def]
        if push(state, n, known(bar.price, asset)):
            middle = mean_of(state, n)
            off = width * deviation_of(state, n, middle)
            out[0], out[1], out[2] = middle, middle + off, middle - off

    name = named(f"bollinger{n}", asset)
    return Feature(name, update, memory=1 + n, warmup_bars=n, columns=("middle", "upper", "lower"))


@functools.cache
def zscore(n: int, asset: int = 0) -> Feature:
    """The close less the mean of the last ``n``, in their (population's) standard deviations; 0 where all are equal."""
    length(n, 2)

    @inline
    def update(state, bar, out):  # type: ignore[no-untyped-def]
        if push(state, n, known(bar.price, asset)):
            mean = mean_of(state, n)
            off = deviation_of(state, n, mean)
            out[0] = (last_of(state, n) - mean) / off if off > 0.0 else 0.0

    return Feature(named(f"zscore{n}", asset), update, memory=1 + n, warmup_bars=n)


@functools.cache
def donchian(n: int = 20, asset: int = 0) -> Feature:
    """Donchian channel of closes in two columns: ``upper`` and ``lower`` of the last ``n``, this one among them."""
    length(n)

    @inline
    def update(state, bar, out):  # type: ignore[no-untyped-def]
        if push(state, n, known(bar.price, asset)):
            upper, lower = state[1], state[1]
            for k in range(1, n):
                upper, lower = max(upper, state[1 + k]), min(lower, state[1 + k])
            out[0], out[1] = upper, lower

    return Feature(named(f"donchian{n}", asset), update, memory=1 + n, warmup_bars=n, columns=("upper", "lower"))


@functools.cache
def realised_volatility(n: int, asset: int = 0) -> Feature:
    """Root of the sum of the last ``n`` squared log returns: the volatility of ``n`` bars.

    T. G. Andersen and T. Bollerslev, Answering the Skeptics, 1998.
    """
    length(n)

    @inline
    def update(state, bar, out):  # type: ignore[no-untyped-def]
        if push(state, n + 1, known(bar.log_price, asset)):
            first, square = int(state[0]), 0.0
            for k in range(n):
                move = state[1 + (first + k + 1) % (n + 1)] - state[1 + (first + k) % (n + 1)]
                square += move * move
            out[0] = math.sqrt(square)

    return Feature(named(f"volatility{n}", asset), update, memory=2 + n, warmup_bars=n + 1)


@functools.cache
def rolling_correlation(n: int, first: int = 0, second: int = 1) -> Feature:
    """Pearson's correlation of the last ``n`` log returns of two assets; 0 where one of them did not move."""
    length(n, 2)
    half = 1 + n

    @inline
    def update(state, bar, out):  # type: ignore[no-untyped-def]
        a, b = known(bar.log_price, first), known(bar.log_price, second)
        if not (a == a and b == b):
            return
        count = int(state[0])  # of log prices taken in; state[1] and [2] are the last ones
        if count > 0:
            at = 3 + (count - 1) % n
            state[at], state[at + n] = a - state[1], b - state[2]
        state[0], state[1], state[2] = count + 1, a, b
        if count < n:
            return
        mean_a, mean_b = 0.0, 0.0
        for k in range(n):  # from the oldest on
            at = 3 + (count + k) % n
            mean_a += state[at] / n
            mean_b += state[at + n] / n
        aa, bb, ab = 0.0, 0.0, 0.0
        for k in range(n):
            at = 3 + (count + k) % n
            x, y = state[at] - mean_a, state[at + n] - mean_b
            aa, bb, ab = aa + x * x, bb + y * y, ab + x * y
        out[0] = ab / math.sqrt(aa * bb) if aa * bb > 0.0 else 0.0

    name = f"correlation{n}_{first}_{second}"
    return Feature(name, update, memory=1 + 2 * half, warmup_bars=n + 1)
