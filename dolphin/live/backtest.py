"""A Nautilus backtest of one configuration, matched by Nautilus, decided by our kernels."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import CacheConfig, LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import Bar, BarSpecification, BarType, QuoteTick
from nautilus_trader.model.enums import AccountType, AggregationSource, BarAggregation, OmsType, PriceType
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import MONEY_MAX, Money, Price, Quantity

from dolphin.catalog import Instrument
from dolphin.core.declaration import Plugged
from dolphin.core.engine import Engine
from dolphin.core.fill_models import SCAN_PRICE, FillModel
from dolphin.core.records import Floats, Market, Records, State, Words
from dolphin.errors import DolphinError
from dolphin.journal.session import SessionJournal
from dolphin.live.exchange import DEPTH, VENUE, Exchange, SlippedFills, perpetual
from dolphin.live.scan import SCAN_CLIENT, scans
from dolphin.live.session import FILL, Session, own_market
from dolphin.live.strategy import KernelStrategy

#: Where the strategy reads prices: in the scan object, or from one bar or quote per instrument before it.
Feed = Literal["scan", "bars", "quotes"]

#: More than any strategy asks for: sizes and limits are the core's business.
LEVERAGE = Decimal(1000)

_UNITS = (
    (86_400_000_000_000, BarAggregation.DAY),
    (3_600_000_000_000, BarAggregation.HOUR),
    (60_000_000_000, BarAggregation.MINUTE),
    (1_000_000_000, BarAggregation.SECOND),
    (1_000_000, BarAggregation.MILLISECOND),
)


@dataclass(frozen=True)
class NautilusRun:
    """What a run leaves.

    Attributes
    ----------
    digests : uint64 [bars]
    stages : uint64 [bars, 6]
        Stage words of every bar.
    fills : array of FILL
        In the order in which they were booked.
    realized : float64 [closed positions]
        Nautilus' realised P&L, net of its commissions.
    account_total : float
        Nautilus' balance of the account.
    refusals : tuple of str
        Orders that were denied or rejected.
    state : State
        Ours after the last bar.
    events : int
        Data objects that Nautilus processed.
    seconds : float
        Of the run alone, without making data objects.
    """

    digests: Words
    stages: Words
    fills: Records
    realized: Floats
    account_total: float
    refusals: tuple[str, ...]
    state: State
    events: int
    seconds: float


def run_backtest(
    engine: Engine,
    instruments: Sequence[Instrument],
    spacing_ns: int,
    market: Market,
    params: Records,
    friction: Records,
    initial_capital: float,
    start: int,
    stop: int,
    *,
    feed: Feed = "scan",
    fill_model: FillModel | None = None,
    regular: bool = True,
    chunk: int | None = None,
    plugged: Sequence[Plugged] | None = None,
    journal: SessionJournal | None = None,
) -> NautilusRun:
    """Rows ``start`` to ``stop`` of ``market``, fed to Nautilus bar by bar.

    ``fill_model`` is the configuration's (``scan_price`` unless given); ``regular`` says that the bars' times have no
    gaps, so that orders may be given the time at which they expire. With ``chunk`` Nautilus is given so many data
    objects at a time.

    Rows before ``start`` are history that the strategy knows; ``plugged`` are the plug-in features that the
    parameters select (:class:`~dolphin.live.session.Session`), and ``journal`` hears of every bar. Memory: 20 bytes
    per row and asset, and with ``feed="bars"`` about 200 per bar event.

    Raises
    ------
    DolphinError
        If the capital is more than Nautilus can hold, or the run ends early: Nautilus stops by itself
        on an account that it cannot go on with.
    """
    if initial_capital > MONEY_MAX:
        raise DolphinError(f"Nautilus holds no account of {initial_capital:g} USDT", mend=f"at most {MONEY_MAX:g}")
    hedging = engine.strategy.slots != 1
    model = fill_model or SCAN_PRICE
    backtest = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("PARITY-001"),
            logging=LoggingConfig(bypass_logging=True),
            cache=CacheConfig(bar_capacity=1, tick_capacity=1, drop_instruments_on_reset=False),
            risk_engine=RiskEngineConfig(max_order_submit_rate="1000000/00:00:01"),
            run_analysis=False,
        )
    )
    try:
        fees = float(friction["fee"][0]), float(friction["maker_fee"][0])
        perpetuals = [perpetual(instrument, *fees) for instrument in instruments]
        fills = SlippedFills(instruments, market.instruments, friction, model, known_first=feed == "scan")
        exchange = Exchange(perpetuals, fills, model)
        backtest.add_venue(
            venue=VENUE,
            oms_type=OmsType.HEDGING if hedging else OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=USDT,
            starting_balances=[Money(initial_capital, USDT)],
            default_leverage=LEVERAGE,
            fill_model=fills,
            modules=[exchange],
        )
        for instrument in perpetuals:
            backtest.add_instrument(instrument)
        data: list = list(scans(market, start, stop, with_prices=feed == "scan"))
        bar_types: list[BarType] = []
        if feed == "bars":
            bar_types, data = _with_bars(perpetuals, spacing_ns, market, start, stop, data)
        elif feed == "quotes":
            data = _with_quotes(perpetuals, market, start, stop, data)
        own = own_market(market, start, stop)
        session = Session(engine, params, friction, own, initial_capital, start, stop, plugged, journal)
        strategy = KernelStrategy(
            session,
            perpetuals,
            exchange,
            bar_types=bar_types,
            quoted=feed == "quotes",
            hedging=hedging,
            spacing_ns=spacing_ns if regular else 0,
        )
        backtest.add_strategy(strategy)
        seconds = _timed(backtest, data, chunk or len(data))
        if session.bar != stop - 1 or not session.closed:
            raise DolphinError(f"the Nautilus backtest stopped at row {session.bar} of {stop - 1}")
        return NautilusRun(
            digests=session.digests,
            stages=session.stages,
            fills=np.array(session.fills, FILL),
            realized=np.array(strategy.realized),
            account_total=backtest.portfolio.account(VENUE).balance_total(USDT).as_double(),
            refusals=tuple(strategy.refusals),
            state=session.state,
            events=len(data),
            seconds=seconds,
        )
    finally:
        backtest.dispose()


def _timed(backtest: BacktestEngine, data: list, chunk: int) -> float:
    """Run it over the data, ``chunk`` objects at a time as a BacktestNode does where not all are in memory; seconds."""
    seconds = 0.0
    with warnings.catch_warnings():
        # Nautilus 1.231 calls what pandas 3 deprecates, once per run.
        warnings.filterwarnings("ignore", "Timestamp.utcnow is deprecated")
        for low in range(0, len(data), chunk):
            backtest.add_data(data[low : low + chunk], client_id=SCAN_CLIENT)
            began = time.perf_counter()
            backtest.run(streaming=chunk < len(data))
            seconds += time.perf_counter() - began
            backtest.clear_data()
        if chunk < len(data):
            backtest.end()
    return seconds


def bar_type(instrument: CryptoPerpetual, spacing_ns: int) -> BarType:
    """External last-price bars of this spacing, in the largest unit that divides it."""
    for unit, aggregation in _UNITS:
        if spacing_ns % unit == 0:
            spec = BarSpecification(spacing_ns // unit, aggregation, PriceType.LAST)
            return BarType(instrument.id, spec, AggregationSource.EXTERNAL)
    raise DolphinError(f"a spacing of {spacing_ns} ns is finer than Nautilus bars", mend="use whole milliseconds")


def _with_bars(
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


def _with_quotes(
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
