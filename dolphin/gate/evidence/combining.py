"""Several p-values as one, and one level of error for several looks."""

from __future__ import annotations

import math

from dolphin.gate.evidence.normal import phi, quantile


def stouffer(*p_values: float) -> float:
    """1 - Phi(sum z / sqrt n), z = Phi^-1(1 - p): one p-value of independent ones (Stouffer and others, 1949)."""
    z = [quantile(1.0 - p) for p in p_values]
    return 1.0 - phi(sum(z) / math.sqrt(len(z)))


def spent(alpha: float, k: int) -> float:
    """The level of the k-th family on one holdout, 6 alpha / (pi k)^2; those of all families sum to ``alpha``."""
    return 6.0 * alpha / (math.pi * k) ** 2


def of_several(p: float, ratio: float) -> float:
    """The p-value of the best of ``ratio`` searches like the one whose p-value is ``p`` (Sidak)."""
    return 1.0 - (1.0 - p) ** max(ratio, 1.0)


def rank(value: float, others: list[float]) -> float:
    """(1 + #{others >= value}) / (n + 1); 1 where ``value`` is nan, and a nan among the others is below all."""
    if math.isnan(value):
        return 1.0
    return (1 + sum(other >= value for other in others)) / (len(others) + 1)
