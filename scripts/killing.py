"""What the scripts that kill sessions share: lives of their own, and the places at which they die."""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.journal import SessionJournal, replay
from dolphin.journal.held import hold
from dolphin.journal.reader import Journal
from dolphin.trade import snapshot
from dolphin.trade.folder import StateFolder

#: Places behind what a session's journal writes, by the method that writes it; an intent where something is wished.
JOURNALED = {"row": "opened", "intent": "decided", "event": "event", "closed": "closed"}

#: ``PR_SET_PDEATHSIG`` of Linux.
_PARENT_DEATH_SIGNAL = 1


def die() -> None:
    """As a power cut of the process."""
    os.kill(os.getpid(), signal.SIGKILL)


class Death:
    """This process dies at the ``after``-th time that it comes to a place.

    A place is behind or before a method, in the middle of a snapshot, or any moment. Its name is added to a file, if
    both are given.
    """

    def __init__(self, after: int, place: str = "", told: Path | None = None) -> None:
        self._left, self._place, self._told = after, place, told

    def here(self) -> None:
        """It is at the place."""
        self._left -= 1
        if self._left <= 0:
            self.die()

    def die(self) -> None:
        """Now."""
        if self._told is not None:
            with self._told.open("a") as stream:
                stream.write(f"{self._place}\n")
        die()

    def behind(self, owner: Any, name: str, when: Callable[..., Any] = lambda *a, **k: True) -> None:
        """When a method has returned."""
        inner = getattr(owner, name)

        def outer(*args: Any, **kwargs: Any) -> Any:
            out = inner(*args, **kwargs)
            if when(*args, **kwargs):
                self.here()
            return out

        setattr(owner, name, outer)

    def before(self, owner: Any, name: str, when: Callable[..., Any] = lambda *a, **k: True) -> None:
        """When a method is called."""
        inner = getattr(owner, name)

        def outer(*args: Any, **kwargs: Any) -> Any:
            if when(*args, **kwargs):
                self.here()
            return inner(*args, **kwargs)

        setattr(owner, name, outer)

    def in_journal(self, place: str) -> None:
        """When one of :data:`JOURNALED` is written."""
        wished: Callable[..., Any] = lambda journal, state, bar: state.intents["action"].any()  # noqa: E731
        more = (wished,) if place == "intent" else ()
        self.behind(SessionJournal, JOURNALED[place], *more)

    def in_snapshot(self) -> None:
        """When half of a snapshot is written."""
        write = np.savez

        def torn(stream: Any, **arrays: Any) -> None:
            write(stream, **arrays)
            stream.truncate(stream.tell() // 2)
            stream.flush()
            self.here()
            stream.seek(0)
            write(stream, **arrays)

        snapshot.np.savez = torn  # type: ignore[assignment]

    def within(self, seconds: float, rng: random.Random) -> None:
        """At a moment that is drawn, wherever it is then."""
        wait = rng.uniform(0.0, seconds)
        threading.Thread(target=lambda: (time.sleep(wait), self.die()), daemon=True).start()


def die_with_parent() -> None:
    """Have the system kill this process when the one that made it ends, however it does (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def begin(work: Callable[[], Any]) -> int:
    """Do it in a process of its own; its number.

    The parent does nothing but import: libraries that have started threads do not survive a fork.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            die_with_parent()
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def ended(child: int, *, wait: bool = True) -> int | None:
    """How it ended: its exit code, or minus the signal; None while it runs, without ``wait``."""
    number, status = os.waitpid(child, 0 if wait else os.WNOHANG)
    if not number:
        return None
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def in_child(work: Callable[[], Any]) -> int:
    """Do it in a process of its own and wait; its exit code, or minus the signal."""
    code = ended(begin(work))
    assert code is not None
    return code


def told(work: Callable[[], dict[str, Any]], path: Path) -> dict[str, Any]:
    """What a function finds, in a process of its own, through a file."""
    if in_child(lambda: path.write_text(json.dumps(work()))) != 0:
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def read(state: Path) -> dict[str, Any]:
    """What a session's journals say it did, and whether they decide themselves again."""
    rows: list[tuple[int, int]] = []
    orders: list[tuple[Any, ...]] = []
    fills: list[tuple[Any, ...]] = []
    again = True
    for path in StateFolder(state).sessions_journals():
        journal = Journal(path)
        held = hold(journal, journal.index())
        rows += zip(held.bars.tolist(), held.digests.tolist(), strict=True)
        intents = zip(held.intents, held.intent_slots, held.intent_bars, strict=True)
        orders += [(int(b), int(s), *o.item()) for o, s, b in intents]
        fills += [tuple(b.item()) for b in held.bookings.records]
        again = again and replay(journal).equal
    status = json.loads((state / "status.json").read_text())
    days = [json.loads(path.read_text()) for path in sorted(StateFolder(state).days.glob("*.json"))]
    return {
        "days": days, "rows": rows, "orders": orders, "fills": fills, "again": again,
        "end": [status[name] for name in ("positions", "capital", "equity", "trades", "digest")],
    }  # fmt: skip
