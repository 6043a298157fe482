"""What takes long to make is made by one of the test processes and read by all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dolphin.locks import hold


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that ``make(folder)`` filled once in this run of the tests, whichever process came first.

    Nobody writes into it: a test process takes a copy.
    """
    base = factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, whole = root / "once" / name, root / "once" / f"{name}.whole"
    with hold(root / "once" / f"{name}.lock"):
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a failed attempt left
            folder.mkdir(parents=True)
            make(folder)
            whole.touch()
    return folder
