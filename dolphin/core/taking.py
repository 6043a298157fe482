"""What an order that takes liquidity pays: slipped, and under stress disturbed by noise first."""

from __future__ import annotations

import numpy as np

from dolphin.core.grid import slipped
from dolphin.core.jit import hook, inline

_BAR, _COLUMN = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S16 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(16)
_LOW = np.uint64(0xFFFF)
_DEVIATION = 3.0**0.5 / 65536.0

#: What a friction record has beside its own fields where fills are disturbed and entries missed: a seed, the
#: deviation of the noise as a fraction of the price, the probability that a signal to enter is missed.
DISTURBED = (("seed", "u8"), ("noise", "f8"), ("missed", "f8"))


@inline
def word(seed, i, j):  # type: ignore[no-untyped-def]
    """64 random bits of bar ``i`` and column ``j`` (splitmix64 of a counter): no draw depends on another."""
    z = seed + np.uint64(i) * _BAR + np.uint64(j) * _COLUMN
    z = (z ^ (z >> _S30)) * _FIRST
    z = (z ^ (z >> _S27)) * _SECOND
    return z ^ (z >> _S31)


@inline
def bell(bits):  # type: ignore[no-untyped-def]
    """Nearly normal with mean 0 and deviation 1: the sum of four 16-bit fields, at most 3.46 away."""
    total = np.float64(bits & _LOW) + np.float64((bits >> _S16) & _LOW)
    bits = bits >> _S16 >> _S16
    total += np.float64(bits & _LOW) + np.float64((bits >> _S16) & _LOW)
    return (total - 131070.0) * _DEVIATION


def taken_at(price, direction, asset, friction, market, i):  # type: ignore[no-untyped-def]
    """What a buy (direction +1) or sell (-1) that takes ``price`` is filled at."""
    raise NotImplementedError


@hook(taken_at)
def _taken_at(price, direction, asset, friction, market, i):  # type: ignore[no-untyped-def]
    if "noise" in friction.fields:

        def disturbed(price, direction, asset, friction, market, i):  # type: ignore[no-untyped-def]
            if friction.noise > 0.0:
                price = price * (1.0 + friction.noise * bell(word(friction.seed, i, asset)))
            return slipped(price, direction, friction.slippage, market.instruments[asset])

        return disturbed

    def plain(price, direction, asset, friction, market, i):  # type: ignore[no-untyped-def]
        return slipped(price, direction, friction.slippage, market.instruments[asset])

    return plain
