"""What a session says of itself between two bars: how long things took, and what it decided last and why."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from dolphin.core.hooks import risk_at
from dolphin.core.records import CLOSE, POSTURES, REDUCE, Records
from dolphin.journal.showing import ACTIONS
from dolphin.live.session import Session
from dolphin.times import format_time

#: Values that percentiles are of.
KEPT = 1000

PERCENTILES = (50, 95, 99)


class Latencies:
    """The last durations by name, in ms: p50, p95, p99."""

    def __init__(self) -> None:
        self._held: dict[str, deque[float]] = {}

    def add(self, name: str, seconds: float) -> None:
        """One more."""
        self._held.setdefault(name, deque(maxlen=KEPT)).append(seconds * 1000.0)

    def summary(self) -> dict[str, dict[str, float]]:
        """By name: ``p50``, ``p95``, ``p99`` in ms, and of how many (``count``)."""
        found = {}
        for name, values in self._held.items():
            points = np.percentile(np.array(values), PERCENTILES)
            found[name] = {f"p{p}": float(v) for p, v in zip(PERCENTILES, points, strict=True)} | {"count": len(values)}
        return found


class Marks:
    """Latencies, and the last decision that wanted something.

    Parameters
    ----------
    symbols, features, reasons : sequence of str
        By column; of the strategy's columns; of its exits, by code.
    """

    def __init__(self, symbols: Sequence[str], features: Sequence[str], reasons: Sequence[str]) -> None:
        self.latencies = Latencies()
        self.last: dict[str, Any] | None = None
        self._symbols, self._features, self._reasons = tuple(symbols), tuple(features), tuple(reasons)
        self._row, self._sent = 0.0, dict[int, float]()

    def row_came(self) -> None:
        """A row is taken in hand."""
        self._row = time.perf_counter()

    def bar_closed(self) -> None:
        """Its bar is closed."""
        self.latencies.add("bar", time.perf_counter() - self._row)

    def sent(self, slot: int) -> None:
        """An order goes out."""
        now = time.perf_counter()
        self._sent[slot] = now
        self.latencies.add("scan_to_order", now - self._row)

    def filled(self, slot: int) -> None:
        """It was filled, or the first part of it."""
        begun = self._sent.pop(slot, None)
        if begun is not None:
            self.latencies.add("order_to_fill", time.perf_counter() - begun)

    def decided(self, session: Session, order: Records, stopped: str | None) -> None:
        """What is wanted, and why; ``stopped`` says why it did not go out."""
        bar, action = session.bar, int(order["action"])
        market = session.market
        self.last = {
            "bar": bar, "time": format_time(int(market.ts[bar])), "action": ACTIONS[action],
            "symbol": self._symbols[int(order["asset"])], "side": int(order["side"]), "quantity": float(order["qty"]),
            "why": self._why(session, order), "stopped": stopped,
        }  # fmt: skip

    def _why(self, session: Session, order: Records) -> str:
        code = int(order["reason"])
        if int(order["action"]) in (CLOSE, REDUCE) and 0 <= code < len(self._reasons):
            return self._reasons[code]
        bar, risk = session.bar, risk_at(session.state, session.market, session.bar)
        read = [
            f"{name} {value:.6g}" for name, value in zip(self._features, session.market.features[bar], strict=True)
        ]  # fmt: skip
        return ", ".join([*read, f"boost {float(risk['boost']):.4g}", POSTURES[int(risk["posture"])]])
