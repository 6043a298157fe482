"""A process that can read libraries and one folder, and nothing else: Linux's landlock, and Python's audit events.

Landlock (Linux 5.13) needs no rights and holds for every language: compiled code and readers written in Rust open
files without Python's knowing. Threads that run already are not held by it, so it comes before numpy and polars.
"""

from __future__ import annotations

import ctypes
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

#: Audit events that no decision needs, whoever raises them.
REFUSED = (
    "gc.get_", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn", "socket.bind",
    "socket.connect", "subprocess.Popen", "sys.setprofile", "sys.settrace",
)  # fmt: skip

#: What the loader, numba and the random numbers of a library read.
SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache",
          "/etc/localtime", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/dev/null",
          "/dev/urandom")  # fmt: skip

PACKAGE = Path(__file__).resolve().parents[1]

# Of linux/landlock.h: numbers of the calls, and rights by version of the interface.
_CREATE, _ADD, _RESTRICT, _NO_NEW_PRIVILEGES = 444, 445, 446, 38
_EXECUTE, _WRITE, _READ, _LIST = 1, 2, 4, 8
_FILES = {1: 13, 2: 14, 3: 15, 5: 16}
_NETWORK = 3
_OF_FILES = _EXECUTE | _WRITE | _READ


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def confine(folder: Path) -> bool:
    """Keep this process, for good, to libraries, the framework and ``folder``; whether the system does it, too."""
    held = sys.platform == "linux" and _landlock(folder)
    _listen(folder)
    return held


def close_everything() -> None:
    """No file, pipe or connection can be opened any more, from whatever language."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _libraries() -> Iterator[str]:
    yield from {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, str(PACKAGE)}


def _landlock(folder: Path) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    every = (1 << max(count for since, count in _FILES.items() if since <= version)) - 1
    asked = _Ruleset(every, _NETWORK if version >= 4 else 0, 0)
    size = 16 if version >= 4 else 8
    rules = libc.syscall(_CREATE, ctypes.byref(asked), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if rules < 0:
        return False
    reading = [(path, _EXECUTE | _READ | _LIST) for path in (*_libraries(), *SYSTEM)]
    # Python's finder lists the folder that the package lies in, which may be a workspace.
    for path, rights in (*reading, (str(PACKAGE.parent), _LIST), (str(folder), every)):
        if Path(path).exists():
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                beneath = _Beneath(rights if Path(path).is_dir() else rights & _OF_FILES, handle)
                if libc.syscall(_ADD, rules, 1, ctypes.byref(beneath), ctypes.c_uint32(0)):
                    return False
            finally:
                os.close(handle)
    kept = libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0 and libc.syscall(_RESTRICT, rules, ctypes.c_uint32(0)) == 0
    os.close(rules)
    return kept


def _listen(folder: Path) -> None:
    allowed = tuple(os.path.realpath(path) for path in (*_libraries(), *SYSTEM, str(folder)))

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not any(path == one or path.startswith(one + os.sep) for one in allowed):
                raise PermissionError(f"opens {path}, which no decision needs")
        elif event.startswith(REFUSED) or (event == "resource.setrlimit" and _closed()):
            raise PermissionError(f"calls for '{event}', which no decision needs")

    sys.addaudithook(hear)


def _closed() -> bool:
    return resource is not None and resource.getrlimit(resource.RLIMIT_NOFILE) == (0, 0)
