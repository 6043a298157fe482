"""A whole live session against the fake exchange, row by row: its folder, its limits, its operator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drill_for_tests import ExchangeThread, tape_of_rows

from dolphin.catalog import Dataset
from dolphin.config import Config, columns_needed
from dolphin.journal import replay
from dolphin.journal.held import hold
from dolphin.journal.reader import Journal
from dolphin.live.binance.keys import Keys
from dolphin.trade.champion import UNFROZEN, Runs
from dolphin.trade.folder import StateFolder
from dolphin.trade.live.session import trade_live
from dolphin.trade.live.venue import Venue
from dolphin.trade.settings import Settings
from dolphin.workspace import Workspace

KEYS = Keys("PLANTEDKEY0123456789abcdef", "PLANTEDSECRET9876543210fedcba")

#: What happens before a row is played: controls of the exchange, or a function of the exchange.
During = dict[int, dict[str, Any] | Callable[[Any], Any]]


class LiveDrill:
    """Rows ``start`` to ``stop`` of a dataset; the exchange lives as long as the block, sessions come and go."""

    def __init__(self, home: Workspace, dataset: Dataset, config: Config, start: int, stop: int, state: Path) -> None:
        self.home, self.dataset, self.config, self.state = home, dataset, config, state
        self.start, self.stop = start, stop
        tape = tape_of_rows(dataset, 0, stop, ranged="high" in columns_needed(config))
        tape.at = start
        self.thread = ExchangeThread(
            tape, balance=config.account.initial_capital, key=KEYS.key, secret=KEYS.secret
        )  # fmt: skip
        self.said: list[str] = []
        self.skip: dict[int, int] = {}  # so many bars that what happens before a row plays itself
        self.check_every = 0.05

    def __enter__(self) -> LiveDrill:
        self.thread.__enter__()
        return self

    def __exit__(self, *about: object) -> None:
        self.thread.__exit__(*about)

    @property
    def folder(self) -> StateFolder:
        return StateFolder(self.state)

    @property
    def exchange(self) -> Any:
        return self.thread.exchange

    def trade(
        self, first: int, last: int, during: During | None = None, settings: Settings | None = None, **venue: Any
    ) -> Any:  # fmt: skip
        """One process's life of the session over rows ``first`` to ``last``."""
        keys = venue.pop("keys", KEYS)
        venue = {"url": self.exchange.url, "ask_after": 1.0, "check_every": self.check_every} | venue
        playing = self.thread.spawn(self._play(first, last, during or {}))
        try:
            ended = trade_live(
                self.home, Runs(self.config, UNFROZEN, "busy"), Venue(self.dataset, **venue), self.state,
                settings or Settings(fsync="never", snapshot_bars=10), keys, say=self.said.append, stop_at=last,
            )  # fmt: skip
        except BaseException:
            playing.cancel()
            raise
        if ended.interrupted:
            playing.cancel()
        else:
            playing.result(60)
        return ended

    async def _play(self, first: int, last: int, during: During) -> None:
        bar = first
        while bar <= last:
            await self._listened()
            if (what := during.get(bar)) is not None:
                if callable(what):
                    await asyncio.to_thread(what, self)
                else:
                    await self.exchange.control(what)
                if bar in self.skip:
                    bar += self.skip[bar]
                    await self._listened()
            await self.exchange.close_bar()
            while (self.closed() or -1) < bar:
                await asyncio.sleep(0.01)
            bar += 1

    async def _listened(self) -> None:
        while self.exchange.state()["kline_listeners"] < len(self.dataset.symbols) or not self.exchange.streams.users:
            await asyncio.sleep(0.01)

    def closed(self) -> int | None:
        """The last bar that was closed."""
        path = self.folder.newest_journal()
        last = None if path is None or not path.stat().st_size else Journal(path).last
        return None if last is None else last.bar

    def digests(self) -> list[tuple[int, int]]:
        """By bar, over all days."""
        found: list[tuple[int, int]] = []
        for path in self.folder.sessions_journals():
            journal = Journal(path)
            if journal.bars:
                held = hold(journal, journal.index())
                found += zip(held.bars.tolist(), held.digests.tolist(), strict=True)
        return found


def sound(drill):
    """Every day replays, no order went out twice, our books are the exchange's; the events of the journals."""
    state, events, books = drill.exchange.state(), [], {}
    sent = [one["clientOrderId"] for one in state["orders"]]
    assert len(sent) == len(set(sent))
    for path in drill.folder.sessions_journals():
        journal = Journal(path)
        again = replay(journal)
        assert again.equal, again.sentence
        events += hold(journal, journal.index()).events
    for one in json.loads(drill.folder.status.read_text())["positions"]:
        books[one["symbol"]] = books.get(one["symbol"], 0.0) + one["side"] * one["quantity"]
    assert books == {symbol: float(amount) for symbol, amount in state["positions"].items()}
    return events
