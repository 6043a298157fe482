"""RISK section 3 once more in plain Python: Rm5 of an account, and the posture that follows.

The exponential is a number that both engines are given, as the logarithms of prices are (ENGINE section 6).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from dolphin.core.exponential import exp_array

DAYS = 30
DAY = 86_400_000_000_000  # ns
APEX, STALKER, TURTLE, HIBERNATE = range(4)


def stress(drawdown: float) -> float:
    """g(d)."""
    slope = 50.0 if drawdown < 0.12 else 25.0
    return 1.0 / (1.0 + float(exp_array(np.array([slope * (drawdown - 0.12)]))[0]))


def rm5(drawdown: float) -> float:
    """min(1, g(d) / g(0.05))."""
    return 1.0 if drawdown <= 0.05 else min(1.0, stress(drawdown) / stress(0.05))


def asked(rm: float) -> int:
    """The posture that one Rm asks for."""
    for posture, least in ((APEX, 0.85), (STALKER, 0.40), (TURTLE, 0.10)):
        if rm >= least - 1e-12:
            return posture
    return HIBERNATE


class Hysteresis:
    """Postures check by check: all that were asked for are kept, and the rules read them backwards."""

    def __init__(self) -> None:
        self.posture, self.before = APEX, APEX
        self.tripped = ""  # "invariants" or "risk"
        self.lately: list[int] = []  # asked for since the posture last changed, or was last asked for itself

    def check(self, rm1: float, others: float) -> int:
        """One check; the posture in force."""
        if not rm1 * others > 0.0:
            self._trip("invariants" if others > 0.0 else "risk")
        elif self.tripped == "invariants":
            self.lately.append(asked(rm1 * others))
            if len(self.lately) == 2:
                self._change(max(self.before, min(self.lately)))
                self.tripped = ""
        else:
            self.tripped = ""
            self._drift(asked(rm1 * others))
        return self.posture

    def _trip(self, why: str) -> None:
        if not self.tripped:
            self.before, self.tripped = self.posture, why
        elif why == "risk":
            self.tripped = why
        self._change(HIBERNATE)

    def _drift(self, wanted: int) -> None:
        if wanted == self.posture or (self.lately and (self.lately[-1] > self.posture) != (wanted > self.posture)):
            self.lately = []
        if wanted == self.posture:
            return
        self.lately.append(wanted)
        if wanted > self.posture and len(self.lately) == 2:
            self._change(min(self.lately))
        elif wanted < self.posture and len(self.lately) == 5:
            self._change(max(self.lately))

    def _change(self, posture: int) -> None:
        self.posture, self.lately = posture, []


class Stack:
    """What is in force, bar by bar, for one account."""

    def __init__(self) -> None:
        self.hysteresis = Hysteresis()
        self.highs: dict[int, float] = {}  # by UTC day

    def weigh(self, row: Any, ts: int, equity: float) -> SimpleNamespace:
        """The risk inputs ``row`` of a bar, with Rm5 of the equity before it."""
        day = ts // DAY
        self.highs[day] = max(self.highs.get(day, -np.inf), equity)
        self.highs = {of: high for of, high in self.highs.items() if of > day - DAYS}
        peak = max(self.highs.values())
        others = float(row.others) * rm5((peak - equity) / peak if peak > 0.0 else 1.0)
        rm1, posture = float(row.rm1), self.hysteresis.check(float(row.rm1), others)
        if row.imposed > 0 and rm1 > 0.0:
            posture = int(row.imposed) - 1
        return SimpleNamespace(
            boost=float(row.boost), beta=float(row.beta), quality=float(row.quality), rm=rm1 * others, posture=posture,
        )  # fmt: skip
