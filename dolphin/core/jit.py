"""How this project compiles: no fast math, no SVML, a cache keyed by the sources.

numba's own cache does not notice an edit in a function of another module, so the folder it
writes to carries a hash of every kernel source. Import this module before any kernel.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# SVML's log and exp differ from machine to machine; nothing of ours may ever be lowered to it.
os.environ["NUMBA_DISABLE_INTEL_SVML"] = "1"

import numba
import numba.core.config
import numba.core.registry
from numba.extending import overload

#: numba's types know neither the private option nor the settings that are read from the environment.
_njit: Any = numba.njit
_config: Any = numba.core.config
_Dispatcher: Any = numba.core.registry.CPUDispatcher

if _config.USING_SVML:  # numba was imported before us
    raise ImportError(
        "numba is running with Intel's SVML, whose results differ from machine to machine; "
        "set NUMBA_DISABLE_INTEL_SVML=1, or import dolphin before numba",
        name=__name__,
    )

PACKAGE = Path(__file__).resolve().parent.parent

#: The rooms whose code computes: all that a kernel can reach of the framework is there.
KERNEL_ROOMS = ("core", "features")


def source_digest(paths: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of source files, in sorted order."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def kernel_sources() -> tuple[Path, ...]:
    """Every source file whose bytes can change a bit of a result (core and features)."""
    return tuple(sorted(p for room in KERNEL_ROOMS for p in (PACKAGE / room).glob("*.py")))


@functools.cache
def kernel_digest() -> str:
    """The digest of :func:`kernel_sources`."""
    return source_digest(kernel_sources())


def cache_folder(key: str) -> Path:
    """Where compiled kernels of this key live (under ``NUMBA_CACHE_DIR`` or the user's cache)."""
    return _cache_root() / key[:16]


@functools.cache
def _cache_root() -> Path:
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dolphin" / "numba"


def kernel_in(key: str) -> Callable[..., Callable[..., Any]]:
    """A decorator like :func:`kernel` whose compiled code lies in the cache folder of ``key``."""

    def decorate(*args: Any, **options: Any) -> Callable[..., Any]:
        assert not options.get("fastmath"), "fast math breaks bit-identity"
        _config.CACHE_DIR = str(cache_folder(key))  # read when the function is decorated
        return _njit(*args, error_model="numpy", cache=True, **options)

    return decorate


def kernel(*args: Any, **options: Any) -> Callable[..., Any]:
    """``njit`` with this project's options: numpy error model, on-disk cache, never fast math."""
    return kernel_in(kernel_digest())(*args, **options)


#: A function that only kernels call has no entry for Python, nor for C: those cost half of all compiling (measured).
_NO_ENTRY: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

#: How building blocks of kernels are compiled: always inlined, and without reference counts. Counting costs
#: 200 ns a bar where the step itself takes 10 (measured); kernels may therefore allocate nothing.
INLINE: Any = {"error_model": "numpy", "forceinline": True, "_nrt": False, **_NO_ENTRY}


class Block(_Dispatcher):  # type: ignore[misc]
    """A building block of kernels, compiled into each; called from Python, it is compiled once more by itself."""

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        super().__init__(py_func=function, locals={}, targetoptions={"nopython": True, "boundscheck": None} | options)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """What kernels get of these arguments."""
        return self._alone(*args, **named)

    @functools.cached_property
    def _alone(self) -> Callable[..., Any]:
        options = {key: value for key, value in self.targetoptions.items() if key not in (*_NO_ENTRY, "nopython")}
        return _njit(self.py_func, **options)


def inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """A building block of kernels (:data:`INLINE`)."""
    return Block(function, **INLINE)


def cold(function: Callable[..., Any]) -> Callable[..., Any]:
    """A building block that few bars reach: called, not inlined, so that what surrounds it stays small."""
    return Block(function, error_model="numpy", _nrt=False, **_NO_ENTRY)


def hook(stub: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate what gives ``stub`` its body for the types of its arguments (``numba.extending.overload``)."""
    decorator: Callable[..., Any] = overload(stub, jit_options=INLINE, strict=False)
    return decorator


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Like :func:`inline`, but an index outside an array raises IndexError: for checks, not for speed."""
    return Block(function, **INLINE | {"boundscheck": True})
