"""Files that no bar waits for: written in order by one thread, as the session handed them over."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

#: Pieces of work that may wait; with more the session waits, so that a slow disk does not fill the memory.
MOST = 4

#: Seconds after which the thread hands the interpreter back to a bar that wants it, and what Python would let it keep.
HANDS_BACK, USUALLY = 0.0002, sys.getswitchinterval()


class Background:
    """One thread that writes; what fails there is raised where the session looks next."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[Any]] = deque()

    def do(self, work: Callable[..., Any], *given: Any) -> None:
        """Have it done after what was handed over before.

        Raises
        ------
        Exception
            What earlier work raised.
        """
        self.look()
        while len(self._waiting) >= MOST:
            self._waiting.popleft().result()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "session-files")
            sys.setswitchinterval(HANDS_BACK)
        self._waiting.append(self._pool.submit(work, *given))

    def look(self) -> None:
        """Raise what work that is done has raised."""
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft().result()

    def finish(self) -> None:
        """Wait until all is done; the thread is gone."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()
            sys.setswitchinterval(USUALLY)
        while self._waiting:
            self._waiting.popleft().result()
