"""What a session says of itself between two bars: how long things took, and what it decided last and why."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dolphin.core.hooks import risk_at
from dolphin.core.records import CLOSE, ORDER, POSTURES, REDUCE, Floats, Records
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
        self._last: tuple[Any, ...] | None = None
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
        """What is wanted, and why; ``stopped`` says why it did not go out. It is put into words by who asks."""
        bar, market = session.bar, session.market
        self._last = (
            bar,
            int(market.ts[bar]),
            order.item(),
            market.features[bar].copy(),
            risk_at(session.state, market, bar).copy(),
            stopped,
        )

    @property
    def last(self) -> dict[str, Any] | None:
        """The last decision that wanted something, in plain JSON types."""
        if self._last is None:
            return None
        bar, ts, values, features, risk, stopped = self._last
        order = dict(zip(ORDER.names or (), values, strict=True))
        return {
            "bar": bar, "time": format_time(ts), "action": ACTIONS[int(order["action"])],
            "symbol": self._symbols[int(order["asset"])], "side": int(order["side"]), "quantity": float(order["qty"]),
            "why": self._why(order, features, risk), "stopped": stopped,
        }  # fmt: skip

    def _why(self, order: Mapping[str, Any], features: Floats, risk: Records) -> str:
        code = int(order["reason"])
        if int(order["action"]) in (CLOSE, REDUCE) and 0 <= code < len(self._reasons):
            return self._reasons[code]
        read = [f"{name} {value:.6g}" for name, value in zip(self._features, features, strict=True)]
        return ", ".join([*read, f"boost {float(risk['boost']):.4g}", POSTURES[int(risk["posture"])]])
