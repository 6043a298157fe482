"""One scan row as Nautilus carries it: the whole row as bytes in one custom data object."""

# No "from __future__ import annotations" here: customdataclass reads the annotations as types.
import numpy as np
from nautilus_trader.core.data import Data
from nautilus_trader.model.custom import customdataclass_pyo3
from nautilus_trader.model.data import CustomData, DataType
from nautilus_trader.model.identifiers import ClientId

from dolphin.core.records import MARKET_COLUMNS, RISK, Market

#: Scans come after every bar of the same time, whatever the order they were added in.
BARRIER_NS = 1

SCAN_CLIENT = ClientId("SCAN")


@customdataclass_pyo3()
class Scan(Data):
    """Row number of the bar, and the row: a record of :func:`layout` as bytes."""

    bar: int = 0
    row: bytes = b""


SCAN_TYPE = DataType(Scan)


def layout(market: Market, with_prices: bool) -> np.dtype[np.void]:
    """The record of one scan of this market; without prices where those come from bars."""
    assets = market.price.shape[1]
    fields: list[tuple] = [("features", "f8", (market.features.shape[1],)), ("risk", RISK)]
    fields += [(name, "f8", (assets,)) for name in asked_for(market)]
    if with_prices:
        fields += [("price", "f8", (assets,)), ("age", "i4", (assets,))]
    return np.dtype(fields)


def asked_for(market: Market) -> tuple[str, ...]:
    """The columns beside closes that the strategy asked for."""
    return tuple(name for name in market.by_row() if name in MARKET_COLUMNS)


def scans(market: Market, start: int, stop: int, with_prices: bool) -> list[CustomData]:
    """The scan objects of rows ``start`` to ``stop``."""
    record = layout(market, with_prices)
    rows = np.zeros(stop - start, record)
    for name in record.names or ():
        rows[name] = getattr(market, name)[start:stop]
    times = market.ts[start:stop].tolist()
    return [
        CustomData(SCAN_TYPE, Scan(ts, ts + BARRIER_NS, start + k, rows[k].tobytes())) for k, ts in enumerate(times)
    ]
