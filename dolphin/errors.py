"""What the user did wrong, in one line: what, where, how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class DolphinError(Exception):
    """A mistake in the input or the surroundings; the command prints it as one line and exits 2.

    Parameters
    ----------
    what : str
        What is wrong, with the offending value.
    where : str, optional
        File, key, symbol or bar that it concerns.
    mend : str, optional
        What the user can do about it.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str | None = None, mend: str | None = None) -> None:
        self.what, self.where, self.mend = what, where, mend
        line = f"{where}: {what}" if where else what
        super().__init__(f"{line}; {mend}" if mend else line)


class NotFound(DolphinError):
    """What was named does not exist: a study, a dataset or one of its versions, a file."""


class BadInput(DolphinError):
    """A value that cannot be: a parameter out of its range, a key nobody knows, a broken constraint."""


class Damaged(DolphinError):
    """What the package wrote is not as it was written: a torn file, a broken chain, another hash."""


class MissingFile(NotFound):
    """A file that a manifest lists is not there; the manifest itself is whole."""


class DamagedFile(Damaged):
    """A file is not the one that a manifest lists; the manifest itself is whole."""


class Busy(DolphinError):
    """Another process holds it; nothing was changed."""


class Interrupted(DolphinError):
    """Stopped by the user half-way (exit 130); the message says what stays and how to go on."""

    exit_code = 130


class Refused(DolphinError):
    """An honest no (floors breached, a promotion refused): exit 1. ``details`` has a line per reason."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, details: Iterable[str] = ()) -> None:
        super().__init__(what, where=where)
        self.details = tuple(details)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the closest known name, else the list of known names."""
    names = sorted(known)
    if not names:
        return "there is none yet"
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"


def nearest_beside(path: Path, pattern: str, otherwise: str) -> str:
    """Return ``did you mean 'x'?`` for the closest name that lies where ``path`` should, else ``otherwise``.

    Parameters
    ----------
    pattern : str
        What to look for in the folder: ``*.toml``, or ``*/run.json`` for folders that hold one.
    """
    try:
        found = [one.relative_to(path.parent).parts[0] for one in path.parent.glob(pattern)]
    except OSError:
        return otherwise
    close = difflib.get_close_matches(path.name, found, n=1, cutoff=0.5)
    return f"did you mean '{path.parent / close[0]}'?" if close else otherwise
