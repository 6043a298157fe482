"""The first decision of a strategy has a kernel compiled, which takes half a minute: another process does it.

Inside the app it would hold up every other answer. What the other process is, ``dolphin why`` at a bar of the run,
leaves the kernel on disk, where this process finds it; nothing else of it is kept.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from dolphin.core.compiling import on_disk
from dolphin.core.digest import STAGES
from dolphin.core.engine import NO_TRADES
from dolphin.core.kernels import step_bar
from dolphin.parity.sides import RunSide

#: Seconds until a process that was told to end is killed.
PATIENCE_S = 5.0


class Warming:
    """The processes that compile, one per strategy and shape of its records."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._begun: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
        self._ready: set[str] = set()

    def seconds(self, side: RunSide, bar: int) -> float | None:
        """None if the decisions of a run can be told at once; else for how long its kernel has been compiled.

        A process that ended has done its part, however it ended: what is wrong is said where the decision is told.

        Parameters
        ----------
        bar : int
            Any bar of the run but the first, if it has two.
        """
        config, _, _ = side.opened()
        key = f"{config.engine.digest} {config.params_record().dtype} {config.friction_record().dtype}"
        with self._lock:
            if key in self._ready:
                return None
            if key not in self._begun:
                if is_compiled(side):
                    self._ready.add(key)
                    return None
                self._begun[key] = self._begin(side, bar), time.monotonic()
            process, began = self._begun[key]
            if process.poll() is None:
                return time.monotonic() - began
            self._ready.add(key)
            return None

    def _begin(self, side: RunSide, bar: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "dolphin", "why", str(side.folder), "--bar", str(bar), "--json"]
        return subprocess.Popen(
            words, cwd=self._home, env={**os.environ, "DOLPHIN_HOME": str(self._home)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def close(self) -> None:
        """End what still compiles."""
        with self._lock:
            for process, _ in self._begun.values():
                if process.poll() is None:
                    process.terminate()
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(PATIENCE_S)
                        continue
                    process.kill()
                    process.wait()
            self._begun.clear()


def is_compiled(side: RunSide) -> bool:
    """Whether the kernel that takes a run's bars one by one is on disk, for exactly these records."""
    config, market, _ = side.opened()
    state = config.engine.new_state(market.price.shape[1], config.account.initial_capital)
    stages = np.zeros(len(STAGES), np.uint64)
    arguments = state, config.params_record(), config.friction_record(), market, 0, NO_TRADES, stages
    return on_disk(step_bar, arguments)
