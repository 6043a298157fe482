"""A live session from its parts: begun, or taken up where a kill left it, checked and reconciled before it trades."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from dolphin.catalog import Instrument
from dolphin.config import Config
from dolphin.core.logarithm import ln_array
from dolphin.core.records import Floats, Market, neutral_risk
from dolphin.errors import DolphinError
from dolphin.journal import JournalWriter
from dolphin.journal.header import header_of, lookback, shape_for
from dolphin.live.binance.asking import Client
from dolphin.live.binance.feed import BinanceFeed
from dolphin.live.binance.hooks import REST, Clients
from dolphin.live.binance.journaling import LiveJournal
from dolphin.live.binance.keys import Keys
from dolphin.live.binance.node import run_node
from dolphin.live.binance.reconcile import reconcile
from dolphin.live.binance.resuming import Resumed, resume, writer_behind
from dolphin.live.binance.safety import check_account, check_strategy, raise_if_different
from dolphin.live.binance.trader import ASK_AFTER, LiveTrader, order_id
from dolphin.live.dressing import Dresser
from dolphin.live.feed import History, Row
from dolphin.live.session import Session, own_market
from dolphin.market.assemble import instrument_records


@dataclass(frozen=True)
class Plan:
    """What is traded, where, and where it is written down.

    Attributes
    ----------
    config : Config
    instruments : sequence of Instrument
        By column, as research knows them.
    reference : str
    spacing_ns : int
    history : History
        Rows before the first of the session; numbers of rows go on behind it.
    journal : Path
        A new file, or one to go on with.
    name : str
        Client order ids begin with it.
    environment : str
        ``live``, ``testnet`` or ``demo``.
    url : str, optional
        Another exchange's REST address, such as a drill's.
    leverage : int, optional
        What every symbol must be set to.
    bars : int
        Rows that the session has room for.
    policy : str
        When the journal is made durable (:class:`dolphin.journal.writer.Policy`).
    """

    config: Config
    instruments: tuple[Instrument, ...]
    reference: str
    spacing_ns: int
    history: History
    journal: Path
    name: str
    environment: str = "testnet"
    url: str | None = None
    leverage: int | None = None
    bars: int = 10_000
    policy: str = "order"
    ask_after: float = ASK_AFTER

    @property
    def symbols(self) -> tuple[str, ...]:
        """By column."""
        return tuple(one.symbol for one in self.instruments)


def make_trader(plan: Plan, keys: Keys, *, stop_at: int | None = None) -> tuple[LiveTrader, Clients, Client]:
    """All parts of a session put together; nothing is connected yet.

    Raises
    ------
    DolphinError
        If the strategy cannot be traded live, or its journal is not as it was written.
    """
    check_strategy(plan.config)
    history = plan.history
    dresser = Dresser(plan.config, plan)
    market = _market(plan, dresser.take_history(history))
    begun = resume(plan.journal, plan.config) if plan.journal.exists() else None
    if begun is None:
        plan.journal.unlink(missing_ok=True)
        start, journal = history.first + len(history.ts), _new_journal(plan, market)
    else:
        start = begun.last + 1
        if history.first + len(history.ts) != begun.first:
            raise DolphinError("the history does not end where the journal begins", where=str(plan.journal))
        journal = writer_behind(plan.journal, begun, plan.config, policy=plan.policy, clock=time.time_ns)
        _take_over(market, begun)
    session = Session(
        plan.config.engine, plan.config.params_record(), plan.config.friction_record(),
        own_market(market, start, len(market.ts)), plan.config.account.initial_capital, start, len(market.ts),
        plan.config.strategy.plugged(plan.config.params), journal,
    )  # fmt: skip
    if begun is not None:
        for mine, theirs in zip(session.state, begun.state, strict=True):
            mine[...] = theirs
        _scan_again(dresser, begun)
    client = Client(plan.url or REST[plan.environment], keys)
    feed = BinanceFeed(
        client, plan.instruments, plan.reference, plan.spacing_ns, int(history.ts[0]) - history.first * plan.spacing_ns,
        on_late=journal.late,
    )  # fmt: skip
    clients = Clients()
    trader = LiveTrader(
        session, feed, client, clients, dresser.features, plan.name, journal=journal,
        after=_known(feed, history, begun), stop_at=stop_at, ready=_reconciling(plan, session, client),
        unfinished=_unfinished(plan, begun), ask_after=plan.ask_after,
    )  # fmt: skip
    return trader, clients, client


def trade_live(plan: Plan, keys: Keys, *, stop_at: int | None = None) -> LiveTrader:
    """Run a session until it is ended; its journal is closed only if it came to its end.

    Raises
    ------
    DolphinError
        Whatever forbids or stops it. Keys are in no message.
    """
    asyncio.run(_check_account(plan, keys))
    trader, clients, _ = make_trader(plan, keys, stop_at=stop_at)
    journal = trader.session.journal
    assert journal is not None
    try:
        run_node(trader, clients, keys, plan.environment, plan.url)
    except DolphinError:
        raise
    except Exception as error:
        raise DolphinError(keys.hidden(f"{type(error).__name__}: {error}"), where="the live session") from None
    finally:
        journal.writer.flush()
        journal.writer.abandon()
    return trader


async def _check_account(plan: Plan, keys: Keys) -> None:
    """Before a node is built: one that cannot start says nothing of the reason."""
    client = Client(plan.url or REST[plan.environment], keys)
    try:
        await check_account(client, plan.instruments, plan.leverage)
    finally:
        await client.close()


def _market(plan: Plan, known_features: Floats) -> Market:
    """The rows of history at their numbers, and room for those to come."""
    history, assets = plan.history, len(plan.instruments)
    start = history.first + len(history.ts)
    rows, known = start + plan.bars, slice(history.first, start)
    features = np.full((rows, known_features.shape[1]), np.nan)
    price, age = np.full((rows, assets), np.nan), np.full((rows, assets), -1, np.int32)
    ts = np.zeros(rows, np.int64)
    ts[known], price[known], age[known], features[known] = history.ts, history.price, history.age, known_features
    records = instrument_records(plan.instruments)
    return Market(ts, price, ln_array(price), age, features, neutral_risk(rows), records)


def _take_over(market: Market, begun: Resumed) -> None:
    """The journal's rows at their numbers."""
    rows = slice(begun.first, begun.last + 1)
    for name in ("ts", "price", "log_price", "age", "features", "risk"):
        getattr(market, name)[rows] = getattr(begun.rows, name)[rows]


def _scan_again(dresser: Dresser, begun: Resumed) -> None:
    """Take the scanner over the journal's rows."""
    for bar in range(begun.first, begun.last + 1):
        dresser.features(Row(bar, int(begun.rows.ts[bar]), begun.rows.price[bar], begun.rows.age[bar]))


def _known(feed: BinanceFeed, history: History, begun: Resumed | None) -> int:
    """Tell the feed of the last row that is known; its close."""
    if begun is None:
        feed.know(history)
        return int(history.ts[-1])
    last, row = begun.last, begun.unfinished
    price, age = (begun.rows.price[last], begun.rows.age[last]) if row is None else (row.price, row.age)
    bar = last if row is None else row.bar
    feed.know(History(bar, np.array([begun.last_ts]), price[None, :], age[None, :]))
    return begun.last_ts


def _unfinished(plan: Plan, begun: Resumed | None) -> Any:
    if begun is None or begun.unfinished is None:
        return None
    return begun.unfinished, {slot: order_id(plan.name, begun.unfinished.bar, slot) for slot in begun.intents}


def _new_journal(plan: Plan, market: Market) -> LiveJournal:
    named: Any = SimpleNamespace(
        name="binance", digest="", spacing_ns=plan.spacing_ns, synthetic=False, symbols=plan.symbols
    )
    start = plan.history.first + len(plan.history.ts)
    header = header_of(
        named, market, plan.config, start, session=f"live binance {plan.environment}", versions={}, write_ahead=True,
        funded=False,
    )  # fmt: skip
    shape = shape_for(market, plan.config)
    journal = LiveJournal(JournalWriter(plan.journal, shape, header, policy=plan.policy, clock=time.time_ns))
    journal.history(market, start, lookback(plan.config))
    return journal


def _reconciling(plan: Plan, session: Session, client: Client) -> Callable[[], Any]:
    async def reconciled() -> None:
        found = reconcile(
            books_of(session, plan),
            (),
            {},
            await client.positions(),
            await client.open_orders(),
            prefix=f"{plan.name}-",
        )
        raise_if_different(found.differences)
        for client_id in found.stale:
            raise_if_different([f"order {client_id} is open and nobody waits for it"])

    return reconciled


def books_of(session: Session, plan: Plan) -> Mapping[str, Decimal]:
    """Our positions by symbol, signed, on the lot."""
    books: dict[str, Decimal] = {}
    for slot in session.state.slots:
        if slot["side"]:
            one = plan.instruments[int(slot["asset"])]
            amount = round(Decimal(float(slot["qty"])), one.lot_exp) * int(slot["side"])
            books[one.symbol] = books.get(one.symbol, Decimal(0)) + amount
    return books
