"""The slot of the esoteric factors: its interface and its registry entry. It is neutral: no source defines it.

Whoever has a definition writes a function of the interface and enters it in :data:`REGISTRY`; nothing reads a value
from the slot but through :func:`modifier`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dolphin.core.records import Floats, Ints
from dolphin.errors import DolphinError, nearest

#: Times of bars (T,) int64 ns to multipliers of the stress points (T,) float64 >= 0, 1 neutral; pure, rows <= i only.
Modifier = Callable[[Ints], Floats]


def neutral(ts: Ints) -> Floats:
    """1 at every bar."""
    return np.ones(len(ts))


REGISTRY: dict[str, Modifier] = {"neutral": neutral}


def modifier(name: str = "neutral") -> Modifier:
    """A registered modifier.

    Raises
    ------
    DolphinError
        If there is none of that name.
    """
    if name not in REGISTRY:
        raise DolphinError(f"no esoteric factor '{name}'", mend=nearest(name, REGISTRY))
    return REGISTRY[name]
