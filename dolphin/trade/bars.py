"""A session's bars, whoever carries its orders: where it goes on, what is settled before a row and after it."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

from dolphin.core.records import POSTURES
from dolphin.live.binance.feed import BinanceFeed
from dolphin.live.dressing import market_before
from dolphin.live.feed import Row
from dolphin.live.feeds.klines import KlineFeed
from dolphin.live.rehearsing import rehearse
from dolphin.live.rows import ROOM, roomy_market
from dolphin.live.session import Session
from dolphin.times import DAY_NS, format_time, parse_time
from dolphin.trade.collecting import Collector
from dolphin.trade.control import Wanted
from dolphin.trade.folder import session_day
from dolphin.trade.hosting import GuardedStrategy
from dolphin.trade.kept import Kept
from dolphin.trade.lines import line_of
from dolphin.trade.recovery import Recovered
from dolphin.trade.writing import go_on

#: Seconds between two lines of status.
STATUS_SECONDS = 10.0
#: Seconds of compiling that are told.
SLOW_S = 2.0


@dataclass
class Ended:
    """How a session ended, and its figures."""

    status: dict[str, Any]
    bars: int
    interrupted: bool
    recovered: dict[str, Any] | None
    seconds: float
    first_decision_seconds: float


class Bars(Kept):
    """One process's life of a session: what its bars have in common, whoever carries the orders."""

    strategy: GuardedStrategy
    _loop: asyncio.AbstractEventLoop
    _after: int | None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._bars, self._first = 0, float("nan")
        self._resumed: Row | None = None
        self._resumed_why = ""
        self._posture = -1
        self._garbage = Collector()

    def _prefix(self) -> str:
        return f"{self.runs.account[:12]}-{self.config.hash[:6]}"

    def _go_on_from(self, found: Recovered) -> dict[str, Any]:
        self.guard.wanted = Wanted(**{k: v for k, v in found.halted.items() if k in ("halted", "flatten", "reason")})
        self.guard.lost = self._lost = bool(found.halted.get("lost", False))
        self.guard.day_equity = found.day_begin["equity"]
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
            if not self.dresser.warm:
                dresser = self.dresser
                self._say(f"warming up: {dresser.rows} of {dresser.needed} rows are there; nothing is opened before")
        if found is None:
            known = market_before(config, self.feed, history, features, self.columns)
            first, start = history.first, history.first + len(history.ts)
        else:
            known, first, start = found.market, found.first, found.bar + 1
        plugged = config.strategy.plugged(config.params)
        params, friction = config.params_record(), config.friction_record()
        self.session = Session(
            config.engine, params, friction, roomy_market(known, first, start),
            config.account.initial_capital, start, start + ROOM, plugged, None, None if found is None else found.state,
        )  # fmt: skip
        if start - first > self.lookback:
            begun = time.monotonic()
            rehearse(config.engine, params, friction, self.session.market, start - 1)
            if (took := time.monotonic() - begun) > SLOW_S:
                self._say(f"the strategy was compiled in {took:.0f} s; the next start reads it from the disk")
        self._garbage.begin()
        source = self.opened.source or self.feed
        if isinstance(source, BinanceFeed | KlineFeed):
            source.on_fetched = self._note_fetched
        self._first_row = first
        self._day = -1
        if found is not None:
            self._day = parse_time(found.journal.path.stem) // DAY_NS
            self.days.begin(self._day, found.day_begin)
            if not found.index.ended:
                self.session.journal = go_on(
                    found.journal, found.index, found.tail, policy=self.settings.fsync, clock=time.time_ns
                )

    def _before(self, row: Row) -> None:
        """Everything that is settled before a row is written: its day, the operator's wishes, whether it may trade."""
        session = self.session
        if session_day(row.ts) != self._day:
            self._new_day(row)
        assert session.journal is not None
        writer = session.journal.writer
        if self._fetched:
            self._write_fetched()
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

    def _closed(self) -> None:
        """A bar is closed and its orders are out: now is the time for what nothing waits for."""
        self.marks.bar_closed()
        self.session.fills.clear()  # the journal has them
        self._bars += 1
        if self._bars == 1:
            self._first = time.perf_counter() - self._began
            self._garbage.leave_out()  # the node is there by now
        self._since_snapshot += 1
        if self._since_snapshot >= self.settings.snapshot_bars:
            self._snapshot()
        self._between()

    def _between(self) -> None:
        """Every ten seconds, whether rows come or not, a line and the status."""
        session = self.session
        if session.closed:
            self._garbage.between()
        if time.monotonic() - self._said < STATUS_SECONDS or session.bar < self._first_row or not session.closed:
            return
        self._said = time.monotonic()
        self._say(line_of(self._status("running")))

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
        # A kill may have left nothing to do, and neither of these.
        if self._bars or (told is not None and told["bar"] >= 0):
            self.days.write(session, closed=False)
            status = self._status("interrupted" if interrupted else "the feed ended")
        self._files.finish()
        seconds = time.perf_counter() - self._began
        return Ended(status, self._bars, interrupted, told, seconds, self._first)

    def _let_go(self) -> None:
        """Of what outlives no session."""
        self._garbage.end()
        self._files.finish()
