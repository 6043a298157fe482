"""Many cases of one thing: the first ones are in the fast suite, all of them in CI."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def thorough(cases: Iterable[Any], *, fast: int = 1) -> list[Any]:
    """The cases for ``parametrize``, all but the first ``fast`` marked slow; a tuple is one case."""
    return [
        case if k < fast else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for k, case in enumerate(cases)
    ]
