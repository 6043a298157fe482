"""The loop over the rows of one plug-in feature, compiled once per feature by :mod:`dolphin.features.plugin`.

It is executed with ``update`` and ``kernel`` already set, so that the feature is a compile-time constant,
and never imported as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dolphin.features.bar import Bar

update: Callable[..., None]
kernel: Callable[..., Any]


@kernel("void(int64[::1], float64[:,::1], float64[:,::1], float64[:,::1], float64[::1], float64[:,::1])", nogil=True)
def advance(ts, price, log_price, inputs, state, out):  # type: ignore[no-untyped-def]
    """Take in these rows one after the other; row t of ``out`` is the feature at row t."""
    for t in range(ts.size):
        update(state, Bar(ts[t], price[t], log_price[t], inputs[t]), out[t])
