"""Garbage is collected between bars, where nothing waits for it, and never while a bar is decided.

A collection of everything takes hundreds of milliseconds in a process with the libraries of a session, and Python
begins one whenever enough was allocated. So what is there when the session begins is left out for good, and the rest is
looked at after a bar is closed.
"""

from __future__ import annotations

import gc
from typing import Final

#: New objects above which the young are looked at, and looks at the young between two looks at all.
YOUNG: Final = 2_000
LOOKS: Final = 50


class Collector:
    """Takes the collection of garbage over from Python until :meth:`end`."""

    def __init__(self) -> None:
        self._looks = 0
        self._holds = False

    def begin(self) -> None:
        """What is there now is not looked at any more."""
        if gc.isenabled():
            gc.collect()
            gc.freeze()
            gc.disable()
            self._holds = True

    def leave_out(self) -> None:
        """Nor is what has come since, as far as anything holds it."""
        if self._holds:
            gc.collect()
            gc.freeze()

    def between(self) -> None:
        """Nothing is at hand: collect, if there is enough to make it worth while."""
        if self._holds and gc.get_count()[0] > YOUNG:
            self._looks += 1
            gc.collect(2 if self._looks % LOOKS == 0 else 1)

    def end(self) -> None:
        """Python collects again as it likes."""
        if self._holds:
            self._holds = False
            gc.unfreeze()
            gc.enable()
