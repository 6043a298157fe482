"""The evidence made wrong in a process of its own, and the test that has to see it.

The sources stay as they are: a fault is put into a module while it is imported. Processes are forked, so that what
no fault touches is imported once.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from dolphin.selftest.fault import Fault

TESTS = Path(__file__).resolve().parents[1]


class Seen(NamedTuple):
    """What a test said: ``failed`` (it ran and did not hold), and the line that says why."""

    failed: bool
    sentence: str


class Wrong(SourceFileLoader):
    """Loads a module with the fault in it."""

    fault: Fault

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text(encoding="utf-8")
        return compile(self.fault.edited(source), self.path, "exec", dont_inherit=True)


class Finder(MetaPathFinder):
    """Puts the fault into its module."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.name = "dolphin." + fault.module.removesuffix(".py").replace("/", ".")

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec is not None and spec.origin is not None
        spec.loader = Wrong(fullname, spec.origin)
        spec.loader.fault = self.fault
        return spec


def warm() -> None:
    """Import what tests need and no fault is in."""
    import dolphin.parity.checks
    import dolphin.study.stress.monte_carlo
    import dolphin.study.sweep  # noqa: F401

    assert not any(name.startswith("dolphin.gate") for name in sys.modules)


def look(detector: str, fault: Fault | None) -> Seen:
    """Run one test in a process of its own, with the fault or without any."""
    with tempfile.TemporaryFile() as told:
        child = os.fork()
        if child == 0:
            code = 70
            with contextlib.suppress(BaseException):
                os.dup2(told.fileno(), 1)
                os.dup2(told.fileno(), 2)
                code = _run(detector, fault)
            os._exit(code)
        _, status = os.waitpid(child, 0)
        told.seek(0)
        text = told.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    lines = [line[1:].strip() for line in text.splitlines() if re.match(r"E\s+\S", line)]
    sentence = lines[0] if lines else (text.strip().splitlines() or ["no word"])[-1]
    if code not in (0, 1):
        return Seen(False, f"the test could not run (code {code}): {sentence}")
    return Seen(code == 1 and bool(lines), sentence)


def _run(detector: str, fault: Fault | None) -> int:
    import pytest

    if fault is not None:
        sys.meta_path.insert(0, Finder(fault))
    os.chdir(TESTS.parents[1])
    options = ["-q", "-x", "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:randomly", "--color=no"]
    code = int(pytest.main([*options, str(TESTS / detector)]))
    sys.stdout.flush()
    sys.stderr.flush()
    return code
