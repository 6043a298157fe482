"""What a session read, wanted and got, bar by bar, in a file that survives its writer; and the session again from it.

``JournalWriter`` and ``SessionJournal`` write, ``Journal`` reads, ``replay`` decides every bar again (rung 4).
"""

from __future__ import annotations

from dolphin.journal.reader import Journal, is_journal
from dolphin.journal.replaying import Replayed, replay
from dolphin.journal.session import SessionJournal
from dolphin.journal.writer import JournalWriter

__all__ = ["Journal", "JournalWriter", "Replayed", "SessionJournal", "is_journal", "replay"]
