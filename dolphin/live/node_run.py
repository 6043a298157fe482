"""A stretch of recorded rows through a TradingNode: what a backtest does, on live's own ways."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence

from nautilus_trader.model.data import CustomData

from dolphin.catalog import Instrument
from dolphin.core.declaration import Plugged
from dolphin.core.engine import Engine
from dolphin.core.fill_models import SCAN_PRICE, FillModel
from dolphin.core.records import Market, Records
from dolphin.journal.session import SessionJournal
from dolphin.live.backtest import NautilusRun, left_by
from dolphin.live.exchange import perpetual
from dolphin.live.node import run_node
from dolphin.live.node_strategy import NodeStrategy
from dolphin.live.parts import exchange_of
from dolphin.live.rows import own_market
from dolphin.live.scan import scans
from dolphin.live.session import Session


def run_in_node(
    engine: Engine,
    instruments: Sequence[Instrument],
    market: Market,
    params: Records,
    friction: Records,
    initial_capital: float,
    start: int,
    stop: int,
    *,
    fill_model: FillModel | None = None,
    plugged: Sequence[Plugged] | None = None,
    journal: SessionJournal | None = None,
) -> NautilusRun:
    """Rows ``start`` to ``stop`` of ``market``, brought to a node one at a time (see :func:`run_backtest`).

    Raises
    ------
    DolphinError
        If the node stops before the last row.
    """
    own = own_market(market, start, stop)
    session = Session(engine, params, friction, own, initial_capital, start, stop, plugged, journal)
    model = fill_model or SCAN_PRICE
    fees = float(friction["fee"][0]), float(friction["maker_fee"][0])
    perpetuals = [perpetual(instrument, *fees) for instrument in instruments]
    fills, exchange = exchange_of(instruments, perpetuals, market, friction, model)
    hedging = engine.strategy.slots != 1
    strategy = NodeStrategy(session, perpetuals, exchange, hedging=hedging)
    began = time.perf_counter()
    total = run_node(
        strategy, _one_by_one(market, start, stop), perpetuals, fills, exchange, initial_capital, hedging=hedging
    )
    seconds = time.perf_counter() - began
    return left_by(session, strategy, stop, total, events=stop - start, seconds=seconds, who="the node")


async def _one_by_one(market: Market, start: int, stop: int) -> AsyncIterator[CustomData]:
    for scan in scans(market, start, stop, with_prices=True):
        yield scan
