"""Risk inputs of a session from a store: its own breaker and survival stack, and the mirror of its state.

Without a store a replay has the risk table that its config names, and other feeds have neutral inputs; a config that
applies a table is then refused on them: nothing would apply it.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dolphin.config import Config
from dolphin.config.config import RiskInputs
from dolphin.errors import DolphinError, Refused
from dolphin.feeds.overrides import current
from dolphin.live.feed import Feed
from dolphin.live.mirrors.breaker import LiveBreaker
from dolphin.live.mirrors.record import LocalLedger
from dolphin.live.mirrors.records import FromFiles
from dolphin.live.mirrors.risk_feed import RiskFeed
from dolphin.live.mirrors.safety import Known, SafetyStack
from dolphin.live.mirrors.state import StateMirror
from dolphin.risk.book import Book
from dolphin.risk.forewarner import Forecast
from dolphin.risk.override import Override
from dolphin.risk.rules import RiskRules, read_rules
from dolphin.stores import Store
from dolphin.stores.names import EXTERNAL_FACTORS, FEATURES, FOREWARNER, SIDES, VOL_REGIME, book_place
from dolphin.times import SECOND_NS, parse_time
from dolphin.trade.settings import RiskSettings
from dolphin.workspace import Workspace

#: What a session's config names as its table where a store gives the inputs; no table of a catalog has such a name.
STORE_TABLE = "session:store"


def config_with(config: Config, mode: str) -> Config:
    """The config of a session whose risk inputs are a store's: its engine obeys postures where they are applied."""
    table = RiskInputs(table=STORE_TABLE, mode="apply") if mode == "apply" else RiskInputs()
    return dataclasses.replace(config, risk=table)


def check_without_store(config: Config, feed: str) -> None:
    """Refuse a config whose risk inputs nobody would give.

    Raises
    ------
    Refused
        If it applies a risk table and the feed is no replay.
    """
    if config.risk.table is not None and config.risk.mode == "apply" and not feed.startswith("replay:"):
        raise Refused(
            f"the config applies the risk table '{config.risk.table}', and this feed brings no risk inputs; "
            "name the store that has them: --store URL",
            where=f"--feed {feed}",
        )


class SessionRisk:
    """Breaker, stack and mirror of one session.

    Parameters
    ----------
    store : Store
    folder : Path
        The session's: its ledger is ``ledger.jsonl``.
    account : str
        Blue tells its safety record to others, blue and green their state; any other account tells neither.
    settings : RiskSettings
    feed : Feed
    wall : bool
        Whether rows come as they happen; otherwise the time of rows is the clock.
    workspace : Workspace, optional
        Where a person's override is on record.

    Attributes
    ----------
    equity : callable
        The account's equity; the session sets it.
    """

    def __init__(
        self, store: Store, folder: Path, account: str, settings: RiskSettings, feed: Feed, *, wall: bool,
        workspace: Workspace | None = None,
    ) -> None:  # fmt: skip
        self.store, self.settings, self.account, self._workspace = store, settings, account, workspace
        self.equity: Callable[[], float] = lambda: math.nan
        rules = RiskRules() if settings.rules is None else read_rules(Path(settings.rules))
        self.ledger = LocalLedger(folder / "ledger.jsonl")
        self.breaker = LiveBreaker(store, rules, feed.reference)
        self.stack = SafetyStack(store if account == SIDES[0] else None, self.ledger)
        self.mirror = StateMirror(account, self.ledger, store) if account in SIDES else None
        clock = time.time_ns if wall else None
        # Rows of the past know nothing of what is recorded now.
        files = workspace is not None and wall and store.url.startswith("embedded")
        self._files = FromFiles(store, workspace) if files and workspace is not None else None
        self.feed = RiskFeed(
            feed, self.breaker, self.stack, self._known, clock, applied=settings.mode == "apply"
        )  # fmt: skip
        if self.mirror is not None:
            self.mirror.tell_again()

    # What a check reads -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Between rows: what others have recorded for this store, and the stack, when its check is due."""
        if self._files is not None:
            self._files.look()
        self.feed.check_if_due()

    def _known(self, now_ns: int) -> Known:
        self.stack.override = self._override(now_ns)
        health = self.store.health() if self.settings.require_store else None
        book, age = self._book()
        return Known(
            self.equity(), health, self._forecast(), book, age, self.settings.books, self._spike_minutes(now_ns)
        )

    def _override(self, now_ns: int) -> Override | None:
        """A person's posture; one that cannot be read is none."""
        if self._workspace is None:
            return None
        try:
            return current(self._workspace, now_ns)
        except DolphinError:
            return None

    def _document(self, place: str, key: str) -> tuple[Mapping[str, Any], int] | None:
        there = self.store.get(place, key)
        return (there.value, there.age_ns) if there is not None and isinstance(there.value, dict) else None

    def _forecast(self) -> Forecast | None:
        """The forewarner's record; None where there is none that can be read."""
        there = self._document(FEATURES, FOREWARNER)
        if there is None:
            return None
        value = there[0]
        try:
            return Forecast(
                str(value["status"]), float(value["catastrophic_prob"]), float(value.get("envelope_score") or 0.0),
                parse_time(str(value["timestamp"])),
            )  # fmt: skip
        except (DolphinError, KeyError, TypeError, ValueError):
            return None

    def _book(self) -> tuple[Book | None, int]:
        there = self._document(*book_place(self.feed.reference))
        if there is None:
            return None, -1
        value, age = there
        try:
            return Book(*(float(value.get(name, math.nan)) for name in Book._fields)), age
        except (TypeError, ValueError):
            return None, -1

    def _spike_minutes(self, now_ns: int) -> float:
        """Minutes since ``spike_at`` of ``vol_regime``; infinite where nobody says that there was a spike."""
        there = self._document(FEATURES, VOL_REGIME)
        if there is None or not there[0].get("spike_at"):
            return math.inf
        try:
            return max(0.0, (now_ns - parse_time(str(there[0]["spike_at"]))) / (60 * SECOND_NS))
        except DolphinError:
            return 0.0  # somebody says that there was one, and nobody knows when

    # State --------------------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Any]:
        """What a restart goes on from."""
        found = {f"breaker.{name}": value for name, value in self.breaker.arrays().items()}
        return found | {f"stack.{name}": value for name, value in self.stack.arrays().items()}

    def restore(self, arrays: Mapping[str, Any], posture: int | None) -> None:
        """Go on from :meth:`arrays`, in the posture that was last in force."""
        if arrays:
            for part, target in (("breaker.", self.breaker), ("stack.", self.stack)):
                target.restore({k.removeprefix(part): v for k, v in arrays.items() if k.startswith(part)})
        if posture is not None:
            self.stack.stand(posture)

    def status(self) -> dict[str, Any]:
        """What is told of it: the safety record, the breaker, the store's health."""
        health, record, boost = self.store.health(), self.feed.record, self.breaker.last
        return {
            "mode": self.settings.mode,
            "safety": None if record is None else record.as_dict(),
            "breaker": None if boost is None else boost.as_dict(),
            "store": {
                "url": self.store.url, "nodes": health.nodes, "silent_seconds": health.silent_ns / SECOND_NS,
                "pending": health.pending, "errors": health.errors,
            },
        }  # fmt: skip

    def ages(self) -> dict[str, float | None]:
        """Ages in seconds of what the store holds for us; None for what it does not."""
        places = {
            "factors_seconds": (FEATURES, EXTERNAL_FACTORS), "forecast_seconds": (FEATURES, FOREWARNER),
            "book_seconds": book_place(self.feed.reference),
        }  # fmt: skip
        found = {name: self.store.get(*place) for name, place in places.items()}
        return {name: None if there is None else there.age_ns / SECOND_NS for name, there in found.items()}

    def gone(self) -> str | None:
        """Why the required store counts as gone; None if it does not."""
        if not self.settings.require_store:
            return None
        health = self.store.health()
        if health.nodes < 1:
            return "no node of the store answers"
        seconds = health.silent_ns / SECOND_NS
        return f"the store has been silent for {seconds:.0f} s" if seconds > 30.0 else None

    # The mirror ---------------------------------------------------------------------------------------------------

    def tell_day(self, strategy: str, day: Mapping[str, Any], initial: float) -> None:
        """A day's end: capital checkpoint, P&L, the strategy's state."""
        if self.mirror is not None:
            date, capital = str(day["date"]), float(day["capital"])
            self.mirror.capital(date, capital, initial)
            self.mirror.pnl(date, float(day["equity"]), capital)
            self.mirror.day(strategy, date, dict(day))

    def tell_snapshot(self, status: Mapping[str, Any]) -> None:
        """The engine's state as of a bar."""
        if self.mirror is not None:
            keys = ("bar", "time", "capital", "equity", "positions", "trades", "posture", "digest")
            self.mirror.snapshot({key: status[key] for key in keys})

    def tell_status(self, status: Mapping[str, Any]) -> None:
        """The status line."""
        if self.mirror is not None:
            self.mirror.latest({**status, "health": status["state"]})
