"""How this room compiles: the options of :mod:`dolphin.core.jit`, a cache keyed by this room's sources too."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from dolphin.core.jit import kernel_digest, kernel_in, source_digest


@cache
def room_digest() -> str:
    """SHA-256 over the sources that can change a bit of a risk row."""
    own = source_digest(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(f"{kernel_digest()} {own}".encode()).hexdigest()


def kernel(*args: Any, **options: Any) -> Callable[..., Any]:
    """A compiled function of this room, kept on disk; it allocates nothing, as those of the core."""
    return kernel_in(room_digest())(*args, _nrt=False, **options)
