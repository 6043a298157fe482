"""What a plug-in feature sees of one bar."""

from __future__ import annotations

from typing import NamedTuple

from dolphin.core.records import Floats


class Bar(NamedTuple):
    """One bar, and nothing before or after it: what a feature remembers is in its state."""

    ts: int  # close of the bar, ns UTC
    price: Floats  # float64[N], forward-filled, NaN before an asset's first
    log_price: Floats  # float64[N], natural logarithms of the prices
    inputs: Floats  # float64[I], the scanner's columns that the feature asks for, in its order
