"""Restarts a process that died or hangs, waits longer each time, and gives up loudly."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin import ledger
from dolphin.errors import BadInput, DolphinError
from dolphin.times import format_time

#: Seconds between two looks at the process.
LOOK = 0.05


@dataclass(frozen=True)
class Policy:
    """When to start again and when to give up; times in seconds.

    Attributes
    ----------
    first, longest : float
        The wait before the first restart, doubled each time up to the longest.
    settled : float
        A process that lived so long is a new one: waits and counts begin anew.
    attempts : int
        Failures in a row, none of them settled, after which it gives up.
    heartbeat : Path, optional
        A file that the process touches; older than ``stale`` means that it hangs, and it is killed.
    stale : float
    grace : float
        From asking a process to end to killing it.
    """

    first: float = 1.0
    longest: float = 60.0
    settled: float = 600.0
    attempts: int = 6
    heartbeat: Path | None = None
    stale: float = 60.0
    grace: float = 20.0

    def __post_init__(self) -> None:
        if min(self.first, self.longest, self.settled, self.stale, self.grace) < 0 or self.attempts < 1:
            raise BadInput("a watchdog's times are 0 or more, its attempts 1 or more", where="service watch")

    def wait(self, failures: int) -> float:
        """Seconds before the restart after so many failures in a row."""
        return float(min(self.longest, self.first * 2.0 ** min(failures - 1, 30)))


class Watchdog:
    """Keeps one command running until it ends well, is asked to stop, or fails too often.

    Parameters
    ----------
    command : sequence of str
    policy : Policy
    events : Path, optional
        A file of JSON lines to which every start, end and decision is appended.
    on_give_up : sequence of str, optional
        A command that is run, with the last line in ``DOLPHIN_ALERT``, when it gives up.
    """

    def __init__(
        self,
        command: Sequence[str],
        policy: Policy | None = None,
        events: Path | None = None,
        on_give_up: Sequence[str] = (),
    ) -> None:
        if not command:
            raise BadInput("no command to watch", where="service watch", mend="dolphin service watch -- COMMAND ...")
        self.command, self.policy = list(command), policy or Policy()
        self.events, self.on_give_up = events, list(on_give_up)
        self.restarts = 0
        self._stop = threading.Event()

    def stop(self) -> None:
        """End the process and then the watch."""
        self._stop.set()

    def run(self) -> int:
        """Watch; the exit code: 0 it ended well, 130 it was asked to stop, 1 it failed too often.

        Raises
        ------
        DolphinError
            If the command cannot be started at all.
        """
        failures = 0
        while True:
            begun = time.monotonic()
            code, why = self._once()
            if self._stop.is_set():
                self._say("stopped", code=code)
                return 130
            if code == 0:
                self._say("ended", code=0)
                return 0
            lived = time.monotonic() - begun
            failures = 1 if lived >= self.policy.settled else failures + 1
            if failures >= self.policy.attempts:
                return self._give_up(failures, code, why)
            wait = self.policy.wait(failures)
            self._say("restart", code=code, why=why, lived=round(lived, 3), failures=failures, wait=wait)
            if self._stop.wait(wait):
                self._say("stopped", code=code)
                return 130
            self.restarts += 1

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the watch, and the process before it."""
        before = {}

        def asked(*_: Any) -> None:
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, asked)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _once(self) -> tuple[int, str]:
        """Run it once; its exit code (negative: the signal), and how it came to it."""
        begun = time.time()
        try:
            process = subprocess.Popen(self.command, start_new_session=True)
        except OSError as error:
            raise DolphinError(
                f"cannot start it: {error.strerror}", where=self.command[0], mend="check the command"
            ) from error
        self._say("start", pid=process.pid)
        try:
            while (code := process.poll()) is None:
                if self._stop.wait(LOOK):
                    return self._end(process), "asked to stop"
                if self._hangs(begun):
                    self._say("hangs", pid=process.pid, stale=self.policy.stale)
                    return self._end(process) or 1, "its heartbeat is old"
            return code, "killed" if code < 0 else "ended"
        except BaseException:
            self._end(process)
            raise

    def _hangs(self, begun: float) -> bool:
        if self.policy.heartbeat is None:
            return False
        try:
            beat = self.policy.heartbeat.stat().st_mtime
        except OSError:
            beat = begun
        return time.time() - max(beat, begun) > self.policy.stale

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        """Ask it to end, with all that it started; kill what is still there after the grace."""
        for number, patience in ((signal.SIGTERM, self.policy.grace), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(patience)
        raise AssertionError("a killed process waits")

    def _give_up(self, failures: int, code: int, why: str) -> int:
        line = f"gave up after {failures} failures in a row, the last with exit code {code} ({why}): {self.command[0]}"
        self._say("gave up", code=code, why=why, failures=failures)
        print(f"\adolphin: ALERT: {line}; nothing runs until somebody starts it again", file=sys.stderr, flush=True)
        if self.on_give_up:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(self.on_give_up, env={**os.environ, "DOLPHIN_ALERT": line}, timeout=60, check=False)
        return 1

    def _say(self, event: str, **more: Any) -> None:
        """An event: a line on stderr, and one in the file."""
        document = {"at": format_time(time.time_ns()), "event": event, **more, "command": self.command}
        words = " ".join(f"{key}={value}" for key, value in more.items() if value is not None)
        print(f"watchdog: {event} {words}".rstrip(), file=sys.stderr, flush=True)
        if self.events is not None:
            try:
                _, end = ledger.last_line(self.events)
                ledger.append(self.events, json.dumps(document).encode(), end)
            except OSError as error:  # a full disk is no reason to let the process lie
                print(f"watchdog: cannot write {self.events}: {error.strerror}", file=sys.stderr, flush=True)


def watch(
    command: Sequence[str],
    policy: Policy | None = None,
    events: Path | None = None,
    on_give_up: Sequence[str] = (),
    started: Callable[[Watchdog], None] | None = None,
) -> int:
    """Watch a command until it ends, with signals handled; see :class:`Watchdog`."""
    dog = Watchdog(command, policy, events, on_give_up)
    if started is not None:
        started(dog)
    with dog.stopped_by_signals():
        return dog.run()
