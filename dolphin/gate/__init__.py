"""Floors, evidence, and the freeze: what may become a champion, and how the pointer moves.

Names load on first use, so that moving a pointer does not wait for the engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dolphin.gate.candidate import Candidate, find_candidate
    from dolphin.gate.champions import Champion, open_champion
    from dolphin.gate.evaluation import evaluate
    from dolphin.gate.floors import DEFAULT, Floor, judge, read_floors
    from dolphin.gate.promotion import promote, rollback, runtime_problems, show, verify
    from dolphin.gate.report import Check, FloorResult, GateReport, write_junit

__all__ = [
    "DEFAULT",
    "Candidate",
    "Champion",
    "Check",
    "Floor",
    "FloorResult",
    "GateReport",
    "evaluate",
    "find_candidate",
    "judge",
    "open_champion",
    "promote",
    "read_floors",
    "rollback",
    "runtime_problems",
    "show",
    "verify",
    "write_junit",
]

_HOME = {
    "candidate": ("Candidate", "find_candidate"),
    "champions": ("Champion", "open_champion"),
    "evaluation": ("evaluate",),
    "floors": ("DEFAULT", "Floor", "judge", "read_floors"),
    "promotion": ("promote", "rollback", "runtime_problems", "show", "verify"),
    "report": ("Check", "FloorResult", "GateReport", "write_junit"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"dolphin.gate.{module}"), name)
    raise AttributeError(f"module 'dolphin.gate' has no attribute '{name}'")
