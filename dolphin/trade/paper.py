"""A paper session: a champion on a feed, traded on the sandbox exchange, journaled ahead, gone on with after a kill."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nautilus_trader.model.data import CustomData

from dolphin.config import columns_needed
from dolphin.core.records import INSTRUMENT, Market
from dolphin.files import write_json
from dolphin.journal.header import lookback as lookback_of
from dolphin.journal.schema import VERSION, Shape
from dolphin.live.dressing import NEUTRAL, Dresser, market_before
from dolphin.live.exchange import Exchange, SlippedFills, perpetual
from dolphin.live.feed import Row
from dolphin.live.node import run_node
from dolphin.live.scan import BARRIER_NS, SCAN_TYPE, Scan, layout
from dolphin.live.session import ROOM, Session, roomy_market
from dolphin.locks import hold
from dolphin.study.measure.run import library_versions
from dolphin.times import DAY_NS, format_time, parse_time
from dolphin.trade.champion import Runs
from dolphin.trade.control import Control, Wanted
from dolphin.trade.feeds import Opened
from dolphin.trade.figures import DayFigures, line_of, status_of
from dolphin.trade.folder import StateFolder, claim, session_day
from dolphin.trade.hosting import GuardedStrategy
from dolphin.trade.limits import Guard
from dolphin.trade.recovery import Recovered, recover
from dolphin.trade.settings import Settings
from dolphin.trade.snapshot import write_snapshot
from dolphin.trade.writing import begin_day, go_on
from dolphin.workspace import Workspace

#: Seconds between two lines of status.
STATUS_SECONDS = 10.0

Say = Callable[[str], None]


@dataclass
class Ended:
    """How a session ended, and its figures."""

    status: dict[str, Any]
    bars: int
    interrupted: bool
    recovered: dict[str, Any] | None
    seconds: float
    first_decision_seconds: float


def trade_paper(
    workspace: Workspace, runs: Runs, opened: Opened, state: Path, settings: Settings, *, feed: str, say: Say
) -> Ended:
    """Run until the feed ends or an interrupt.

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
        session = PaperSession(folder, runs, opened, settings, feed, say)
        try:
            return session.run()
        finally:
            session.close()


class PaperSession:
    """One process's life of a session; :meth:`run` is called once."""

    def __init__(
        self, folder: StateFolder, runs: Runs, opened: Opened, settings: Settings, feed: str, say: Say
    ) -> None:  # fmt: skip
        self._began = time.perf_counter()
        self.folder, self.runs, self.settings, self._say = folder, runs, settings, say
        self.feed, self.config = opened.feed, runs.config
        self.columns = tuple(columns_needed(self.config))
        self.lookback = lookback_of(self.config)
        self.about = claim(folder, self._about(opened, feed))
        self.data = opened.data
        self.guard = Guard(settings.limits, self.feed.symbols, folder.root)
        self.control, self.days = Control(folder.control), DayFigures(folder)
        self.dresser = Dresser(self.config, self.feed)
        self._bars, self._interrupted, self._first = 0, False, float("nan")
        self._said = time.monotonic()
        self._since_snapshot = 0
        self._lost = False
        self._resumed: Row | None = None

    def _about(self, opened: Opened, feed: str) -> dict[str, Any]:
        config = self.config
        return {
            "account": self.runs.account, "champion": self.runs.champion, "frozen": self.runs.frozen,
            "config": config.document(), "config_hash": config.hash, "engine_digest": config.engine.digest,
            "strategy": config.strategy_name, "symbols": list(self.feed.symbols), "reference": self.feed.reference,
            "spacing_ns": self.feed.spacing_ns, "feed": feed, "first_ts": opened.first_ts, "data": opened.data,
            "initial_capital": config.account.initial_capital, "features": list(config.strategy.columns),
            "created": format_time(time.time_ns() // 10**9 * 10**9),
        }  # fmt: skip

    # Begin or go on -----------------------------------------------------------------------------------------------

    def run(self) -> Ended:
        """From where it was to the end of the feed."""
        self._loop = asyncio.new_event_loop()
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
        fills = SlippedFills(self.feed.instruments, session.market.instruments, friction, model, known_first=True)
        exchange = Exchange(perpetuals, fills, model)
        hedging = config.engine.strategy.slots != 1
        self.strategy = GuardedStrategy(
            session, perpetuals, exchange, fills, self.guard, hedging=hedging, prefix=self._prefix(),
            on_closed=self._closed,
        )  # fmt: skip
        capital = float(session.state.account["capital"][0])
        try:
            run_node(
                self.strategy, self._scans(), perpetuals, fills, exchange, capital, hedging=hedging, loop=self._loop
            )
        except BaseException:
            if session.journal is not None:
                session.journal.writer.abandon()
            raise
        return self._end(told)

    def close(self) -> None:
        """Let go of the event loop, if the node did not."""
        if not self._loop.is_closed():
            self._loop.close()

    def _prefix(self) -> str:
        return f"{self.runs.account[:12]}-{self.config.hash[:6]}"

    def _go_on_from(self, found: Recovered) -> dict[str, Any]:
        self.guard.wanted = Wanted(**{k: v for k, v in found.halted.items() if k in ("halted", "flatten", "reason")})
        self.guard.lost = self._lost = bool(found.halted.get("lost", False))
        self.guard.day_equity = found.day_equity
        self.guard.remember(found.entries)
        self._resumed = found.row
        how = "cold, from the journal alone" if found.cold else "from a snapshot"
        self._say(
            f"going on after bar {found.bar} ({format_time(found.ts)}), {how}: {found.replayed} bars decided again, "
            "every digest the journaled one"
        )
        return {"bar": found.bar, "replayed": found.replayed, "cold": found.cold, "open_row": found.row is not None}

    def _start(self, found: Recovered | None) -> None:
        """The session, once its history is there."""
        config = self.config
        if found is None or not found.dressed:
            history = self._loop.run_until_complete(
                self.feed.history(max(self.dresser.needed, self.lookback + 2), self._after)
            )
            features = self.dresser.take_history(history)
        if found is None:
            known = market_before(config, self.feed, history, features, self.columns)
            first, start = history.first, history.first + len(history.ts)
        else:
            known, first, start = found.market, found.first, found.bar + 1
        plugged = config.strategy.plugged(config.params)
        self.session = Session(
            config.engine, config.params_record(), config.friction_record(), roomy_market(known, first, start),
            config.account.initial_capital, start, start + ROOM, plugged, None, None if found is None else found.state,
        )  # fmt: skip
        self._first_row = first
        self._day = -1
        if found is not None:
            self._day = parse_time(found.journal.path.stem) // DAY_NS
            self.days.begin(self._day, self.session)
            if not found.index.ended:
                self.session.journal = go_on(
                    found.journal, found.index, found.tail, policy=self.settings.fsync, clock=time.time_ns
                )

    # Rows ---------------------------------------------------------------------------------------------------------

    async def _scans(self) -> AsyncIterator[CustomData]:
        record = None
        async with aclosing(self._rows()) as rows:  # type: ignore[type-var]
            async for row in rows:
                if record is None:
                    record = layout(self.session.market, True)
                self._before(row)
                scan = np.zeros(1, record)
                scan["price"], scan["age"] = row.price, row.age
                scan["risk"] = NEUTRAL if row.risk is None else row.risk
                scan["features"] = self.dresser.features(row)
                for name in self.columns:
                    scan[name] = row.columns[name]
                data = Scan(row.ts, row.ts + BARRIER_NS, row.bar, scan.tobytes())
                yield CustomData(SCAN_TYPE, data)
        await self.feed.close()

    async def _rows(self) -> AsyncIterator[Row]:
        after = self._after
        if self._resumed is not None:
            yield self._resumed
            after = self._resumed.ts
        async with aclosing(self.feed.rows(after)) as rows:  # type: ignore[type-var]
            async for row in rows:
                yield row

    def _before(self, row: Row) -> None:
        """Everything that is settled before a row is written: its day, the operator's wishes, whether it may trade."""
        session = self.session
        if session_day(row.ts) != self._day:
            self._new_day(row)
        assert session.journal is not None
        writer = session.journal.writer
        wanted = self.guard.wanted if row is self._resumed else self.control.wanted()
        if wanted != self.guard.wanted or self.guard.lost != self._lost:
            self.guard.wanted, self._lost = wanted, self.guard.lost
            text = json.dumps({"wanted": {**wanted.document(), "lost": self._lost}}, sort_keys=True)
            writer.text("operator", text, row.bar, row.ts)
            self._say(f"{'halted' if wanted.halted else 'resumed'}: {wanted.reason}")
        why = ""
        if not row.trade:
            why = "a row that was missed"
            if row is not self._resumed:
                writer.text("gap", json.dumps({"trade": False, "why": why}), row.bar, row.ts)
        elif not self.dresser.warm:
            why = f"warming up: {self.dresser.rows} of {self.dresser.needed} rows"
        self.guard.begin_bar(not why, why)

    def _new_day(self, row: Row) -> None:
        session, day = self.session, session_day(row.ts)
        if session.journal is not None:
            session.journal.writer.close()
            self.days.write(session, closed=True)
            self._snapshot()
        fresh = session.bar < session.start and session.journal is None and self._day < 0
        header = self._header(session.market, row)
        session.journal = begin_day(
            self.folder.journal_of(day), self._shape(), header, session.market, row.bar,
            min(self.lookback + 2, row.bar - self._first_row), None if fresh else session.state,
            policy=self.settings.fsync, clock=time.time_ns,
        )  # fmt: skip
        self._day = day
        self.guard.begin_day(float(session.state.account["equity"][0]))
        self._lost = False
        self.days.begin(day, session)

    def _shape(self) -> Shape:
        market = self.session.market
        return Shape(market.price.shape[1], market.features.shape[1], self.columns)

    def _header(self, market: Market, row: Row) -> dict[str, Any]:
        names = INSTRUMENT.names or ()
        about = self.about
        return {
            "schema_version": VERSION,
            "session": f"paper of {about['account']}" + ("" if about["frozen"] else ", UNFROZEN"),
            "champion": about["champion"],
            "config": self.config.document(), "config_hash": self.config.hash,
            "engine_digest": self.config.engine.digest,
            "strategy": {"name": self.config.strategy_name, "digest": self.config.strategy.digest},
            "dataset": self.data,
            "feed": about["feed"],
            "symbols": list(self.feed.symbols),
            "instruments": [{name: float(record[name]) for name in names} for record in market.instruments],
            "named_symbols": {name: int(market.symbols[0][name]) for name in market.symbols.dtype.names or ()},
            "first_bar": {"row": row.bar, "ts": row.ts},
            "initial_capital": about["initial_capital"],
            "lookback": self.lookback, "write_ahead": True, "funded": True, "versions": library_versions(),
            "wanted": {**self.guard.wanted.document(), "lost": False},
            "limits": self.settings.limits.model_dump(mode="json"),
        }  # fmt: skip

    # After a bar --------------------------------------------------------------------------------------------------

    def _closed(self) -> None:
        self._bars += 1
        if self._bars == 1:
            self._first = time.perf_counter() - self._began
        self._since_snapshot += 1
        if self._since_snapshot >= self.settings.snapshot_bars:
            self._snapshot()
        if time.monotonic() - self._said >= STATUS_SECONDS:
            self._said = time.monotonic()
            self._say(line_of(self._status("running")))

    def _snapshot(self) -> None:
        session = self.session
        if session.bar >= session.start:
            ts = int(session.market.ts[session.bar])
            write_snapshot(self.folder.snapshots, session.bar, ts, session.state, self.dresser.arrays())
        self._since_snapshot = 0

    def _status(self, state: str) -> dict[str, Any]:
        found = status_of(self.session, self.guard, self.feed.symbols, self.about, state)
        write_json(self.folder.status, found)
        return found

    def _end(self, told: dict[str, Any] | None) -> Ended:
        session = self.session
        interrupted = self.strategy.stopping
        if session.journal is not None:
            session.journal.writer.flush()
            session.journal.writer.sync()
            session.journal.writer.abandon()
        self._snapshot()
        status: dict[str, Any] = {}
        if self._bars:
            self.days.write(session, closed=False)
            status = self._status("interrupted" if interrupted else "the feed ended")
        seconds = time.perf_counter() - self._began
        return Ended(status, self._bars, interrupted, told, seconds, self._first)
