"""The step inside Nautilus: what a scan carries, what an order becomes, what comes back.

Nautilus takes a second to import, so names are looked up when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {"NautilusRun": "backtest", "Session": "session", "own_market": "rows", "run_backtest": "backtest"}

__all__ = ["NautilusRun", "Session", "own_market", "run_backtest"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
