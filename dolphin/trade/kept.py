"""What a session keeps, whoever carries its orders: a journal per day, snapshots, summaries, its status."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from dolphin.config import columns_needed
from dolphin.files import write_json
from dolphin.journal.header import lookback as lookback_of
from dolphin.journal.schema import Shape
from dolphin.live.binance.assembler import Fetched, Late
from dolphin.live.dressing import Dresser
from dolphin.live.feed import Row
from dolphin.live.session import Session
from dolphin.times import format_time
from dolphin.trade.alerts import Alerts
from dolphin.trade.archive import archive_beside
from dolphin.trade.background import Background
from dolphin.trade.champion import Runs
from dolphin.trade.control import Control
from dolphin.trade.describing import Say, header_of_day
from dolphin.trade.feeds import Opened
from dolphin.trade.figures import DayFigures, account_of, status_of
from dolphin.trade.folder import StateFolder, session_day
from dolphin.trade.limits import Guard
from dolphin.trade.marks import Marks
from dolphin.trade.risk_inputs import SessionRisk
from dolphin.trade.settings import Settings
from dolphin.trade.snapshot import take_snapshot, write_snapshot
from dolphin.trade.watching import Watch
from dolphin.trade.writing import begin_day
from dolphin.workspace import Workspace


class Kept:
    """A session as its folder tells of it; :class:`~dolphin.trade.bars.Bars` lives it."""

    session: Session

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
            skew=opened.skew, skew_ms=settings.skew_ms, paced=opened.paced,
        )  # fmt: skip
        self._files = Background()
        self._said = time.monotonic()
        self._since_snapshot = 0
        self._lost = False
        self._day = self._first_row = -1
        self._fetched: list[Fetched] = []

    # The journal ---------------------------------------------------------------------------------------------------

    def _note_alert(self, about: str, text: str | None) -> None:
        """An alert in the journal, and soon in the status."""
        self._said = float("-inf")
        self._note({"alert": about, "text": text})

    def _note_late(self, late: Late) -> None:
        """A bar that changed nothing."""
        self._note({"late": late._asdict()})

    def _note_fetched(self, fetched: Fetched) -> None:
        """Bars that the stream did not bring: said in the journal before the next row."""
        self._fetched.append(fetched)
        what = f"{fetched.bars} bars asked for, {fetched.late} of them too late" if fetched.bars else fetched.failed
        self._say(f"the stream lacked bars of {format_time(fetched.first_ms * 1_000_000)}: {what}")

    def _write_fetched(self) -> None:
        journal = self.session.journal
        if journal is not None and not getattr(journal.writer, "expected", None):
            for fetched in self._fetched:
                journal.writer.text("gap", json.dumps({"fetched": fetched._asdict()}))
            self._fetched.clear()

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
        if self._day >= 0:  # also one whose journal was ended, and nothing more, before a kill
            closed = self.days.write(session, closed=True)
            self._snapshot()
            self._files.finish()
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
        self.days.begin(day, account_of(session.state))

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

    def _snapshot(self) -> None:
        """Copies now; the file beside the session, so that no bar waits for the disk."""
        session = self.session
        if session.bar >= session.start:
            ts = int(session.market.ts[session.bar])
            risk = {} if self.risk is None else self.risk.arrays()
            taken = take_snapshot(session.bar, ts, session.state, self.dresser.arrays(), risk)
            self._files.do(write_snapshot, self.folder.snapshots, taken)
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
        self._files.do(write_json, self.folder.status, found)
        return found
