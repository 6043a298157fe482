"""What code of the workspace does to the process that runs it: names that it puts others in place of, and calls.

Taken before anything of the workspace is imported, and looked at when all runs are done. Of every module that is
loaded then, each function and class must still be the same object with the same code. Calls that no strategy needs
are refused at once, when they come straight from a file of the workspace's ``research`` folder: to change memory or
code from outside the language, to begin processes and connections, to write files.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from dolphin.gate.report import Check

#: Whose functions and classes are watched.
WATCHED = (
    "builtins",
    "dolphin",
    "hashlib",
    "json",
    "math",
    "numba",
    "numpy",
    "os",
    "polars",
    "statistics",
    "subprocess",
)

#: Audit events that are refused, by how they begin; files are refused where they are opened to be written.
REFUSED = (
    "ctypes.", "gc.get_", "os.exec", "os.fork", "os.posix_spawn", "os.remove", "os.rename", "os.system", "shutil.",
    "socket.connect", "subprocess.Popen", "sys.setprofile", "sys.settrace", "object.__setattr__",
)  # fmt: skip

NAME = "strategy code keeps to itself"
_STDLIB = sysconfig.get_paths()["stdlib"]
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """The process as it was.

    Parameters
    ----------
    research : Path
        The folder whose files are not trusted.
    """

    def __init__(self, research: Path) -> None:
        self._research = str(Path(research).resolve()) + os.sep
        self.refused: list[str] = []
        self._before = {name: _parts(module) for name, module in _modules()}
        sys.addaudithook(self._hear)

    def check(self) -> Check:
        """Whether all is as it was, and nothing was refused."""
        problem = next(iter(self.refused), None) or next(self._changed(), None)
        count = sum(len(parts) for parts in self._before.values())
        return Check(NAME, problem is None, problem or f"{count:,} functions and classes are what they were before it")

    def _changed(self) -> Iterator[str]:
        for name, parts in self._before.items():
            module = sys.modules.get(name)
            now = _parts(module) if module is not None else {}
            for what, before in parts.items():
                if now.get(what) != before:
                    yield f"{name}.{what} is another since code of the workspace was imported"

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not (event == "open" and _to_write(arguments)) and not event.startswith(REFUSED):
            return
        frame: Any = sys._getframe(1)
        while frame is not None and _of_library(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is not None and frame.f_code.co_filename.startswith(self._research):
            file = Path(frame.f_code.co_filename)
            line = f"{file.name}:{frame.f_lineno} calls for '{event}', which no strategy needs"
            self.refused.append(line)
            raise PermissionError(line)


def _to_write(arguments: tuple[Any, ...]) -> bool:
    """Whether an ``open`` is one to write."""
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(isinstance(flags, int) and flags & _WRITES)


def _of_library(file: str) -> bool:
    inside = file.startswith((_STDLIB, "<frozen"))
    return inside and "site-packages" not in file


def _modules() -> list[tuple[str, ModuleType]]:
    return [
        (name, module)
        for name, module in sorted(sys.modules.items())
        if name.partition(".")[0] in WATCHED and isinstance(module, ModuleType)
    ]


def _parts(module: ModuleType) -> dict[str, tuple[int, ...]]:
    """What names of a module are: the object, and the code of a function; of our classes their methods, too."""
    found: dict[str, tuple[int, ...]] = {}
    for name, value in list(vars(module).items()):
        if not callable(value):
            continue
        found[name] = _mark(value)
        if isinstance(value, type) and value.__module__ == module.__name__ and module.__name__.startswith("dolphin"):
            for inner, method in list(vars(value).items()):
                if callable(method) or isinstance(method, property | classmethod | staticmethod):
                    found[f"{name}.{inner}"] = _mark(method)
    return found


def _mark(value: Any) -> tuple[int, ...]:
    if isinstance(value, FunctionType):
        return id(value), id(value.__code__), id(value.__defaults__)
    return (id(value),)
