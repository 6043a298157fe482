"""How the feeds are: components, latencies, calls, and alerts that are raised and cleared."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from dolphin.times import SECOND_NS, format_time

Status = Literal["healthy", "degraded", "critical"]
Severity = Literal["info", "warning", "critical"]
STATUSES: tuple[Status, ...] = ("healthy", "degraded", "critical")
#: Latencies that the quantiles are of.
KEPT = 2048
#: Values or messages that a score is of.
JUDGED = 100
#: Cleared alerts that are still shown.
SHOWN = 200


@dataclass
class Alert:
    """One thing that is, or was, wrong."""

    key: str
    severity: Severity
    component: str
    text: str
    since_ns: int
    last_ns: int
    times: int = 1
    cleared_ns: int | None = None

    def document(self) -> dict[str, Any]:
        """For JSON, times as text."""
        found = asdict(self)
        for name in ("since_ns", "last_ns", "cleared_ns"):
            value = found.pop(name)
            found[name.removesuffix("_ns")] = None if value is None else format_time(value)
        return found


@dataclass
class Component:
    """One part: when it last did what it is for, and what it counts."""

    name: str
    limit_ns: int
    last_ns: int | None = None
    counts: Counter[str] = field(default_factory=Counter)
    latencies: dict[str, deque[float]] = field(default_factory=dict)
    judged: dict[str, deque[bool]] = field(default_factory=dict)

    def judge(self, what: str, good: bool) -> None:
        """Whether a value or message passed what is asked of it before it is stored."""
        if what not in self.judged:
            self.judged[what] = deque(maxlen=JUDGED)
        self.judged[what].append(good)

    def scores(self) -> dict[str, float]:
        """By what was judged the share of the newest that passed."""
        return {what: round(sum(kept) / len(kept), 3) for what, kept in sorted(self.judged.items())}

    def took(self, what: str, milliseconds: float) -> None:
        """One latency."""
        if what not in self.latencies:
            self.latencies[what] = deque(maxlen=KEPT)
        self.latencies[what].append(milliseconds)

    def quantiles(self) -> dict[str, dict[str, float]]:
        """p50, p95, p99 in ms per kind of latency."""
        found = {}
        for what, values in self.latencies.items():
            p50, p95, p99 = np.quantile(np.fromiter(values, np.float64), (0.5, 0.95, 0.99))
            found[what] = {"p50": round(float(p50), 3), "p95": round(float(p95), 3), "p99": round(float(p99), 3)}
        return found


class Health:
    """The registry that every part of a running feed writes into.

    Parameters
    ----------
    clock : callable
        ns UTC.
    on_alert : callable, optional
        Gets every alert when it is raised and when it is cleared.
    """

    def __init__(
        self, clock: Callable[[], int] = time.time_ns, on_alert: Callable[[Alert], None] | None = None
    ) -> None:
        self._clock, self._on_alert = clock, on_alert
        self.started_ns = clock()
        self.components: dict[str, Component] = {}
        self.active: dict[str, Alert] = {}
        self.past: deque[Alert] = deque(maxlen=SHOWN)
        self.breakers: dict[str, Callable[[], str]] = {}

    def component(self, name: str, limit_s: float = 60.0) -> Component:
        """A part by its name; it is critical when it did nothing for longer than ``limit_s``."""
        return self.components.setdefault(name, Component(name, int(limit_s * SECOND_NS)))

    def alert(self, key: str, severity: Severity, component: str, text: str) -> None:
        """Raise an alert, or count it again where it stands."""
        now, found = self._clock(), self.active.get(key)
        if found is not None:
            found.last_ns, found.text, found.times = now, text, found.times + 1
            if found.severity == severity:
                return
            found.severity = severity
        else:
            found = self.active[key] = Alert(key, severity, component, text, now, now)
        if self._on_alert:
            self._on_alert(found)

    def clear(self, key: str) -> None:
        """What was wrong is not any more."""
        found = self.active.pop(key, None)
        if found is not None:
            found.cleared_ns = self._clock()
            self.past.append(found)
            if self._on_alert:
                self._on_alert(found)

    def fade(self, key: str, seconds: float) -> None:
        """Clear an alert that has not been raised again for so long."""
        found = self.active.get(key)
        if found is not None and self._clock() - found.last_ns > seconds * SECOND_NS:
            self.clear(key)

    def status_of(self, name: str) -> Status:
        """Critical: a critical alert, or nothing done for too long; degraded: any warning."""
        now, part = self._clock(), self.components[name]
        since = part.last_ns if part.last_ns is not None else self.started_ns
        own = [alert.severity for alert in self.active.values() if alert.component == name]
        if now - since > part.limit_ns or "critical" in own:
            return "critical"
        return "degraded" if "warning" in own else "healthy"

    def status(self) -> Status:
        """The worst of the parts."""
        found = [self.status_of(name) for name in self.components]
        return max(found, key=STATUSES.index, default="healthy")

    def document(self) -> dict[str, Any]:
        """Everything, for JSON."""
        now = self._clock()
        parts = {}
        for name, part in self.components.items():
            age = None if part.last_ns is None else round((now - part.last_ns) / SECOND_NS, 3)
            parts[name] = {
                "status": self.status_of(name),
                "age_s": age,
                "limit_s": part.limit_ns / SECOND_NS,
                "counts": dict(sorted(part.counts.items())),
                "latency_ms": part.quantiles(),
                "scores": part.scores(),
            }
        alerts = [*self.active.values(), *reversed(self.past)]
        return {
            "schema": 1,
            "timestamp": format_time(now),
            "started": format_time(self.started_ns),
            "status": self.status(),
            "components": parts,
            "sources": {name: state() for name, state in sorted(self.breakers.items())},
            "alerts": [alert.document() for alert in alerts],
        }
