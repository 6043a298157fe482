"""A session's journal: a file per UTC day, each whole in itself, and gone on with after a kill."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.core.records import Market, State
from dolphin.errors import Damaged
from dolphin.files import sync
from dolphin.journal import JournalWriter, SessionJournal
from dolphin.journal.reader import Index, Journal
from dolphin.journal.schema import ORDER_VALUES, Shape, Template
from dolphin.journal.writer import _Frame

#: What an unfinished day is written as, until it holds all that a reader needs.
PART = ".part"
#: Records that are written when something happens, at no place of their own within a bar.
ANY_TIME = ("operator", "gap", "risk", "end", "state")
#: The last two numbers of an order are latencies.
_TIMELESS = len(ORDER_VALUES) - 2


class GoneOnWith(JournalWriter):
    """Goes on after a kill: what the bar at hand wrote already is not written again, and must be the same.

    The exchange that a paper session trades with dies with it, so its bar at hand is done again from the start.
    """

    expected: deque[dict[str, Any]]

    def _send(self, frame: _Frame) -> None:
        if self.expected:
            said = said_by(frame.record[0])
            before = self.expected.popleft()
            if said != before:
                name = next(key for key in said if said[key] != before.get(key))
                raise Damaged(
                    f"bar {said['bar']} does otherwise now than before the restart: its {name} is "
                    f"{_text(said[name])}, and was {_text(before.get(name))}",
                    where=str(self.path),
                    mend="dolphin journal show tells what it did; another engine or another feed is the usual cause",
                )
            return
        super()._send(frame)


def said_by(record: Any) -> dict[str, Any]:
    """What a record says, without what differs from one writing to the next (clocks, number, check)."""
    found = {}
    for name in record.dtype.names:
        if name in ("meta", "kind_end", "text_end", "seq", "local", "check"):
            continue
        value = record[name]
        if name == "order":
            value = value[:_TIMELESS]
        found[name] = value.tobytes() if isinstance(value, np.ndarray | np.void) else int(value)
    return found


def _text(value: Any) -> str:
    return np.array2string(np.frombuffer(value), threshold=8) if isinstance(value, bytes) and not len(value) % 8 else (
        repr(value)
    )  # fmt: skip


def begin_day(
    path: Path, shape: Shape, header: Mapping[str, Any], market: Market, start: int, lookback: int,
    state: State | None, *, policy: str, clock: Callable[[], int] | None,
) -> SessionJournal:  # fmt: skip
    """A new day's journal: header, the rows that decisions look back on, the state that it begins with.

    It has its name only when all this is in it, so that a kill leaves a whole beginning or none.
    """
    part = path.with_suffix(PART)
    part.unlink(missing_ok=True)
    writer = JournalWriter(part, shape, header, policy=policy, clock=clock)
    journal = SessionJournal(writer, write_ahead=True)
    journal.history(market, start, lookback)
    if state is not None:
        writer.state(state, start - 1, int(market.ts[start - 1]) if start else 0)
    writer.flush()
    writer.sync()
    part.rename(path)
    writer.path = path
    sync(path.parent)
    return journal


def go_on(
    journal: Journal, index: Index, tail: list[dict[str, Any]], *, policy: str, clock: Callable[[], int] | None
) -> SessionJournal:
    """The writer of a journal that was left; ``tail`` is what the bar at hand has said already."""
    count = len(index.places)
    last = index.templates[int(index.which[count - 1])]
    end = int(index.places[count - 1]) * 8 + last.size
    check = int.from_bytes(journal.bytes[end - 8 : end], "little")
    writer = GoneOnWith.resume(
        journal.path, journal.shape, length=index.good, seq=count, check=check, policy=policy, clock=clock
    )
    assert isinstance(writer, GoneOnWith)
    writer.expected = deque(tail)
    return SessionJournal(writer, write_ahead=True)


def tail_of(journal: Journal, index: Index, after: int) -> list[dict[str, Any]]:
    """What stands behind record number ``after``: the bar at hand."""
    found = []
    for k in range(after + 1, len(index.places)):
        of: Template = index.templates[int(index.which[k])]
        if of.kind not in ANY_TIME:
            found.append(said_by(journal.record_at(int(index.places[k]) * 8, of)))
    return found
