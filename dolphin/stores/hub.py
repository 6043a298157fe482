"""What both backends share: the local view, who is to be told of changes, and the thread that tells them."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from dolphin.errors import DolphinError
from dolphin.stores.protocol import OnChange, OnMessage, Reading, Unsubscribe
from dolphin.stores.values import Raw, Value, decode, written_ns

#: Changes that wait to be told; beyond it they are dropped and counted.
WAITING = 10_000

log = logging.getLogger(__name__)


class Held(NamedTuple):
    """A value as it lies, and when it was new (ns of the monotonic clock)."""

    raw: Raw
    since: int


class Hub:
    """The local view of a store, and its subscriptions."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.errors = 0
        self.last_error: str | None = None
        self.closed = False
        self._view: dict[tuple[str, str], Held] = {}
        self._on_change: dict[str, tuple[OnChange, ...]] = {}
        self._on_message: dict[str, tuple[OnMessage, ...]] = {}
        self._guard = threading.Lock()  # of the two tables above; never held while anything waits
        self._calls: queue.Queue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.Queue(WAITING)
        self._teller = threading.Thread(target=self._tell, name="store-tells", daemon=True)
        self._teller.start()

    def get(self, place: str, key: str) -> Reading | None:
        """See :class:`~dolphin.stores.protocol.Store`."""
        held = self._view.get((place, key))
        return None if held is None else self._reading(place, key, held)

    def subscribe(self, place: str, callback: OnChange) -> Unsubscribe:
        """See :class:`~dolphin.stores.protocol.Store`."""
        return self._join(self._on_change, place, callback)

    def listen(self, topic: str, callback: OnMessage) -> Unsubscribe:
        """See :class:`~dolphin.stores.protocol.Store`."""
        return self._join(self._on_message, topic, callback)

    def _join(self, table: dict[str, tuple[Any, ...]], name: str, callback: Any) -> Unsubscribe:
        self._check_open()
        with self._guard:
            table[name] = (*table.get(name, ()), callback)

        def leave() -> None:
            with self._guard:
                table[name] = tuple(one for one in table.get(name, ()) if one is not callback)

        return leave

    def _reading(self, place: str, key: str, held: Held) -> Reading | None:
        try:
            value = decode(held.raw, f"{place} {key}")
        except DolphinError as error:  # another program's
            self._note(error)
            return None
        return Reading(value, held.raw, max(0, time.monotonic_ns() - held.since))

    def _take(self, place: str, key: str, raw: Raw, *, found: bool = False) -> None:
        """A value has come; ``found``: it was there already, and is as old as it says."""
        before = self._view.get((place, key))
        if found and before is not None and before.raw == raw:
            return
        self._view[place, key] = Held(raw, time.monotonic_ns() - (_age_of(raw) if found else 0))
        if callbacks := self._on_change.get(place):
            self._call(self._changed, callbacks, place, key, raw)

    def _changed(self, callbacks: tuple[OnChange, ...], place: str, key: str, raw: Raw) -> None:
        value: Value = decode(raw, f"{place} {key}")
        for callback in callbacks:
            self._safely(callback, key, value)

    def _heard(self, topic: str, raw: Raw) -> None:
        """A message has come."""
        if callbacks := self._on_message.get(topic):
            self._call(self._told, callbacks, topic, raw)

    def _told(self, callbacks: tuple[OnMessage, ...], topic: str, raw: Raw) -> None:
        message = decode(raw, topic)
        for callback in callbacks:
            self._safely(callback, message)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._calls.put_nowait((function, arguments))
        except queue.Full:
            self._note("a subscriber is too slow: changes were dropped")

    def _tell(self) -> None:
        while (call := self._calls.get()) is not None:
            function, arguments = call
            self._safely(function, *arguments)

    def _safely(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call it; what it raises is a line in the log, and nobody else goes without his call."""
        try:
            function(*arguments)
        except Exception as error:
            self._note(error)
            log.warning("a subscriber of %s failed: %s", self.url, self.last_error)

    def _note(self, error: object) -> None:
        self.errors += 1
        self.last_error = " ".join(str(error).split())[:200] or type(error).__name__

    def _check_open(self) -> None:
        if self.closed:
            raise DolphinError("the store is closed", where=self.url, mend="open it again")

    def _end_telling(self) -> None:
        self._calls.put(None)
        if threading.current_thread() is not self._teller:
            self._teller.join(2.0)


def _age_of(raw: Raw) -> int:
    """How old a value that was there says that it is; a day where it does not say, which no limit calls fresh."""
    written = written_ns(raw)
    return 86_400 * 10**9 if written is None else max(0, time.time_ns() - written)
