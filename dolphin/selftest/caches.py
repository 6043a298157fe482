"""That an edited source is compiled anew, and changes the engine's digest: on a copy of the rooms that compute."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import dolphin
from dolphin.selftest.detectors import Finding

PACKAGE = Path(dolphin.__file__).parent

#: A module beside the package whose kernel calls a function of another source, and what it gives.
KERNEL = """
import numpy as np
from dolphin.core.grid import lots_of
from dolphin.core.jit import kernel
from dolphin.core.records import INSTRUMENT


@kernel(_nrt=False)
def lots(quantity, instruments):
    return lots_of(quantity, instruments[0])


def run():
    one = np.zeros(1, INSTRUMENT)
    one["lot"] = 0.5
    return lots(10.3, one)
"""
OLD, NEW = "return np.floor(quantity / instrument.lot + 0.5)", "return np.floor(quantity / instrument.lot + 7.5)"


def _copied(folder: Path) -> Path:
    """The package's rooms that a kernel needs, and the module, in a folder."""
    for name in ("core", "features"):
        shutil.copytree(PACKAGE / name, folder / "dolphin" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in PACKAGE.glob("*.py"):
        shutil.copy2(file, folder / "dolphin")
    (folder / "outside.py").write_text(KERNEL)
    return folder / "dolphin" / "core" / "grid.py"


def _ask(folder: Path, code: str) -> str:
    """What a new process prints, on this copy."""
    more = {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "numba"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | more, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def edits_are_compiled() -> Finding | None:
    """A function that a kernel of another source calls is edited: the next process gives the new number."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grid, code = _copied(folder), "import outside; print(outside.run())"
        before = _ask(folder, code)
        grid.write_text(grid.read_text().replace(OLD, NEW))
        after = _ask(folder, code)
    if float(after) == float(before):
        return Finding("code", None, f"an edited source gives {after} as before: compiled code of the old one ran")
    return None


def edits_change_the_digest() -> Finding | None:
    """A function, and a constant, that the step reaches change its digest; a comment does not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grid, code = _copied(folder), "from dolphin.core.fingerprint import step_digest; print(step_digest())"
        source, before = grid.read_text(), _ask(folder, code)
        for what, text in (
            ("function", source.replace(OLD, NEW)),
            ("constant", source.replace("HAIR = 1e-9", "HAIR = 1e-8")),
        ):
            grid.write_text(text)
            if _ask(folder, code) == before:
                return Finding("code", None, f"a {what} of the step was edited and the engine's digest is as before")
    return None
