"""A live session: a paper session's folder, days, snapshots, limits and operator, around Binance's adapters."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from os import F_OK, access
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.catalog import Instrument
from dolphin.config import columns_needed
from dolphin.core.records import HIBERNATE, NONE, Records, neutral_risk
from dolphin.errors import DolphinError, Refused
from dolphin.live.answers import Given
from dolphin.live.binance.asking import Client
from dolphin.live.binance.assembler import Late
from dolphin.live.binance.feed import BinanceFeed
from dolphin.live.binance.funding import Funding, document_of, rates_of
from dolphin.live.binance.hooks import Clients
from dolphin.live.binance.house import House
from dolphin.live.binance.journaling import LiveJournal
from dolphin.live.binance.keys import Keys
from dolphin.live.binance.node import run_node
from dolphin.live.binance.reconcile import OpenIntent
from dolphin.live.binance.resting import unbooked
from dolphin.live.binance.safety import check_account, check_strategy
from dolphin.live.binance.trader import LiveTrader, Unfinished
from dolphin.live.binance.vigil import Vigil
from dolphin.live.feed import History, Row
from dolphin.live.session import Session
from dolphin.locks import hold
from dolphin.trade.bars import Ended
from dolphin.trade.champion import Runs
from dolphin.trade.describing import Say, about_session
from dolphin.trade.feeds import Opened
from dolphin.trade.folder import StateFolder, claim
from dolphin.trade.live.books import expected_at, last_closed, latency_of, open_intents
from dolphin.trade.live.given import differences, opposed
from dolphin.trade.live.left import Left, booked_of, funding_noted, left_in
from dolphin.trade.live.rescue import NAME as ADOPTION
from dolphin.trade.live.rescue import adopted, adoption
from dolphin.trade.live.venue import Venue, feed_of
from dolphin.trade.paper import PaperSession
from dolphin.trade.recovery import Recovered, recover
from dolphin.trade.settings import Settings
from dolphin.workspace import Workspace


def trade_live(
    workspace: Workspace, runs: Runs, venue: Venue, state: Path, settings: Settings, keys: Keys, *, say: Say,
    stop_at: int | None = None,
) -> Ended:  # fmt: skip
    """Run until an interrupt, or behind row ``stop_at``; the same call goes on after a kill.

    Raises
    ------
    Busy
        If another process trades this folder or this account.
    Refused
        If strategy, account or market are not what the champion was made for.
    DolphinError
        Whatever stops it. Keys are in no message.
    """
    check_strategy(runs.config)
    if venue.dataset.synthetic and venue.environment == "live" and venue.url is None:
        raise Refused(
            f"{runs.account} was made on generated data ({venue.dataset.name}): it trades no money",
            where="--environment live",
        )
    folder = StateFolder(Path(state))
    with ExitStack() as held:
        held.enter_context(hold(folder.lock, busy="another process trades this session", mend="stop it first"))
        account = hashlib.sha256(keys.key.encode()).hexdigest()[:12]
        held.enter_context(
            hold(
                workspace.root / "runs" / "trade" / f".account-{account}.lock",
                busy="another session trades this account", mend="stop it first",
            )
        )  # fmt: skip
        session = LiveSession(folder, runs, venue, settings, keys, say, stop_at, workspace)
        try:
            return session.run()
        except DolphinError:
            raise
        except Exception as error:
            raise DolphinError(keys.hidden(f"{type(error).__name__}: {error}"), where="the live session") from None
        finally:
            session.close()


class LiveSession(PaperSession, House):
    """One process's life of a live session; :meth:`run` is called once."""

    feed: BinanceFeed

    def __init__(
        self, folder: StateFolder, runs: Runs, venue: Venue, settings: Settings, keys: Keys, say: Say,
        stop_at: int | None, workspace: Workspace,
    ) -> None:  # fmt: skip
        self._venue, self._keys, self._stop_at = venue, keys, stop_at
        self._client = Client(venue.address, keys)
        self._client.tell = say
        dataset, feed = venue.dataset, feed_of(self._client, venue, self._late, columns_needed(runs.config))
        data = {
            "name": dataset.name, "digest": dataset.digest, "spacing_ns": dataset.spacing_ns,
            "synthetic": dataset.synthetic,
        }  # fmt: skip
        opened = Opened(feed, data, live=True, paced=True)
        about = claim(folder, about_session(runs, opened, venue.name, None))
        super().__init__(folder, runs, opened, settings, about, say, workspace=workspace)
        self.name = self._prefix()
        self.vigil = Vigil(
            self._client, self.feed.symbols, venue.leverage, f"{self.name}-", self._books, say, self._resting,
            self._ask_resting,
        )  # fmt: skip
        self._left = Left({}, frozenset(), ())
        self._given: tuple[Given, ...] = ()
        self._hibernates = self._adopts = False
        self._adoption_path = str(folder.root / ADOPTION)
        self.unbooked = Decimal(0)
        self._reached: dict[str, float] = {}

    @property
    def _instruments(self) -> Sequence[Instrument]:
        return self.feed.instruments

    # Begin or go on -----------------------------------------------------------------------------------------------

    def run(self) -> Ended:
        """From where it was until it is ended."""
        self._loop = asyncio.new_event_loop()
        begun = False
        try:
            self._await(check_account(self._client, self._instruments, self._venue.leverage))
            self._reach("account_checked")
            found = recover(self.folder, self.config, self.feed, self.dresser)
            told = None if found is None else self._go_on_from(found)
            trader = self._trader(found)
            self._reach("history_known")
            begun = True
            clients = self._clients
            run_node(trader, clients, self._keys, self._venue.environment, self._venue.url, loop=self._loop)
        except BaseException:
            if not begun:
                self._await(self._let_tasks_go())
            self._stopped()
            raise
        return self._end(told)

    def _reach(self, what: str) -> None:
        """The start has come so far: seconds since the session was made."""
        self._reached[what] = round(time.perf_counter() - self._began, 3)

    def _await(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    async def _let_tasks_go(self) -> None:
        """What an interrupt cut short before the node was there: nobody waits for it any more."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()

    def _stopped(self) -> None:
        """Something ended it: what was written stays, and its status says so."""
        session = getattr(self, "session", None)
        if session is None or session.journal is None:
            return
        if session.bar >= session.start and session.closed:
            self._status("stopped")
        session.journal.writer.abandon()

    def _trader(self, found: Recovered | None) -> LiveTrader:
        since, known = funding_noted(self.folder, found)
        self.funding = Funding(self._client, since or self._await(self._client.server_time()), known)
        self._after = last_closed(found)
        if found is not None:
            self._left = left_in(found, self.name)
            self._remember(found)
        self._start(found)
        if found is not None and self.session.journal is not None:
            self._take_over(found)
        self._clients = Clients()
        left = self._left
        unfinished = None if found is None or found.row is None else Unfinished(found.row, left.sent, left.booked)
        self.trader = LiveTrader(
            self.session, self.feed, self._client, self._clients, self.dresser.features, self.name,
            after=self._after if unfinished is None else unfinished.row.ts, stop_at=self._stop_at, house=self,
            unfinished=unfinished, booked=None if found is None else booked_of(self.folder, found),
            ask_after=self._venue.ask_after,
        )  # fmt: skip
        self.strategy = self.trader  # type: ignore[assignment]
        return self.trader

    def _remember(self, found: Recovered) -> None:
        """Rows of the journal are what was decided on, whatever the exchange says of them now."""
        market, rows = found.market, slice(found.first, found.bar + 1)
        columns = {name: getattr(market, name)[rows] for name in self.columns}
        self.feed.remember(market.ts[rows], market.price[rows], columns)

    def _take_over(self, found: Recovered) -> None:
        """Write where the journal was left; the row at hand is compared by its wishes alone."""
        writer: Any = self.session.journal.writer  # type: ignore[union-attr]
        writer.expected.clear()
        journal = LiveJournal(writer)
        journal.go_on_behind(found.bar)
        if found.row is not None:
            journal.unfinished, journal.intents = found.row.bar, dict(self._left.intents)
        self.session.journal = journal

    def _start(self, found: Recovered | None) -> None:
        super()._start(found)
        if found is None:
            return
        row, bar = found.row, found.bar
        if row is None and bar < found.first:  # no row was closed yet: history's last is the last that is known
            return
        ts = found.ts if row is None else row.ts
        price, age = (found.market.price[bar], found.market.age[bar]) if row is None else (row.price, row.age)
        self.feed.know(History(bar if row is None else row.bar, np.array([ts]), price[None, :], age[None, :]))

    # What its trader asks -----------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Books are compared before the first new row, and again and again from then on; funding is asked for."""
        self._reach("connected")
        await self.funding.ask()
        self.trader.keep(self.funding.watch())
        self._clients.on_funding = self.funding.told
        await self.vigil.look()
        self.trader.keep(self.vigil.watch(self._venue.check_every))
        self.trader.keep(self.watch.run(self._between))

    def begins(self, row: Row) -> Row:
        """Its day, the operator's wishes, the posture; an adoption that was asked for."""
        self.marks.row_came()
        resumed = row is self._resumed
        self._given = self._left.given if resumed else ()
        order = adoption(self.folder) if not resumed and access(self._adoption_path, F_OK) else None
        if order is not None:
            self._given = self._adoption(order, row)
            if self._given:
                self.vigil.release("what the exchange has was adopted")
        if not resumed and self.vigil.tripped:
            risk = neutral_risk(1) if row.risk is None else row.risk.copy()
            risk["posture"], risk["rm"], risk["imposed"] = HIBERNATE, 0.0, 1 + HIBERNATE
            row = replace(row, risk=risk)
        self._hibernates = row.risk is not None and int(np.asarray(row.risk).reshape(-1)["posture"][0]) == HIBERNATE
        if resumed:
            self._resumed = row
        self._before(row)
        if not resumed:
            row = self._funded(row)
        journal = self.session.journal
        assert isinstance(journal, LiveJournal)
        if self._given and not resumed:
            document = {"given": [list(one) for one in self._given], "reason": order["reason"] if order else ""}
            journal.writer.text("operator", json.dumps(document), row.bar, row.ts)
        guard = self.guard
        if guard.may_trade and (self._hibernates or self.vigil.blocked):
            why = f"HIBERNATE: {'; '.join(self.vigil.why)}" if self._hibernates else self.vigil.blocked
            guard.begin_bar(False, why)
            if self._hibernates and not resumed:
                said = json.dumps({"posture": "HIBERNATE", "why": self.vigil.why})
                journal.writer.text("risk", said, row.bar, row.ts)
        return row

    def _funded(self, row: Row) -> Row:
        """The row with the funding that was settled since the one before, where the strategy books it.

        It is written down before the row: a line that a row was written with is never booked again.
        """
        paid = self.funding.take()
        if not paid:
            return row
        rates, booked, unbooked = rates_of(paid, self.session.state.slots, row.price, self.feed.symbols)
        if "funding" in self.columns:
            row = replace(row, columns={**row.columns, "funding": rates})
        else:
            booked, unbooked = [], paid
        for line in unbooked:
            self.unbooked += line.income
        writer = self.session.journal.writer  # type: ignore[union-attr]
        writer.text("operator", json.dumps(document_of(booked, unbooked)), row.bar, row.ts)
        for line in paid:
            how = "booked" if line in booked else "not booked"
            self._say(f"funding of {line.symbol}: {line.income.normalize():f} USDT, {how}")
        return row

    def _adoption(self, order: Mapping[str, Any], row: Row) -> tuple[Given, ...]:
        """What is booked so that our books are what the operator says; nothing where the exchange has changed since."""
        wanted = {symbol: Decimal(amount) for symbol, amount in order["positions"].items()}
        theirs = self.vigil.positions
        if theirs is None:  # nobody could be asked yet
            return ()
        if unbooked(self.trader.rests.of.values()):  # booked in this row: what differs then is of the next
            return ()
        self._adopts = True
        if wanted != dict(theirs):
            self._say(f"not adopted: the exchange has something else by now than when it was asked for ({theirs})")
            return ()
        return differences(self.session, self._instruments, wanted, order["prices"], row, self._say)

    def given(self) -> Sequence[Given]:
        """See :class:`~dolphin.live.binance.house.House`."""
        return self._given

    def closings(self) -> Sequence[int]:
        """All that is held, where the operator, the day's loss or the posture says so."""
        guard, session = self.guard, self.session
        if self._given or not (guard.wanted.flatten or guard.sees_loss(session) or self._hibernates):
            return ()
        state = session.state
        held = (state.slots["side"] != 0) | (state.working["action"] != NONE)
        return [slot for slot in np.flatnonzero(held).tolist() if self._may_touch(state.slots[slot])]

    def _may_touch(self, order: Records) -> bool:
        return self.feed.symbols[int(order["asset"])] not in self.vigil.untouched

    def interrupted(self, orders: Sequence[str]) -> None:
        """See :class:`~dolphin.live.binance.house.House`."""
        self._say(
            f"ends when it is known what became of {', '.join(orders) or 'the orders of this row'}; asked once more it "
            "ends at once, and the next start asks the exchange"
        )

    def refused(self, client_id: str, symbol: str, why: str) -> None:
        """See :class:`~dolphin.live.binance.house.House`."""
        self._say(f"{symbol}: the exchange did not take {client_id}: {self._keys.hidden(why)}")

    def unprotected(self, symbol: str, why: str, closed: str) -> None:
        """See :class:`~dolphin.live.binance.house.House`."""
        what = f"STILL HELD WITHOUT PROTECTION: {self._keys.hidden(closed)}" if closed else "closed at the market"
        self._say(f"{symbol}: the exchange did not take the stop of a position ({self._keys.hidden(why)}): {what}")

    def stops(self, session: Session, order: Records) -> str | None:
        """The account's limits, and what the exchange's one-way mode cannot carry."""
        if self._may_touch(order):
            why = opposed(session, order, self.feed.symbols) or self.guard.stops(session, order)
        else:
            why = f"{self.feed.symbols[int(order['asset'])]} is not touched: our books and the exchange's differ"
        if why is not None:
            self.marks.decided(session, order, why)
        return why

    def sent(self, session: Session, order: Records) -> None:
        """See :class:`~dolphin.live.binance.house.House`."""
        self.marks.decided(session, order, None)

    def closed(self) -> None:
        """The row is closed."""
        if self._adopts:
            self._adopts = False
            adopted(self.folder)
        self._closed()
        if "first_decision" not in self._reached:
            self._reach("first_decision")

    # Writing ------------------------------------------------------------------------------------------------------

    def _new_day(self, row: Row) -> None:
        before = self.session.journal
        super()._new_day(row)
        writer = self.session.journal.writer  # type: ignore[union-attr]
        if isinstance(before, LiveJournal):
            before.turn(writer)
            self.session.journal = before
        else:
            self.session.journal = LiveJournal(writer)

    def _in_header(self) -> dict[str, Any]:
        return super()._in_header() | {"session": f"live of {self.about['account']} on {self._venue.name}"}

    def _late(self, late: Late) -> None:
        journal = self.session.journal
        if isinstance(journal, LiveJournal) and not journal.writer.closed:
            journal.late(late)

    def _books(self) -> dict[str, Decimal] | None:
        if not self.trader.idle:
            return None
        return expected_at(self.session, self._instruments, self.trader.rests.of.values())

    def _resting(self) -> tuple[OpenIntent, ...]:
        return open_intents(self.trader.rests.of.values())

    async def _ask_resting(self) -> None:
        await self.trader.rests.poll()

    def _figures(self, state: str) -> dict[str, Any]:
        """Beside what a paper session says: what was seen at the exchange, and how fast orders went out."""
        trader, vigil = self.trader, self.vigil
        return super()._figures(state) | {
            "hibernates": list(vigil.why), "blocked": vigil.blocked, "asked": len(trader.asked),
            "foreign": len(trader.foreign), "duplicates": trader.duplicates, "resting": dict(trader.rests.counts),
            "funding": float(self.session.state.account["funding"][0]), "funding_unbooked": float(self.unbooked),
            "order_latency_us": latency_of(trader.latencies), "start_seconds": dict(self._reached),
        }  # fmt: skip
