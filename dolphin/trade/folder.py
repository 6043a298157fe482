"""A session's state folder: what it is, its journals by day, snapshots, orders of the operator, summaries."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError, NotFound
from dolphin.files import read_json, write_json
from dolphin.times import format_day, return_day


@dataclass(frozen=True)
class StateFolder:
    """Paths of one session; the folder can be copied to another machine and gone on with there."""

    root: Path

    @property
    def about(self) -> Path:
        """What the session is (JSON)."""
        return self.root / "session.json"

    @property
    def lock(self) -> Path:
        """Held while a process trades it."""
        return self.root / ".lock"

    @property
    def journals(self) -> Path:
        """A journal per UTC day."""
        return self.root / "journal"

    @property
    def snapshots(self) -> Path:
        """A file per snapshot, named by its bar."""
        return self.root / "snapshots"

    @property
    def days(self) -> Path:
        """A summary per UTC day (JSON)."""
        return self.root / "days"

    @property
    def control(self) -> Path:
        """What the operator wants: any program may write it (JSON: halted, flatten, reason)."""
        return self.root / "control.json"

    @property
    def audit(self) -> Path:
        """What the operator did: hash-chained lines."""
        return self.root / "audit.jsonl"

    @property
    def status(self) -> Path:
        """How it is, every few seconds (JSON)."""
        return self.root / "status.json"

    def journal_of(self, day: int) -> Path:
        """The journal of a day (days since 1970)."""
        return self.journals / f"{format_day(day)}.arrow"

    def newest_journal(self) -> Path | None:
        """The journal of the last day that has one."""
        return max(self.journals.glob("*.arrow"), default=None)

    def sessions_journals(self) -> list[Path]:
        """All journals, oldest first."""
        return sorted(self.journals.glob("*.arrow"))


def session_day(ts: int) -> int:
    """The day that a bar closing at ``ts`` belongs to; one that closes at midnight ends its day."""
    return int(return_day(ts))


def find_state(path: Path) -> StateFolder:
    """The state folder at a path.

    Raises
    ------
    NotFound
        If it holds no session.
    """
    folder = StateFolder(Path(path))
    if not folder.about.is_file():
        raise NotFound("holds no session", where=str(path), mend="name the folder of a session: --state FOLDER")
    return folder


def claim(folder: StateFolder, about: dict[str, Any]) -> dict[str, Any]:
    """Begin a session here, or go on with the one that is here; what it is.

    Raises
    ------
    DolphinError
        If another session is here: what differs is named.
    """
    if folder.about.is_file():
        keep_private(folder)  # one that was copied, or is of an earlier version
        held = read_json(folder.about)
        differ = [
            f"{key} is {_short(about.get(key))}, there {_short(held.get(key))}"
            for key in ("account", "config_hash", "engine_digest", "symbols", "spacing_ns", "feed", "first_ts", "risk")
            if held.get(key) != about.get(key)
        ]
        if differ:
            what, mend = f"holds another session: {'; '.join(differ)}", "name another --state folder"
            raise DolphinError(what, where=str(folder.root), mend=mend)
        return dict(held)
    if folder.root.is_dir() and any(path.name != folder.lock.name for path in folder.root.iterdir()):
        mend = "name a new --state folder"
        raise DolphinError("holds other files than a session", where=str(folder.root), mend=mend)
    for path in (folder.journals, folder.snapshots, folder.days):
        path.mkdir(parents=True, exist_ok=True)
    keep_private(folder)
    write_json(folder.about, about)
    return about


def keep_private(folder: StateFolder) -> None:
    """Its owner alone may look into a session's folder; what is written there from now on is his alone, too.

    Raises
    ------
    DolphinError
        If it is somebody else's.
    """
    try:
        for path in (folder.root, *folder.root.rglob("*")):
            with suppress(FileNotFoundError):  # an operator's command has just renamed it
                path.chmod(0o700 if path.is_dir() else 0o600)
    except OSError as error:
        raise DolphinError(
            f"cannot be kept private: {error.strerror}", where=str(folder.root), mend="copy it, or own it"
        ) from None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
