"""A Nautilus backtest of one configuration, matched by Nautilus, decided by our kernels."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import CacheConfig, LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, BookType, OmsType
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import MONEY_MAX, Money

from dolphin.catalog import Instrument
from dolphin.core.declaration import Plugged
from dolphin.core.engine import Engine
from dolphin.core.fill_models import SCAN_PRICE, FillModel
from dolphin.core.records import Floats, Market, Records, State, Words
from dolphin.errors import DolphinError
from dolphin.journal.session import SessionJournal
from dolphin.live.answers import FILL
from dolphin.live.data_objects import with_bars, with_quotes
from dolphin.live.exchange import VENUE, Exchange, SlippedFills, perpetual
from dolphin.live.parts import empty_books, exchange_of
from dolphin.live.rows import own_market
from dolphin.live.scan import SCAN_CLIENT, scans
from dolphin.live.session import Session
from dolphin.live.strategy import KernelStrategy

#: Where the strategy reads prices: in the scan object, or from one bar or quote per instrument before it.
Feed = Literal["scan", "bars", "quotes"]

#: More than any strategy asks for: sizes and limits are the core's business.
LEVERAGE = Decimal(1000)


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


@dataclass(frozen=True)
class Prepared:
    """A run before an engine has it: the market's exchange, our strategy, and the data objects that they will see."""

    perpetuals: list[CryptoPerpetual]
    fills: SlippedFills
    exchange: Exchange
    strategy: KernelStrategy
    session: Session
    data: list
    bar_types: list[BarType]
    hedging: bool
    stop: int

    def outcome(self, backtest: BacktestEngine, seconds: float) -> NautilusRun:
        """What the run leaves.

        Raises
        ------
        DolphinError
            If it ended early: Nautilus stops by itself on an account that it cannot go on with.
        """
        total = backtest.portfolio.account(VENUE).balance_total(USDT).as_double()
        return left_by(
            self.session, self.strategy, self.stop, total, events=len(self.data), seconds=seconds,
            who="the Nautilus backtest",
        )  # fmt: skip


def left_by(
    session: Session, strategy: KernelStrategy, stop: int, total: float, *, events: int, seconds: float, who: str
) -> NautilusRun:
    """What a run up to row ``stop`` leaves, in a backtest or in a node.

    Raises
    ------
    DolphinError
        If it ended early.
    """
    if session.bar != stop - 1 or not session.closed:
        raise DolphinError(f"{who} stopped at row {session.bar} of {stop - 1}")
    return NautilusRun(
        digests=session.digests,
        stages=session.stages,
        fills=np.array(session.fills, FILL),
        realized=np.array(strategy.realized),
        account_total=total,
        refusals=tuple(strategy.refusals),
        state=session.state,
        events=events,
        seconds=seconds,
    )


def prepared(
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
    plugged: Sequence[Plugged] | None = None,
    journal: SessionJournal | None = None,
) -> Prepared:
    """Everything of a run but the engine; see :func:`run_backtest`.

    Raises
    ------
    DolphinError
        If the capital is more than Nautilus can hold.
    """
    if initial_capital > MONEY_MAX:
        raise DolphinError(f"Nautilus holds no account of {initial_capital:g} USDT", mend=f"at most {MONEY_MAX:g}")
    hedging = engine.strategy.slots != 1
    model = fill_model or SCAN_PRICE
    fees = float(friction["fee"][0]), float(friction["maker_fee"][0])
    perpetuals = [perpetual(instrument, *fees) for instrument in instruments]
    fills, exchange = exchange_of(instruments, perpetuals, market, friction, model, known_first=feed == "scan")
    data: list = list(scans(market, start, stop, with_prices=feed == "scan"))
    bar_types: list[BarType] = []
    if feed == "bars":
        bar_types, data = with_bars(perpetuals, spacing_ns, market, start, stop, data)
    elif feed == "quotes":
        data = with_quotes(perpetuals, market, start, stop, data)
    if model.partial:
        data = [*empty_books(perpetuals, int(market.ts[start])), *data]
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
    return Prepared(perpetuals, fills, exchange, strategy, session, data, bar_types, hedging, stop)


def engine_config() -> BacktestEngineConfig:
    """No logs, no statistics, no limit of orders: what is compared is decisions and fills."""
    return BacktestEngineConfig(
        trader_id=TraderId("PARITY-001"),
        logging=LoggingConfig(bypass_logging=True),
        cache=CacheConfig(bar_capacity=1, tick_capacity=1, drop_instruments_on_reset=False),
        risk_engine=RiskEngineConfig(max_order_submit_rate="1000000/00:00:01"),
        run_analysis=False,
    )


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
    **options: Any,
) -> NautilusRun:
    """Rows ``start`` to ``stop`` of ``market``, fed to Nautilus bar by bar.

    Options are those of :func:`prepared`. ``fill_model`` is the configuration's (``scan_price`` unless given);
    ``regular`` says that the bars' times have no gaps, so that orders may be given the time at which they expire.

    Rows before ``start`` are history that the strategy knows; ``plugged`` are the plug-in features that the
    parameters select (:class:`~dolphin.live.session.Session`), and ``journal`` hears of every bar. Memory: 20 bytes
    per row and asset, and with ``feed="bars"`` about 200 per bar event.

    Raises
    ------
    DolphinError
        If the capital is more than Nautilus can hold, or the run ends early: Nautilus stops by itself
        on an account that it cannot go on with.
    """
    run = prepared(engine, instruments, spacing_ns, market, params, friction, initial_capital, start, stop, **options)
    backtest = BacktestEngine(engine_config())
    try:
        backtest.add_venue(
            venue=VENUE,
            oms_type=OmsType.HEDGING if run.hedging else OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=USDT,
            starting_balances=[Money(initial_capital, USDT)],
            default_leverage=LEVERAGE,
            book_type=BookType.L2_MBP if run.exchange.in_parts else BookType.L1_MBP,
            fill_model=run.fills,
            modules=[run.exchange],
        )
        for instrument in run.perpetuals:
            backtest.add_instrument(instrument)
        backtest.add_strategy(run.strategy)
        backtest.add_data(run.data, client_id=SCAN_CLIENT)
        with quiet():
            began = time.perf_counter()
            backtest.run()
            seconds = time.perf_counter() - began
        return run.outcome(backtest, seconds)
    finally:
        backtest.dispose()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nautilus 1.231 calls what pandas 3 deprecates, once per run."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Timestamp.utcnow is deprecated")
        yield
