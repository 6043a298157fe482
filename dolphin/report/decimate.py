"""A long curve in few points, with every extreme still on it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def extremes(values: NDArray[np.float64], points: int = 4_000) -> NDArray[np.int64]:
    """Return row numbers that draw ``values`` in at most ``points`` points.

    The rows are cut into equal buckets; of each the lowest and the highest value are kept, and the
    first and the last row always. On screen the curve looks like the whole one, and its minimum
    and maximum are exact.

    Parameters
    ----------
    values : array of float64, shape (n,)
        Finite.
    points : int
        At least 4.

    Returns
    -------
    array of int64, shape (m,)
        Ascending, m <= max(points, 4); all rows if n <= points.
    """
    rows = len(values)
    if rows <= points:
        return np.arange(rows, dtype=np.int64)
    buckets = max((points - 2) // 2, 1)
    edges = np.linspace(0, rows, buckets + 1).astype(np.int64)
    keep = [0, rows - 1]
    for low, high in pairwise(edges):
        part = values[low:high]
        keep += (int(low + part.argmin()), int(low + part.argmax()))
    return np.unique(np.asarray(keep, dtype=np.int64))
