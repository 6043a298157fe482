"""vectorbt, imported so that what it compiles is kept in a folder of its own."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba.core.config

from dolphin.core.jit import cache_folder

_config: Any = numba.core.config


@contextmanager
def muted() -> Iterator[None]:
    """vectorbt and the pandas that it stands on warn about each other's versions; we cannot mend it."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning, SyntaxWarning, UserWarning):
            warnings.simplefilter("ignore", category)
        yield


def vectorbt() -> Any:
    """The package ``vectorbt``.

    numba asks for its cache folder when a function is decorated. Imported as it is, vectorbt's kernels would go to the
    folder of whichever kernel of ours was decorated last, and be compiled anew after every edit and for every strategy.
    """
    before, _config.CACHE_DIR = _config.CACHE_DIR, str(cache_folder("vectorbt"))
    try:
        with muted():
            return importlib.import_module("vectorbt")
    finally:
        _config.CACHE_DIR = before
