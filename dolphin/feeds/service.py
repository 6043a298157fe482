"""A running feed: poller, streams, repairs, recording, health, put together and taken down in order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import msgspec

from dolphin.errors import BadInput, DolphinError, nearest
from dolphin.feeds.bars import Rings
from dolphin.feeds.client import Client, Failed
from dolphin.feeds.collector import Collector, streams_of
from dolphin.feeds.compaction import compact_day, drop_old, due_days
from dolphin.feeds.health import Alert, Health
from dolphin.feeds.integrity import Integrity
from dolphin.feeds.liquidations import Liquidations
from dolphin.feeds.meter import Books
from dolphin.feeds.poller import Poller
from dolphin.feeds.recorder import Recorder, holes_document, recording_folder, trades_so_far
from dolphin.feeds.repair import Repairer
from dolphin.feeds.server import serving
from dolphin.feeds.sources import FeedSettings
from dolphin.feeds.spikes import Spikes
from dolphin.files import read_json, write_bytes
from dolphin.risk.book import aged
from dolphin.times import SECOND_NS, format_time, parse_duration
from dolphin.workspace import Workspace

PARTS = ("exf", "books", "ticks")
#: Clock skew against the exchange that is an alert (LIVE section 6), ns.
SKEW_NS = SECOND_NS // 2
#: Seconds between two looks at the exchange's clock, and at days that wait for compaction.
CLOCK_EVERY, COMPACT_EVERY = 60.0, 600.0


def parts_of(text: str) -> tuple[str, ...]:
    """``exf,books`` as parts.

    Raises
    ------
    BadInput
        On one that is none.
    """
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in found:
        if part not in PARTS:
            raise BadInput(f"no part '{part}'", where="--only", mend=nearest(part, PARTS))
    return found or PARTS


class Service:
    """One recording of a workspace.

    Parameters
    ----------
    only : tuple of str
        Of ``PARTS``.
    clock : callable
        ns UTC.
    tell : callable, optional
        Is given the record of now (:meth:`latest`) every two seconds.
    """

    def __init__(
        self,
        workspace: Workspace,
        settings: FeedSettings,
        only: tuple[str, ...] = PARTS,
        *,
        clock: Callable[[], int] = time.time_ns,
        tell: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        self.workspace, self.settings, self.only, self._clock = workspace, settings, only, clock
        self.folder = recording_folder(workspace)
        self.health = Health(clock, self._keep_alert)
        self.recorder = Recorder(self.folder, parse_duration(settings.snapshot), self.health, clock)
        self.stop = asyncio.Event()
        self.books = Books(parse_duration(settings.cadence)) if "books" in only else None
        self.liquidations = Liquidations()
        self.bars = Rings(parse_duration(settings.cadence)) if "ticks" in only else None
        self.spikes = Spikes(self.health, clock=clock) if "exf" in only else None
        self._tell = tell
        self.poller: Poller | None = None
        self.collector: Collector | None = None
        self.port = 0

    async def run(self, seconds: float | None = None) -> None:
        """Until ``stop`` is set, a SIGTERM comes, or so many seconds have passed.

        Raises
        ------
        Busy
            If another process records in this workspace.
        """
        with self.recorder.opened():
            async with AsyncExitStack() as stack:
                client = await stack.enter_async_context(Client(self.settings, self.health))
                port = serving(self.health, self.latest, self.settings.port, self.bars)
                self.port = await stack.enter_async_context(port)
                work = self._work(client)
                for number in (signal.SIGTERM, signal.SIGINT):
                    with suppress(RuntimeError, ValueError):  # not the main thread
                        asyncio.get_running_loop().add_signal_handler(number, self._signalled, number)
                await self._all(work, seconds)
            self._write_state()
            self.recorder.flush()

    def _work(self, client: Client) -> list[Awaitable[None]]:
        clock, settings = self._clock, self.settings
        work: list[Awaitable[None]] = [self.recorder.run(self.stop), self._watch(client), self._compact()]
        work.append(Integrity(self.recorder, self.latest, self.health, clock).run(self.stop))
        exf = "exf" in self.only
        if exf:
            self.poller = Poller(
                client, self.health, keep=self.recorder.value, local=self.liquidations.figures, clock=clock
            )
            self._restore("liquidations", self.liquidations.restore)
            self._restore("held", self.poller.restore)
            forced = Collector(
                settings, self.health, streams_of((), books=False, ticks=False, liquidations=True),
                liquidations=self.liquidations, clock=clock, name="liquidations",
            )  # fmt: skip
            work += [self.poller.run(self.stop), forced.run(self.stop)]
        if self.spikes is not None:
            work.append(self.spikes.run(client, self.stop))
        if {"books", "ticks"} & set(self.only):
            ticks = "ticks" in self.only
            self.collector = Collector(
                settings,
                self.health,
                streams_of(settings.symbols, books=self.books is not None, ticks=ticks, liquidations=False),
                books=self.books,
                keep_tick=self.recorder.tick if ticks else None,
                keep_book=self.recorder.book if self.books is not None else None,
                bars=self.bars,
                trades=trades_so_far(self.folder, clock()) if ticks else None,
                clock=clock,
            )
            note = self.recorder.note
            repairer = Repairer(self.collector, client, self.health, note=note, clock=clock)
            work += [self.collector.run(self.stop), repairer.run(self.stop)]
        return work

    async def _all(self, work: list[Awaitable[None]], seconds: float | None) -> None:
        """Run everything; the first that raises ends all."""
        tasks = [asyncio.ensure_future(each) for each in work]
        stopping = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait([stopping, *tasks], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            self.stop.set()
            await asyncio.wait(tasks, timeout=10.0)
        finally:
            for task in (stopping, *tasks):
                task.cancel()
            found = await asyncio.gather(stopping, *tasks, return_exceptions=True)
        for error in found:
            if isinstance(error, Exception):
                raise error

    def _signalled(self, number: int) -> None:
        self.interrupted = number == signal.SIGINT
        self.stop.set()

    interrupted = False

    # ---- what others read

    def latest(self) -> dict[str, Any]:
        """The record of now: every factor, every book, each with its age."""
        now = self._clock()
        found: dict[str, Any] = {"schema": 1, "timestamp": format_time(now)}
        found["factors"] = self.poller.latest() if self.poller else {}
        if self.spikes is not None and (volatility := self.spikes.document()) is not None:
            found["volatility"] = volatility
        books = {}
        for symbol, record in (self.books.latest if self.books else {}).items():
            age = now - record.ts
            figures = {k: None if v != v else v for k, v in aged(record.book, age)._asdict().items()}
            books[symbol] = {**figures, "age_s": round(age / SECOND_NS, 3), "time": format_time(record.ts)}
        found["books"] = books
        return found

    def _write_state(self) -> None:
        """``latest.json``, ``status.json`` and the liquidations' state, each whole."""
        status = {**self.health.document(), "pid": os.getpid(), "port": self.port, "only": list(self.only)}
        documents: dict[str, Any] = {"latest": self.latest(), "status": status}
        if self._tell is not None:
            self._tell(documents["latest"])
        if self.poller:
            documents |= {"liquidations": self.liquidations.document(), "held": self.poller.document()}
        # A trade that holes.json calls held is never asked for again: it has to be written before.
        if self.collector and self.collector.keep_tick and self.recorder.flush():
            documents["holes"] = holes_document(self.collector.trades)
        for name, document in documents.items():
            try:
                write_bytes(self.folder / f"{name}.json", json.dumps(document, allow_nan=False).encode())
            except DolphinError as error:
                self.health.alert("recorder:disk", "critical", "recorder", str(error))

    def _restore(self, name: str, restore: Callable[[Any], None]) -> None:
        """Go on from a state of an earlier run; one that cannot be read is an alert."""
        path = self.folder / f"{name}.json"
        if path.is_file():
            try:
                restore(read_json(path))
            except (DolphinError, LookupError, TypeError, ValueError) as error:
                why = " ".join(str(error).split())[:100]
                text = f"{path.name} is not readable, it begins anew: {why}"
                self.health.alert(f"exf:{name}", "info", "exf", text)

    def _keep_alert(self, alert: Alert) -> None:
        """A line of ``alerts.jsonl`` when an alert is raised and when it is cleared."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / "alerts.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(handle, (json.dumps(alert.document(), sort_keys=True) + "\n").encode())
            finally:
                os.close(handle)

    # ---- watching

    async def _watch(self, client: Client) -> None:
        """Write the state every two seconds, and look at the exchange's clock now and then."""
        looked = -CLOCK_EVERY
        while not self.stop.is_set():
            if time.monotonic() - looked >= CLOCK_EVERY:
                looked = time.monotonic()
                await self._look_at_clock(client)
            self._write_state()
            with suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await self.stop.wait()

    async def _look_at_clock(self, client: Client) -> None:
        part = self.health.component("clock", limit_s=float("1e9"))
        began = self._clock()
        try:
            body = await client.get("binance", "/fapi/v1/time", attempts=1)
            server = int(msgspec.json.decode(body)["serverTime"]) * 10**6
        except (Failed, msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
            why = " ".join(str(error).split())[:80]
            self.health.alert("clock", "info", "clock", f"the exchange does not tell the time ({why})")
            return
        skew = server - (began + self._clock()) // 2
        part.last_ns = self._clock()
        part.took("skew", abs(skew) / 1e6)
        if abs(skew) > SKEW_NS:
            text = f"this machine's clock is {skew / 1e9:+.3f} s from the exchange's"
            self.health.alert("clock", "critical", "clock", text)
        else:
            self.health.clear("clock")

    async def _compact(self) -> None:
        """Make the tables of days that are over."""
        tables, looked = self.settings.tables, -COMPACT_EVERY
        while not self.stop.is_set():
            if time.monotonic() - looked >= COMPACT_EVERY:
                looked = time.monotonic()
                try:
                    for date in await asyncio.to_thread(due_days, self.workspace, tables, self._clock()):
                        await asyncio.to_thread(compact_day, self.workspace, tables, date)
                    await asyncio.to_thread(drop_old, self.workspace, tables, self.settings.keep_days, self._clock())
                    self.health.clear("recorder:compaction")
                except DolphinError as error:
                    self.health.alert("recorder:compaction", "critical", "recorder", str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.stop.wait()
