"""The store's records that others than a session make: factors, books, the volatility regime, the forecast.

A recording (``dolphin feeds run``) and the forewarner's job make them. They write into a cluster themselves; an
embedded store is open in one process alone, so there the session takes them over from the workspace's files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dolphin.feeds.recorder import recording_folder
from dolphin.files import write_json
from dolphin.risk.book import Book
from dolphin.stores import Outcome, Store
from dolphin.stores.names import EXTERNAL_FACTORS, FEATURES, FOREWARNER, VOL_REGIME, book_place
from dolphin.workspace import Workspace


def forecast_file(workspace: Workspace) -> Path:
    """Where the forewarner's job leaves its record."""
    return workspace.root / "runs" / "forewarner" / "latest.json"


def keep_forecast(workspace: Workspace, record: Mapping[str, Any]) -> None:
    """Leave the forewarner's record for the sessions of this workspace."""
    write_json(forecast_file(workspace), dict(record))


class Records:
    """Writes what is new; a value that stands still is not written again, so that its age in the store is its own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: dict[tuple[str, str], str] = {}
        self._books: dict[str, str] = {}

    def forecast(self, record: Mapping[str, Any]) -> Outcome | None:
        """``mc_forewarner_latest``: status, catastrophic_prob, envelope_score, timestamp."""
        return self._tell((FEATURES, FOREWARNER), dict(record))

    def recorded(self, document: Mapping[str, Any]) -> int:
        """``exf_latest``, ``vol_regime`` and the books of a recording's ``latest.json``; how many were written."""
        told = []
        factors = {
            name: {"value": one["value"], "published": one["public"]}
            for name, one in (document.get("factors") or {}).items()
            if one.get("value") is not None
        }
        if factors:
            told.append(self._tell((FEATURES, EXTERNAL_FACTORS), factors))
        if volatility := document.get("volatility"):
            told.append(self._tell((FEATURES, VOL_REGIME), dict(volatility)))
        for symbol, one in (document.get("books") or {}).items():
            place = book_place(symbol)
            if self._books.get(symbol) != one["time"]:  # a book that is stale has nothing new to say
                self._books[symbol] = one["time"]
                told.append(self._store.put(*place, {name: one[name] for name in Book._fields} | {"time": one["time"]}))
        return sum(one is not None for one in told)

    def _tell(self, place: tuple[str, str], record: dict[str, Any]) -> Outcome | None:
        text = json.dumps(record, sort_keys=True)
        if self._told.get(place) == text:
            return None
        self._told[place] = text
        return self._store.put(*place, record)


class FromFiles:
    """The records of a workspace's own recording and jobs, taken over into the store that a session has open."""

    def __init__(self, store: Store, workspace: Workspace) -> None:
        self._records = Records(store)
        self._files = {
            recording_folder(workspace) / "latest.json": self._records.recorded,
            forecast_file(workspace): self._records.forecast,
        }
        self._seen: dict[Path, int] = {}

    def look(self) -> None:
        """Take over the files that have changed; one that is not there or cannot be read says nothing."""
        for path, take in self._files.items():
            try:
                changed = path.stat().st_mtime_ns
                if self._seen.get(path) != changed:
                    self._seen[path] = changed
                    take(json.loads(path.read_bytes()))
            except (OSError, ValueError, LookupError, TypeError, AttributeError):
                continue
