"""One of the two p-values that the evidence of an edge is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from dolphin.gate.evidence.shifting import finite

#: Fewer shifts than these cannot tell anything at a level of 5 %.
LEAST_SHIFTS = 19


@dataclass(frozen=True)
class Part:
    """How it was had, the value judged, those of the shifts, and a sentence."""

    p: float
    method: str
    words: str
    value: float = math.nan
    others: tuple[float, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Plain facts, with every shift's figure."""
        return {
            "p": self.p, "method": self.method, "words": self.words, "value": self.value,
            "under_shifts": finite(list(self.others)), **self.more,
        }  # fmt: skip


def luck(p: float) -> str:
    """What a p-value says, in words."""
    if p <= 0.05:
        return "more than luck finds"
    return "hardly what luck finds" if p <= 0.15 else "what luck finds"


def called(metric: str) -> str:
    """A metric's name as people say it."""
    return {"sharpe_365": "Sharpe ratio", "roi": "ROI"}.get(metric, metric.replace("_", " "))
