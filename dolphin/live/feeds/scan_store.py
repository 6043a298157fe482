"""Scans that another process publishes through the store, and the publishing of ours."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from typing import Any

from dolphin.catalog.store.scan_layout import SCAN_NUMBER
from dolphin.errors import DolphinError
from dolphin.live.feeds.scan_record import ScanRecord, of_arrow, of_document, to_arrow, to_document
from dolphin.stores import Outcome, Store
from dolphin.stores.names import EIGEN_SCAN, FEATURES, SCAN, SCAN_ARROW, SCAN_BARS
from dolphin.stores.values import Value
from dolphin.times import format_time

#: Scans that wait to be taken; more means that nobody takes them.
WAITING = 1000


class ScanStore:
    """The scans of a store, as they come: the newest that is there first.

    The same scan may lie there as Arrow and as JSON; each time of close is given once.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.refused: dict[str, str] = {}
        self.read = 0
        self.announced: dict[str, Any] = {}
        self._came: deque[tuple[str, Value]] = deque(maxlen=WAITING)
        self._seen: deque[int] = deque(maxlen=WAITING)
        self._news = threading.Event()
        self._ends = [store.subscribe(FEATURES, self._change), store.listen(SCAN_BARS, self._announce)]
        for key in (SCAN_ARROW, EIGEN_SCAN):
            if (there := store.get(FEATURES, key)) is not None:
                self._change(key, there.value)

    def poll(self) -> list[ScanRecord]:
        """The scans that have come since the last call."""
        found: list[ScanRecord] = []
        self._news.clear()
        while self._came:
            key, value = self._came.popleft()
            try:
                scans = of_arrow(value, key) if isinstance(value, bytes) else [of_document(value, key)]
            except DolphinError as error:
                self.refused[f"{key} at {format_time(time.time_ns())}"] = str(error)
                continue
            for scan in scans:
                if scan.ts not in self._seen:
                    self._seen.append(scan.ts)
                    found.append(scan)
                    self.read += 1
        return found

    def wait(self, seconds: float) -> bool:
        """Whether something comes within this time."""
        return self._news.wait(seconds)

    def close(self) -> None:
        """Listen no more."""
        for end in self._ends:
            end()

    def _change(self, key: str, value: Value) -> None:
        if key in (SCAN_ARROW, EIGEN_SCAN):
            self._came.append((key, value))
            self._news.set()

    def _announce(self, message: dict[str, Any]) -> None:
        """A scan is announced: where its value has not reached us yet, it is asked for."""
        self.announced = message
        for key in (SCAN_ARROW, EIGEN_SCAN):
            there = self.store.fetch(FEATURES, key)
            if there is not None:
                self._change(key, there.value)


def publish_scan(store: Store, scan: ScanRecord) -> Outcome:
    """Write a scan for all who read the store, then announce it on the topic.

    The message is {vel_div, timestamp, scan_number, uuid}; ``vel_div`` is null where it is not known yet.
    """
    document = to_document(scan) | {"timestamp": format_time(scan.ts)}
    store.put(FEATURES, SCAN_ARROW, to_arrow(scan))
    store.put(FEATURES, EIGEN_SCAN, document)
    store.put(FEATURES, SCAN, {key: value for key, value in document.items() if key != "prices"})
    message = {"vel_div": document.get("vel_div"), "timestamp": format_time(scan.ts), SCAN_NUMBER: scan.number}
    return store.publish(SCAN_BARS, message | {"uuid": str(uuid.uuid4())})
