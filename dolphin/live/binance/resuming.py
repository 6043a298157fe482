"""A killed session again from its journal: every closed bar decided anew, the open one with what it may have sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.config import Config
from dolphin.core.records import RISK, Market, State
from dolphin.errors import Damaged
from dolphin.journal import Journal, JournalWriter
from dolphin.journal.held import Held, hold
from dolphin.journal.reader import Index
from dolphin.journal.replaying import Replayer
from dolphin.live.binance.journaling import LiveJournal
from dolphin.live.feed import Row


@dataclass(frozen=True)
class Resumed:
    """Where a session stands.

    Attributes
    ----------
    state : State
        After the last closed bar; its digest is the journaled one.
    first, last : int
        The first bar of the journal and the last that was closed.
    rows : Market
        All rows of the journal, at their own numbers.
    unfinished : Row, optional
        The row that was written and not closed.
    intents : mapping
        What was wished in it, by slot.
    index : Index
    """

    state: State
    first: int
    last: int
    rows: Market
    unfinished: Row | None
    intents: Mapping[int, tuple[Any, ...]]
    index: Index

    @property
    def last_ts(self) -> int:
        """Close of the last row that is known, ns."""
        return int(self.rows.ts[self.last]) if self.unfinished is None else self.unfinished.ts


def resume(path: Path, config: Config) -> Resumed | None:
    """Read a journal and decide it again; None where no bar was closed yet and it can be begun anew.

    Raises
    ------
    Damaged
        If a bar is decided otherwise now, or the journal contradicts itself.
    """
    journal = Journal(path)
    index = journal.index()
    if not len(index.of("decision")):
        if len(index.of("intent")):
            raise Damaged("holds orders and no closed bar", where=str(path), mend="see dolphin journal show")
        return None
    player = Replayer(journal, config=config)
    held = hold(journal, index, player.banks)
    if held.problems:
        raise Damaged(held.problems[0], where=str(path), mend="see dolphin journal verify")
    state = player.start(held)
    digests, _ = player.run(state, held, 0, len(held.bars))
    unequal = np.flatnonzero(digests != held.digests)
    if len(unequal):
        raise Damaged(
            f"bar {int(held.bars[unequal[0]])} is decided otherwise now", where=str(path),
            mend="the engine or the strategy has changed; see dolphin journal replay",
        )  # fmt: skip
    unfinished, intents = _open_row(journal, index, held)
    last = int(held.bars[-1])
    return Resumed(state, int(held.bars[0]), last, held.market(0, len(held.bars)), unfinished, intents, index)


def _open_row(journal: Journal, index: Index, held: Held) -> tuple[Row | None, dict[int, tuple[Any, ...]]]:
    """The row behind the last closed bar, and its wishes."""
    last, found, intents = int(held.bars[-1]), None, {}
    for k in index.of("row").tolist():
        of, place = index.templates[int(index.which[k])], int(index.places[k]) * 8
        values = journal.record_at(place, of)
        if int(values["bar"]) > last:
            risk = np.zeros(1, RISK)
            for name, value in zip(RISK.names or (), values["risk"].tolist(), strict=True):
                risk[name] = value
            found = Row(
                bar=int(values["bar"]), ts=int(values["ts"]), price=np.array(values["price"]),
                age=np.array(values["age"]), risk=risk, trade=False,
            )  # fmt: skip
    if found is not None:
        for slot, bar, order in zip(held.intent_slots.tolist(), held.intent_bars.tolist(), held.intents, strict=True):
            if bar == found.bar:
                intents[slot] = order.item()
    return found, intents


def writer_behind(path: Path, resumed: Resumed, config: Config, **options: Any) -> LiveJournal:
    """Go on writing where the journal is whole; a torn end is cut."""
    journal, index = Journal(path), resumed.index
    check = int.from_bytes(journal.bytes[index.good - 8 : index.good], "little") & 0xFFFFFFFF
    writer = JournalWriter.resume(path, journal.shape, length=index.good, seq=len(index.places), check=check, **options)
    out = LiveJournal(writer)
    if resumed.unfinished is not None:
        out.unfinished, out.intents = resumed.unfinished.bar, dict(resumed.intents)
    return out
