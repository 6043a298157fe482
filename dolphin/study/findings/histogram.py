"""Counts by value, also of values that lie closer together than floats can be cut."""

from __future__ import annotations

import numpy as np

from dolphin.core.records import Floats, Ints


def histogram(values: Floats, bins: int) -> tuple[Ints, Floats]:
    """Counts (bins,) int64 and edges (bins + 1,) float64, as :func:`numpy.histogram` gives them.

    Values that are all but equal have no bins of their own; they lie in the middle of a wider range.
    """
    low, high = float(values.min()), float(values.max())
    scale = max(abs(low), abs(high))
    if high - low > max(1e-9 * scale, 1e-290):
        counts, edges = np.histogram(values, bins)
    else:
        half = 0.5 * scale if scale > 1e-280 else 0.5
        counts, edges = np.histogram(values, bins, range=(low - half, low + half))
    return counts.astype(np.int64), edges
