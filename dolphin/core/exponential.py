"""The exponential from +, -, *, / and exponent bits, the same on every machine.

The method is fdlibm's ``e_exp.c`` (Sun Microsystems, 1993): x = k ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts,
and a rational function of r^2. The error is below 1 ulp.
"""

from __future__ import annotations

import numpy as np

from dolphin.core.bits import bits_float, float_bits
from dolphin.core.jit import inline, kernel
from dolphin.core.logarithm import LN2_HI, LN2_LO, each
from dolphin.core.records import Floats

INV_LN2 = 1.44269504088896338700e00
P1 = 1.66666666666666019037e-01
P2 = -2.77777777770155933842e-03
P3 = 6.61375632143793436117e-05
P4 = -1.65339022054652515390e-06
P5 = 4.13813679705723846039e-08

OVERFLOW = 7.09782712893383973096e02
UNDERFLOW = -7.45133219101941108420e02
TINY = 3.7252902984619140625e-09  # 2^-28: 1 + x is the answer
TWO_M1000 = 9.33263618503218878990e-302
EXPONENT_SHIFT = np.uint64(52)


@inline
def exp(x):  # type: ignore[no-untyped-def]
    """e to the power of a float64, within 1 ulp; ``exp(NaN)`` is NaN, ``exp(inf)`` inf, ``exp(-inf)`` 0."""
    if x != x:
        return x
    if x > OVERFLOW:
        return np.inf
    if x < UNDERFLOW:
        return 0.0
    if abs(x) < TINY:
        return 1.0 + x
    k = 0
    if abs(x) > 0.5 * (LN2_HI + LN2_LO):
        k = int(INV_LN2 * x + (0.5 if x > 0.0 else -0.5))
    high = x - k * LN2_HI
    low = k * LN2_LO
    r = high - low
    z = r * r
    c = r - z * (P1 + z * (P2 + z * (P3 + z * (P4 + z * P5))))
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    if k >= -1021:
        return _scaled(y, k)
    return _scaled(y, k + 1000) * TWO_M1000


@inline
def _scaled(y, k):  # type: ignore[no-untyped-def]
    """y times 2^k, where that is a normal number; 2^1024 in two steps."""
    if k == 1024:
        return y * 2.0 * bits_float(float_bits(1.0) + (np.uint64(1023) << EXPONENT_SHIFT))
    return bits_float(float_bits(y) + (np.uint64(k) << EXPONENT_SHIFT))


@kernel()
def exp_into(x, out):  # type: ignore[no-untyped-def]
    """Write ``exp(x[i])`` to ``out[i]`` for every i."""
    for i in range(x.size):
        out[i] = exp(x[i])


def exp_array(x: Floats) -> Floats:
    """The exponential of every element, bit for bit what :func:`exp` gives inside a kernel.

    Parameters
    ----------
    x : array_like of float64, any shape

    Returns
    -------
    ndarray of float64, the shape of ``x``
    """
    return each(exp_into, x)
