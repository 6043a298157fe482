"""Why a strategy decided what it did at one bar: its own source, evaluated condition by condition."""

from __future__ import annotations

from dolphin.parity.why.asking import why

__all__ = ["why"]
