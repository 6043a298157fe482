"""Run a command in this process and kill it (SIGKILL) at a chosen moment: ``killed_backtest.py MOMENT ARGUMENTS``.

``registered``: right after the run was registered; ``writing``: while the run folder is being written;
``moved``: between the two renames that replace a run folder.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from dolphin.cli import main
from dolphin.study.trials.registry import Registry


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str) -> None:
    if moment == "registered":
        append = Registry.append_once

        def appended(self, trials):
            append(self, trials)
            die()

        Registry.append_once = appended
    elif moment == "writing":
        import dolphin.study.measure.run as module

        module.write_manifest = lambda folder: die()
    else:
        rename = Path.rename

        def renamed(self, target):
            rename(self, target)
            if Path(target).suffix == ".old":
                die()

        Path.rename = renamed


if __name__ == "__main__":
    arm(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
