"""The faults, by where they are made."""

from __future__ import annotations

from dolphin.selftest.faults.around import AROUND
from dolphin.selftest.faults.drawdown import DRAWDOWN
from dolphin.selftest.faults.engine import ENGINE
from dolphin.selftest.faults.orders import ORDERS
from dolphin.selftest.faults.scanner import SCANNER
from dolphin.selftest.faults.strategy import STRATEGY

#: All of them, those that need no compiling first.
FAULTS = (*AROUND, *SCANNER, *STRATEGY, *ENGINE, *DRAWDOWN, *ORDERS)

__all__ = ["FAULTS"]
