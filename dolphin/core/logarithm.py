"""The natural logarithm from +, -, *, / and exponent bits, the same on every machine.

The method is fdlibm's ``e_log.c`` (Sun Microsystems, 1993): x = 2^k (1 + f) with
sqrt(1/2) < 1 + f < sqrt(2), s = f / (2 + f), and a degree-7 polynomial in s^2; ln 2 comes in two
parts so that k ln 2 is exact to the last bit. The error is below 1 ulp.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dolphin.core.bits import bits_float, float_bits
from dolphin.core.jit import inline, kernel
from dolphin.core.records import Floats

LN2_HI = 6.93147180369123816490e-01
LN2_LO = 1.90821492927058770002e-10
LG1 = 6.666666666666735130e-01
LG2 = 3.999999999940941908e-01
LG3 = 2.857142874366239149e-01
LG4 = 2.222219843214978396e-01
LG5 = 1.818357216161805012e-01
LG6 = 1.531383769920937332e-01
LG7 = 1.479819860511658591e-01

SMALLEST_NORMAL = 2.2250738585072014e-308
TWO_54 = 18014398509481984.0
HALF_SQRT2_BITS = np.uint64(0x3FE6A09E00000000)  # the top word of sqrt(1/2)
ONE_MINUS_HALF_SQRT2_BITS = np.uint64(0x3FF0000000000000 - 0x3FE6A09E00000000)
MANTISSA = np.uint64(0x000FFFFFFFFFFFFF)
EXPONENT_SHIFT = np.uint64(52)


@inline
def ln(x):  # type: ignore[no-untyped-def]
    """Natural logarithm of a float64, within 1 ulp.

    ``ln(NaN)`` and ``ln(x < 0)`` are NaN, ``ln(0)`` is -inf, ``ln(inf)`` is inf.
    """
    if not x > 0.0:
        return -np.inf if x == 0.0 else np.nan
    if x == np.inf:
        return x
    exponent = -1023
    if x < SMALLEST_NORMAL:
        x = x * TWO_54
        exponent = -1077
    bits = float_bits(x) + ONE_MINUS_HALF_SQRT2_BITS
    k = float(np.int64(bits >> EXPONENT_SHIFT) + exponent)
    f = bits_float((bits & MANTISSA) + HALF_SQRT2_BITS) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (LG2 + w * (LG4 + w * LG6))
    odd = z * (LG1 + w * (LG3 + w * (LG5 + w * LG7)))
    half_square = 0.5 * f * f
    return k * LN2_HI - ((half_square - (s * (half_square + (odd + even)) + k * LN2_LO)) - f)


@kernel()
def ln_into(x, out):  # type: ignore[no-untyped-def]
    """Write ``ln(x[i])`` to ``out[i]`` for every i."""
    for i in range(x.size):
        out[i] = ln(x[i])


def each(into: Callable[[Floats, Floats], None], x: Floats) -> Floats:
    """Every element of ``x`` through a kernel ``into(values, out)`` of flat float64 arrays; the shape of ``x``."""
    values = np.ascontiguousarray(x, dtype=np.float64)
    out = np.empty_like(values)
    into(values.reshape(-1), out.reshape(-1))
    return out


def ln_array(x: Floats) -> Floats:
    """Natural logarithm of every element, bit for bit what :func:`ln` gives inside a kernel.

    Parameters
    ----------
    x : array_like of float64, any shape

    Returns
    -------
    ndarray of float64, the shape of ``x``
    """
    return each(ln_into, x)
