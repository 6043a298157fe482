"""A paper session: a champion on a feed, traded on the sandbox exchange, journaled ahead, gone on with after a kill."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from nautilus_trader.model.data import CustomData

from dolphin.config import columns_needed
from dolphin.core.records import POSTURES
from dolphin.files import write_json
from dolphin.journal.header import lookback as lookback_of
from dolphin.journal.schema import Shape
from dolphin.live.binance.assembler import Late
from dolphin.live.dressing import NEUTRAL, Dresser, market_before
from dolphin.live.exchange import Exchange, SlippedFills, perpetual
from dolphin.live.feed import Row
from dolphin.live.feeds.klines import KlineFeed
from dolphin.live.node import run_node
from dolphin.live.scan import BARRIER_NS, SCAN_TYPE, Scan, layout
from dolphin.live.session import ROOM, Session, roomy_market
from dolphin.locks import hold
from dolphin.stores import open_store
from dolphin.times import DAY_NS, format_time, parse_time
from dolphin.trade.alerts import Alerts
from dolphin.trade.archive import archive_beside
from dolphin.trade.champion import Runs
from dolphin.trade.control import Control, Wanted
from dolphin.trade.describing import about_session, header_of_day
from dolphin.trade.feeds import Opened
from dolphin.trade.figures import DayFigures, line_of, status_of
from dolphin.trade.folder import StateFolder, claim, session_day
from dolphin.trade.hosting import GuardedStrategy
from dolphin.trade.limits import Guard
from dolphin.trade.marks import Marks
from dolphin.trade.recovery import Recovered, recover
from dolphin.trade.risk_inputs import SessionRisk, check_without_store, config_with
from dolphin.trade.settings import Settings
from dolphin.trade.snapshot import write_snapshot
from dolphin.trade.watching import Watch
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


class PaperSession:
    """One process's life of a session; :meth:`run` is called once."""

    def __init__(
        self, folder: StateFolder, runs: Runs, opened: Opened, settings: Settings, about: dict[str, Any], say: Say,
        risk: SessionRisk | None = None, workspace: Workspace | None = None,
    ) -> None:  # fmt: skip
        self._workspace = workspace
        self._archiving: threading.Thread | None = None
        self._began = time.perf_counter()
        self.folder, self.runs, self.settings, self._say = folder, runs, settings, say
        self.feed, self.config, self.opened, self.risk = opened.feed, runs.config, opened, risk
        self.columns = tuple(columns_needed(self.config))
        self.lookback = lookback_of(self.config)
        self.about, self.data = about, opened.data
        self.guard = Guard(settings.limits, self.feed.symbols, folder.root)
        self.control, self.days = Control(folder.control), DayFigures(folder)
        self.dresser = Dresser(self.config, self.feed)
        strategy = self.config.strategy
        self.marks = Marks(self.feed.symbols, strategy.columns, strategy.reasons)
        self.alerts = Alerts(say, self._note_alert)
        self.watch = Watch(
            self.alerts, self.guard, self.feed.spacing_ns, settings.fresh_spacings, risk=risk, live=opened.live,
            skew=opened.skew, skew_ms=settings.skew_ms,
        )  # fmt: skip
        self._bars, self._first = 0, float("nan")
        self._said = time.monotonic()
        self._since_snapshot = 0
        self._lost = False
        self._resumed: Row | None = None
        self._resumed_why = ""
        self._posture = -1

    # Begin or go on -----------------------------------------------------------------------------------------------

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
        fills = SlippedFills(self.feed.instruments, session.market.instruments, friction, model, known_first=True)
        exchange = Exchange(perpetuals, fills, model)
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

    def _prefix(self) -> str:
        return f"{self.runs.account[:12]}-{self.config.hash[:6]}"

    def _go_on_from(self, found: Recovered) -> dict[str, Any]:
        self.guard.wanted = Wanted(**{k: v for k, v in found.halted.items() if k in ("halted", "flatten", "reason")})
        self.guard.lost = self._lost = bool(found.halted.get("lost", False))
        self.guard.day_equity = found.day_equity
        self.guard.remember(found.entries)
        self._resumed, self._resumed_why = found.row, found.why_not
        if self.risk is not None:
            applied = self.risk.settings.mode == "apply" and found.bar in range(found.first, len(found.market.ts))
            self.risk.restore(found.risk, int(found.market.risk["posture"][found.bar]) if applied else None)
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
        why = self._why_not(row)
        if row is not self._resumed:
            if why:
                writer.text("gap", json.dumps({"trade": False, "why": why}), row.bar, row.ts)
            self._tell_posture(row)
        if not why and not self.dresser.warm:
            why = f"warming up: {self.dresser.rows} of {self.dresser.needed} rows"
        self.guard.begin_bar(not why, why)

    def _why_not(self, row: Row) -> str:
        """Why nothing may be opened on a row; what stood in the journal for one that is done again."""
        if row is self._resumed:
            return self._resumed_why
        self.watch.row(row)
        return self.alerts.why_not() if row.trade else "a row that was missed"

    def _tell_posture(self, row: Row) -> None:
        """A record of the journal, and a line, for each change of the stack's posture."""
        record = None if self.risk is None else self.risk.feed.record
        if record is None or record.posture == self._posture:
            return
        assert self.session.journal is not None
        document = json.dumps(record.as_dict(), sort_keys=True)
        self.session.journal.writer.text("risk", document, row.bar, row.ts)
        if self._posture >= 0 or record.posture > 0:
            self._say(f"posture {POSTURES[record.posture]}, Rm {record.rm:.3f}")
        self._posture = record.posture

    def _note_alert(self, about: str, text: str | None) -> None:
        """An alert in the journal, and soon in the status."""
        self._said = float("-inf")
        self._note({"alert": about, "text": text})

    def _note_late(self, late: Late) -> None:
        """A bar that changed nothing."""
        self._note({"late": late._asdict()})

    def _note(self, document: dict[str, Any]) -> None:
        """A record of a gap at no place of its own; not while a bar is decided, or done again."""
        session = getattr(self, "session", None)
        if session is None or session.journal is None or not session.closed or session.journal.writer.closed:
            return
        writer = session.journal.writer
        if not getattr(writer, "expected", None):
            writer.text("gap", json.dumps(document))

    def _new_day(self, row: Row) -> None:
        session, day = self.session, session_day(row.ts)
        if session.journal is not None:
            session.journal.writer.close()
            closed = self.days.write(session, closed=True)
            self._snapshot()
            if self.risk is not None:
                self.risk.tell_day(self.config.strategy_name, closed, float(self.about["initial_capital"]))
        fresh = session.bar < session.start and session.journal is None and self._day < 0
        header = header_of_day(
            self.about, self.config, self.feed, self.data, session.market, row, self.lookback, self._in_header()
        )
        session.journal = begin_day(
            self.folder.journal_of(day), self._shape(), header, session.market, row.bar,
            min(self.lookback + 2, row.bar - self._first_row), None if fresh else session.state,
            policy=self.settings.fsync, clock=time.time_ns,
        )  # fmt: skip
        self._archive()
        self._day = day
        self.guard.begin_day(float(session.state.account["equity"][0]))
        self._lost = False
        self.days.begin(day, session)

    def _in_header(self) -> dict[str, Any]:
        """What a day's journal begins with beside market and config."""
        return {
            "wanted": {**self.guard.wanted.document(), "lost": False},
            "limits": self.settings.limits.model_dump(mode="json"),
        }

    def _archive(self) -> None:
        """Closed days into the catalog, beside the session."""
        if self._workspace is not None and (self._archiving is None or not self._archiving.is_alive()):
            self._archiving = archive_beside(self._workspace, self.folder, self._archived)

    def _archived(self, failed: str | None) -> None:
        """Called in the archive's thread: the next look tells it."""
        self.watch.archive_failed = failed

    def _shape(self) -> Shape:
        market = self.session.market
        return Shape(market.price.shape[1], market.features.shape[1], self.columns)

    # After a bar --------------------------------------------------------------------------------------------------

    def _closed(self) -> None:
        self.marks.bar_closed()
        self.session.fills.clear()  # the journal has them
        self._bars += 1
        if self._bars == 1:
            self._first = time.perf_counter() - self._began
        self._since_snapshot += 1
        if self._since_snapshot >= self.settings.snapshot_bars:
            self._snapshot()
        self._between()

    def _between(self) -> None:
        """Every ten seconds, whether rows come or not, a line and the status."""
        session = self.session
        if time.monotonic() - self._said < STATUS_SECONDS or session.bar < self._first_row or not session.closed:
            return
        self._said = time.monotonic()
        self._say(line_of(self._status("running")))

    def _snapshot(self) -> None:
        session = self.session
        if session.bar >= session.start:
            ts = int(session.market.ts[session.bar])
            risk = {} if self.risk is None else self.risk.arrays()
            write_snapshot(self.folder.snapshots, session.bar, ts, session.state, self.dresser.arrays(), risk)
            if self.risk is not None:
                self.risk.tell_snapshot(self._figures("running"))
        self._since_snapshot = 0

    def _figures(self, state: str) -> dict[str, Any]:
        return status_of(self.session, self.guard, self.feed.symbols, self.about, state)

    def _status(self, state: str) -> dict[str, Any]:
        watch = self.watch
        found = self._figures(state) | {
            "alerts": self.alerts.document(), "last_decision": self.marks.last,
            "latencies_ms": self.marks.latencies.summary(),
            "ages": {
                "since_row_seconds": watch.silent_seconds, "row_seconds": watch.row_age, "clock_skew_ms": watch.skew,
                **({} if self.risk is None else self.risk.ages()),
            },
        }  # fmt: skip
        if self.risk is not None:
            found["risk"] = self.risk.status()
            self.risk.tell_status(found)
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
        if self._archiving is not None:
            self._archiving.join()
            self._archive()  # a day that closed while another was written
            self._archiving.join()
        status: dict[str, Any] = {}
        if self._bars:
            self.days.write(session, closed=False)
            status = self._status("interrupted" if interrupted else "the feed ended")
        seconds = time.perf_counter() - self._began
        return Ended(status, self._bars, interrupted, told, seconds, self._first)
