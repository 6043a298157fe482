"""The rows of a session: what is known before it begins, and room for those that are still to come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dolphin.core.records import Market

#: Rows that a session whose end nobody knows makes room for at a time, and that it keeps behind it.
ROOM = 1 << 14


def own_market(source: Market, start: int, stop: int) -> Market:
    """A market whose rows before ``start`` are known and whose others are still to come (NaN, -1)."""
    rows = {
        name: np.full((stop, *values.shape[1:]), np.nan, values.dtype)
        for name, values in source.by_row().items()
        if values.dtype.kind == "f"
    }
    rows["ts"] = np.zeros(stop, np.int64)
    rows["age"] = np.full((stop, source.age.shape[1]), -1, np.int32)
    rows["risk"] = np.zeros(stop, source.risk.dtype)
    for name, theirs in source.by_row().items():
        rows[name][:start] = theirs[:start]
    return source._replace(**rows)


def roomy_market(source: Market, first: int, start: int) -> Market:
    """A market that knows rows ``first`` to ``start`` and has room for more; rows before use no memory."""
    rows: dict[str, NDArray[np.void]] = {}
    for name, values in source.by_row().items():
        out = np.empty((start + ROOM, *values.shape[1:]), values.dtype)
        out[first:start] = values[first:start]
        rows[name] = out
    rows["ts"] = np.zeros(start + ROOM, np.int64)
    rows["ts"][first:start] = source.ts[first:start]
    rows["age"][start:] = -1
    return source._replace(**rows)  # type: ignore[arg-type]
