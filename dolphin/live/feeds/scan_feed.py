"""The feeds ``scans:FOLDER`` and ``store``: scans of another program as a session's rows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from dolphin.catalog import Instrument
from dolphin.catalog.store.instruments import load_instruments
from dolphin.catalog.store.scan_layout import FEATURES
from dolphin.errors import BadInput, NotFound
from dolphin.live.feed import History, Row
from dolphin.live.feeds.scan_folder import ScanFolder
from dolphin.live.feeds.scan_grid import ScanGrid
from dolphin.live.feeds.scan_record import ScanRecord
from dolphin.live.feeds.scan_store import ScanStore
from dolphin.stores import Store

#: Seconds between two looks at the source.
EVERY = 0.02


class Scans(Protocol):
    """A source of scans."""

    def poll(self) -> list[ScanRecord]:
        """What has come since the last call."""
        ...


class ScanFeed:
    """Rows of scans.

    What is there when the feed opens is its history; a session begins with the row after the last one of it. Rows
    that nobody scanned are made up for, with ``trade`` False and features unknown. So is every row that a restarted
    session missed: its time to trade is over.

    Parameters
    ----------
    name : str
        As the command names it.
    scans : Scans
    instruments : tuple of Instrument
        By column.
    reference : str
    spacing_ns : int
    origin_ns : int, optional
        Close of row 0.
    keep : int
        Rows that are kept for :meth:`history`.
    """

    def __init__(
        self,
        name: str,
        scans: Scans,
        instruments: tuple[Instrument, ...],
        reference: str,
        spacing_ns: int,
        origin_ns: int | None = None,
        keep: int = 100_000,
    ) -> None:
        self.name, self.instruments, self.spacing_ns = name, instruments, spacing_ns
        self.symbols = tuple(instrument.symbol for instrument in instruments)
        if reference not in self.symbols:
            raise BadInput(
                f"the reference {reference} is none of its symbols", where=name, mend="name one with --reference"
            )
        self.reference = reference
        self.scans, self.grid, self.keep = scans, ScanGrid(self.symbols, spacing_ns, origin_ns), keep
        self._rows: list[Row] = []
        self._first: int | None = None
        self._lock = threading.Lock()
        self._look()
        self._begin = self._rows[-1].ts if self._rows else None

    @property
    def refused(self) -> dict[str, str]:
        """What was not taken, and why: files, values, scans."""
        by_source = getattr(self.scans, "refused", {})
        return {str(key): reason for key, reason in by_source.items()} | self.grid.refused

    async def history(self, rows: int, after: int | None) -> History:
        """See :class:`~dolphin.live.feed.Feed`."""
        await asyncio.to_thread(self._look)
        last = self._begin if after is None else after
        known = [row for row in self._rows if last is not None and row.ts <= last][-rows:] if rows > 0 else []
        assets = len(self.symbols)
        features = {name: np.array([(row.features or {})[name] for row in known]) for name in FEATURES}
        return History(
            known[0].bar if known else 0,
            np.array([row.ts for row in known], np.int64),
            np.array([row.price for row in known]).reshape(-1, assets),
            np.array([row.age for row in known], np.int32).reshape(-1, assets),
            {},
            features,
            # Nothing came before the first scan of all: it is where research would begin, too.
            whole=bool(known) and self._first == known[0].ts,
        )

    async def rows(self, after: int | None) -> AsyncIterator[Row]:
        """See :class:`~dolphin.live.feed.Feed`."""
        last = self._begin if after is None else after
        missed = self._rows[-1].ts if self._rows and after is not None else None
        while True:
            for row in self._after(last):
                last = row.ts
                # What a restarted session missed: the time to trade on it is over.
                yield replace(row, trade=False) if missed is not None and row.ts <= missed else row
            if not await asyncio.to_thread(self._look):
                await asyncio.sleep(EVERY)

    async def close(self) -> None:
        """See :class:`~dolphin.live.feed.Feed`."""
        if isinstance(self.scans, ScanStore):
            self.scans.close()

    def _after(self, last: int | None) -> list[Row]:
        """Rows that close after ``last``."""
        with self._lock:
            rows, newest = self._rows, self._rows[-1].ts if self._rows else None
            if newest is None or (last is not None and last >= newest):
                return []
            count = len(rows) if last is None else min(len(rows), (newest - last) // self.spacing_ns)
            return rows[len(rows) - count :]

    def _look(self) -> bool:
        """Take in what has come; whether there was anything."""
        with self._lock:
            fresh = [row for scan in sorted(self.scans.poll(), key=lambda scan: scan.ts) for row in self.grid.add(scan)]
            self._rows += fresh
            if self._first is None and fresh:
                self._first = fresh[0].ts
            del self._rows[: -self.keep]
            return bool(fresh)


def folder_feed(
    folder: Path,
    spacing_ns: int,
    instruments: tuple[Instrument, ...] | None = None,
    reference: str = "BTCUSDT",
    origin_ns: int | None = None,
) -> ScanFeed:
    """The feed ``scans:FOLDER``.

    Without ``instruments`` those of the folder's ``instruments.json`` are taken for the symbols of its first scan.

    Raises
    ------
    DolphinError
        If there is no such folder, or nothing says what its symbols' ticks and lots are.
    """
    scans = ScanFolder(folder)
    if instruments is None:
        first = next(iter(ScanFolder(folder).poll()), None)
        if first is None:
            raise NotFound(
                "no scan yet that would tell the symbols", where=str(folder), mend="name a dataset for them, or wait"
            )
        instruments = load_instruments(folder / "instruments.json", sorted(first.prices))
    return ScanFeed(f"scans:{folder}", scans, instruments, reference, spacing_ns, origin_ns)


def store_feed(
    store: Store,
    instruments: tuple[Instrument, ...],
    spacing_ns: int,
    reference: str = "BTCUSDT",
    origin_ns: int | None = None,
) -> ScanFeed:
    """The feed ``store``: it holds the newest scan alone, so that a history has to come from elsewhere."""
    return ScanFeed("store", ScanStore(store), instruments, reference, spacing_ns, origin_ns)
