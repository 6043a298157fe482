"""A paper session: a champion on a feed, traded on the sandbox exchange, journaled ahead, gone on with after a kill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from nautilus_trader.model.data import CustomData

from dolphin.live.dressing import NEUTRAL
from dolphin.live.exchange import perpetual
from dolphin.live.feed import Row
from dolphin.live.feeds.klines import KlineFeed
from dolphin.live.node import run_node
from dolphin.live.parts import exchange_of
from dolphin.live.scan import BARRIER_NS, SCAN_TYPE, Scan, layout
from dolphin.locks import hold
from dolphin.stores import open_store
from dolphin.trade.bars import Bars, Ended
from dolphin.trade.champion import Runs
from dolphin.trade.describing import Say, about_session
from dolphin.trade.feeds import Opened
from dolphin.trade.folder import StateFolder, claim
from dolphin.trade.hosting import GuardedStrategy
from dolphin.trade.recovery import recover
from dolphin.trade.risk_inputs import SessionRisk, check_without_store, config_with
from dolphin.trade.settings import Settings
from dolphin.workspace import Workspace


def trade_paper(
    workspace: Workspace, runs: Runs, opened: Opened, state: Path, settings: Settings, *, feed: str, say: Say,
    store: str | None = None,
) -> Ended:  # fmt: skip
    """Run until the feed ends or an interrupt.

    Parameters
    ----------
    store : str, optional
        URL of the store that risk inputs are made from, and that the state is told to.

    Raises
    ------
    Busy
        If another process trades this account or this folder.
    DolphinError
        If the folder holds another session, or what it holds decides otherwise now.
    """
    folder = StateFolder(Path(state))
    with ExitStack() as held:
        held.enter_context(hold(folder.lock, busy="another process trades this session", mend="stop it first"))
        if runs.frozen:
            account = workspace.root / "runs" / "trade" / f".{runs.account}.lock"
            busy = f"another session trades the account of {runs.account}"
            held.enter_context(hold(account, busy=busy, mend="stop it first"))
        risk = None
        own = runs.config.risk.table is not None and feed.startswith("replay:")  # rows bring the table's inputs
        if store is None or own:
            check_without_store(runs.config, feed)
        else:
            runs = replace(runs, config=config_with(runs.config, settings.risk.mode))
        told = None if store is None or own else f"store, {settings.risk.mode}"
        about = claim(folder, about_session(runs, opened, feed, told))
        if store is not None:
            shared = opened.store if opened.store is not None and opened.store_url == store else open_store(store)
            held.callback(shared.close)
            risk = SessionRisk(
                shared, folder.root, runs.account, settings.risk, opened.feed, wall=opened.live, workspace=workspace
            )
            opened = replace(opened, feed=risk.feed, source=opened.feed)
        session = PaperSession(folder, runs, opened, settings, about, say, risk, workspace)
        try:
            return session.run()
        finally:
            session.close()


class PaperSession(Bars):
    """One process's life of a paper session; :meth:`run` is called once."""

    def run(self) -> Ended:
        """From where it was to the end of the feed."""
        self._loop = asyncio.new_event_loop()
        source = self.opened.source or self.opened.feed
        if isinstance(source, KlineFeed):
            self._loop.run_until_complete(source.check())
            source.on_late = self._note_late
        found = recover(self.folder, self.config, self.feed, self.dresser)
        told = None if found is None else self._go_on_from(found)
        config = self.config
        friction = config.friction_record()
        model = config.friction.model
        perpetuals = [
            perpetual(i, float(friction["fee"][0]), float(friction["maker_fee"][0])) for i in self.feed.instruments
        ]
        self._after = None if found is None else found.ts or None
        self._start(found)
        session = self.session
        fills, exchange = exchange_of(self.feed.instruments, perpetuals, session.market, friction, model)
        hedging = config.engine.strategy.slots != 1
        self.strategy = GuardedStrategy(
            session, perpetuals, exchange, fills, self.guard, self.marks, hedging=hedging, prefix=self._prefix(),
            on_closed=self._closed,
        )  # fmt: skip
        if self.risk is not None:
            self.risk.equity = lambda: float(session.state.account["equity"][0])
        capital = float(session.state.account["capital"][0])
        try:
            run_node(
                self.strategy, self._scans(), perpetuals, fills, exchange, capital, hedging=hedging, loop=self._loop,
                beside=self.opened.beside,
            )  # fmt: skip
        except BaseException:
            if session.journal is not None:
                session.journal.writer.abandon()
            raise
        return self._end(told)

    def close(self) -> None:
        """Let go of the feed, and of the event loop if the node did not."""
        if not self._loop.is_closed():
            self._loop.run_until_complete(self.feed.close())
            self._loop.close()
        self._let_go()

    async def _scans(self) -> AsyncIterator[CustomData]:
        record = None
        watching = asyncio.get_running_loop().create_task(self.watch.run(self._between))
        watching.add_done_callback(self._watched)
        try:
            async with aclosing(self._rows()) as rows:  # type: ignore[type-var]
                async for row in rows:
                    self.marks.row_came()
                    if record is None:
                        record = layout(self.session.market, True)
                    self._before(row)
                    yield CustomData(SCAN_TYPE, self._scan(row, record))
        finally:
            watching.cancel()
            await self.feed.close()

    def _scan(self, row: Row, record: Any) -> Scan:
        scan = np.zeros(1, record)
        scan["price"], scan["age"] = row.price, row.age
        scan["risk"] = NEUTRAL if row.risk is None else row.risk
        scan["features"] = self.dresser.features(row)
        for name in self.columns:
            scan[name] = row.columns[name]
        return Scan(row.ts, row.ts + BARRIER_NS, row.bar, scan.tobytes())

    def _watched(self, task: asyncio.Task[None]) -> None:
        """Looking ended by itself: then nobody looks any more, and the session ends."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.strategy.failure = self.strategy.failure or error
            self.strategy.stop_node()

    async def _rows(self) -> AsyncIterator[Row]:
        after = self._after
        if self._resumed is not None:
            yield self._resumed
            after = self._resumed.ts
        async with aclosing(self.feed.rows(after)) as rows:  # type: ignore[type-var]
            async for row in rows:
                yield row
