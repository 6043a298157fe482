"""What a session read, wanted and got, bar by bar, in a file that survives its writer; and the session again from it.

``JournalWriter`` and ``SessionJournal`` write, ``Journal`` reads, ``replay`` decides every bar again (rung 4). Names
are looked up when they are first used: who reads a journal needs no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dolphin.journal.reader import Journal, is_journal
    from dolphin.journal.replaying import Replayed, replay
    from dolphin.journal.session import SessionJournal
    from dolphin.journal.writer import JournalWriter

_HOME = {
    "reader": ("Journal", "is_journal"),
    "replaying": ("Replayed", "replay"),
    "session": ("SessionJournal",),
    "writer": ("JournalWriter",),
}

__all__ = ["Journal", "JournalWriter", "Replayed", "SessionJournal", "is_journal", "replay"]


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"dolphin.journal.{module}"), name)
    raise AttributeError(f"module 'dolphin.journal' has no attribute '{name}'")
