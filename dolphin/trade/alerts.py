"""What is wrong with a session now: told in a line when it begins and when it ends, and kept in its status."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dolphin.times import format_time


class Alerts:
    """Alerts by what they are about.

    Parameters
    ----------
    say : callable
        Takes a line.
    note : callable
        Takes what an alert is about and its text (None: it ended), for the journal.
    """

    def __init__(self, say: Callable[[str], None], note: Callable[[str, str | None], None]) -> None:
        self._say, self._note = say, note
        self._now: dict[str, dict[str, Any]] = {}

    def set(self, about: str, text: str | None, *, stops: bool = True) -> None:
        """It is so (``text``), or not any more (None). ``stops`` says that nothing may be opened while it is."""
        before = self._now.get(about)
        if text is None:
            if before is not None:
                del self._now[about]
                self._say(f"{about}: over: {before['text']}")
                self._note(about, None)
        elif before is None:
            since = format_time(time.time_ns() // 10**9 * 10**9)
            self._now[about] = {"about": about, "text": text, "since": since, "stops_entries": stops}
            self._say(f"ALERT: {about}: {text}" + ("; no entries" if stops else ""))
            self._note(about, text)
        else:
            before["text"] = text

    def why_not(self) -> str:
        """Why nothing may be opened; empty if something may."""
        return next((one["text"] for one in self._now.values() if one["stops_entries"]), "")

    def document(self) -> list[dict[str, Any]]:
        """Those that there are now, oldest first."""
        return [dict(one) for one in self._now.values()]
