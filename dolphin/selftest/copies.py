"""A copy of the package's sources to be made wrong, and processes that run it.

The copy stays at one path and keeps the times of the files: so what numba compiled of it stays good until a source is
edited, and an edited one is never met by compiled code of another.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dolphin
from dolphin.errors import DolphinError
from dolphin.files import read_json, sha256_bytes
from dolphin.selftest.detectors import DETECTORS
from dolphin.selftest.fault import Fault

PACKAGE = Path(dolphin.__file__).parent

#: What no detector's answer depends on, the detectors themselves aside: this room, the verbs, the pages.
ASIDE = ("selftest", "cli", "report")

#: No detector takes longer, compiling included.
MOST_SECONDS = 1_800


def sources(package: Path = PACKAGE) -> list[Path]:
    """The package's sources in order, from its folder."""
    return sorted(path.relative_to(package) for path in package.rglob("*.py"))


def package_digest() -> str:
    """SHA-256 of the sources that every result depends on."""
    kept = [path for path in sources() if not path.as_posix().startswith(ASIDE)]
    return sha256_bytes(b"".join(path.as_posix().encode() + b"\0" + (PACKAGE / path).read_bytes() for path in kept))


def detector_digest(name: str) -> str:
    """SHA-256 of the modules of this room that a detector is made of."""
    room, todo, found = (
        PACKAGE / "selftest",
        [getattr(DETECTORS[name], "module", "detectors"), "battery"],
        dict[str, bytes](),
    )
    while todo:
        module = todo.pop()
        path = room / f"{module}.py"
        if module not in found and path.is_file():
            found[module] = path.read_bytes()
            todo += re.findall(r"dolphin\.selftest\.(\w+)", path.read_text(encoding="utf-8"))
    return sha256_bytes(b"".join(module.encode() + b"\0" + found[module] for module in sorted(found)))


class Copy:
    """The package once more in ``folder``, with a cache of compiled code of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "source" / "dolphin"
        self.compiled = folder / "compiled"
        self.restore()

    def restore(self) -> None:
        """Make every file what it is in the package."""
        wanted = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        for path in wanted:
            copy = self.package / path.relative_to(PACKAGE)
            if not copy.is_file() or copy.read_bytes() != path.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, copy)
        for copy in [path for path in self.package.rglob("*") if path.is_file()]:
            if PACKAGE / copy.relative_to(self.package) not in wanted:
                copy.unlink()

    @contextmanager
    def made_wrong(self, fault: Fault) -> Iterator[None]:
        """The fault is in the copy within the block; what was compiled for it goes with it."""
        before = {path.name for path in self.compiled.glob("*")}
        fault.apply(self.package)
        try:
            yield
        finally:
            self.restore()
            for path in self.compiled.glob("*"):
                if path.name not in before:
                    shutil.rmtree(path, ignore_errors=True)

    def detect(self, detectors: Sequence[str], *, every: bool = False) -> list[dict[str, Any]]:
        """What detectors see in a process of its own (:mod:`dolphin.selftest.battery`).

        Raises
        ------
        DolphinError
            If the process ends without an answer.
        """
        out = self.folder / "seen.json"
        out.unlink(missing_ok=True)
        more = {
            "PYTHONPATH": str(self.package.parent),
            "NUMBA_CACHE_DIR": str(self.compiled),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_NUM_THREADS": "1",
        }
        names = [*(["--all"] if every else []), *detectors]
        done = subprocess.run(
            [sys.executable, "-m", "dolphin.selftest.battery", str(out), *names],
            cwd=self.folder, env=os.environ | more, capture_output=True, text=True, timeout=MOST_SECONDS, check=False,
        )  # fmt: skip
        if not out.is_file():
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            return [{"detector": names[-1], "seconds": 0.0, "stage": "error", "bar": None, "sentence": f"died: {last}"}]
        seen: list[dict[str, Any]] = read_json(out)
        if not seen:
            raise DolphinError("no detector was named", where=str(self.folder))
        return seen
