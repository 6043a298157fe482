"""The data objects of a backtest: a row's bars or quotes, one per instrument, then its scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nautilus_trader.model.data import Bar, BarSpecification, BarType, QuoteTick
from nautilus_trader.model.enums import AggregationSource, BarAggregation, PriceType
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Price, Quantity

from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.live.exchange import DEPTH

_UNITS = (
    (86_400_000_000_000, BarAggregation.DAY),
    (3_600_000_000_000, BarAggregation.HOUR),
    (60_000_000_000, BarAggregation.MINUTE),
    (1_000_000_000, BarAggregation.SECOND),
    (1_000_000, BarAggregation.MILLISECOND),
)


def bar_type(instrument: CryptoPerpetual, spacing_ns: int) -> BarType:
    """External last-price bars of this spacing, in the largest unit that divides it."""
    for unit, aggregation in _UNITS:
        if spacing_ns % unit == 0:
            spec = BarSpecification(spacing_ns // unit, aggregation, PriceType.LAST)
            return BarType(instrument.id, spec, AggregationSource.EXTERNAL)
    raise DolphinError(f"a spacing of {spacing_ns} ns is finer than Nautilus bars", mend="use whole milliseconds")


def with_bars(
    perpetuals: Sequence[CryptoPerpetual],
    spacing_ns: int,
    market: Market,
    start: int,
    stop: int,
    scan_objects: list,
) -> tuple[list[BarType], list]:
    """Bar types by column, and all data in time order: a row's bars, then its scan.

    A bar is its close, unless open, high and low were asked for; forward-filled prices are no bars.
    """
    types = [bar_type(instrument, spacing_ns) for instrument in perpetuals]
    rows: list[list] = [[] for _ in range(stop - start)]
    for j, (kind, instrument) in enumerate(zip(types, perpetuals, strict=True)):
        real = np.flatnonzero(market.age[start:stop, j] == 0)
        close = np.ascontiguousarray(market.price[start:stop, j][real])
        ts = market.ts[start:stop][real].astype(np.uint64)
        volume = np.full(len(real), float(DEPTH))
        bars: list[Bar] = Bar.from_raw_arrays_to_list(
            kind, instrument.price_precision, instrument.size_precision,
            close, close, close, close, volume, ts, ts,
        )  # fmt: skip
        for k, bar in zip(real.tolist(), bars, strict=True):
            rows[k].append(bar)
    return types, _before_scans(rows, scan_objects)


def with_quotes(
    perpetuals: Sequence[CryptoPerpetual], market: Market, start: int, stop: int, scan_objects: list
) -> list:
    """All data in time order: a row's quotes, one per instrument with a real price, then its scan."""
    rows: list[list] = [[] for _ in range(stop - start)]
    for j, instrument in enumerate(perpetuals):
        decimals, size = instrument.price_precision, Quantity(DEPTH, instrument.size_precision)
        for k in np.flatnonzero(market.age[start:stop, j] == 0).tolist():
            ts, price = int(market.ts[start + k]), Price(float(market.price[start + k, j]), decimals)
            rows[k].append(QuoteTick(instrument.id, price, price, size, size, ts, ts))
    return _before_scans(rows, scan_objects)


def _before_scans(rows: list[list], scan_objects: list) -> list:
    data: list = []
    for row, scan in zip(rows, scan_objects, strict=True):
        data += row
        data.append(scan)
    return data
