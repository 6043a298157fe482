"""The normal distribution function and its inverse, without scipy's second of import."""

from __future__ import annotations

from statistics import NormalDist

_NORMAL = NormalDist()

#: Probabilities are kept this far from 0 and 1 before they are inverted.
EDGE = 1e-15


def phi(z: float) -> float:
    """Probability below ``z``."""
    return _NORMAL.cdf(z)


def quantile(p: float) -> float:
    """The value below which ``p`` lies; ``p`` of 0 and 1 are moved inwards by :data:`EDGE`."""
    return _NORMAL.inv_cdf(min(max(p, EDGE), 1.0 - EDGE))
