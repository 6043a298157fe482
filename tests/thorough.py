"""Many cases of one thing: the first ones are in the fast suite, more in the slow one, all when asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest


def rounds(thorough: int, usual: int) -> int:
    """How often, or at what step, something is tried: as ``usual``, or ``thorough`` with DOLPHIN_THOROUGH set."""
    return thorough if os.environ.get("DOLPHIN_THOROUGH") else usual


def thorough(cases: Iterable[Any], *, fast: int = 1) -> list[Any]:
    """The cases for ``parametrize``, all but the first ``fast`` marked slow; a tuple is one case."""
    return [
        case if k < fast else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for k, case in enumerate(cases)
    ]
