"""External factors while they happen: one poller for all indicators that have a provider.

Failed indicators are None and an alert, never an exception. What is older than its limit is None too; the last good
value stays in the record with its age.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dolphin.feeds.client import Client, Failed
from dolphin.feeds.declared import DECLARED, Choice, fresh_for
from dolphin.feeds.health import Health, Severity
from dolphin.feeds.parsers import Answer, Unreadable
from dolphin.times import SECOND_NS, format_time

#: How far a provider's clock may be before ours; a value of a later time is refused.
AHEAD_NS = 2 * SECOND_NS


class Value(NamedTuple):
    """One good answer: of which instrument, about when, public when (by the lag rule), received when; ns UTC."""

    name: str
    value: float
    basis: str
    reference_ns: int
    public_ns: int
    received_ns: int

    @property
    def known_ns(self) -> int:
        """When it counts from: public, and here."""
        return max(self.public_ns, self.received_ns)


class Poller:
    """Asks for what is due, and holds the last good values.

    Parameters
    ----------
    keep : callable, optional
        Gets every new value once.
    local : callable, optional
        ``local(now_ns)``: values that are made of our own streams, by name, None where not known yet.
    clock : callable
        ns UTC.
    names : iterable of str, optional
        Which indicators; all by default.
    """

    def __init__(
        self,
        client: Client,
        health: Health,
        *,
        keep: Callable[[Value], None] | None = None,
        local: Callable[[int], Mapping[str, float | None]] | None = None,
        clock: Callable[[], int] = time.time_ns,
        names: Iterable[str] | None = None,
    ) -> None:
        self._client, self._health, self._keep, self._local, self._clock = client, health, keep, local, clock
        self.names = tuple(names or DECLARED)
        self.held: dict[str, Value] = {}
        self.coming: dict[str, Value] = {}
        self._due = dict.fromkeys(self.names, 0)
        least = int(client.settings.seconds("least_poll") * SECOND_NS)
        self._every = {name: max(least, DECLARED[name].every_ns) for name in self.names}
        self._part = health.component("exf", limit_s=120.0)

    async def cycle(self, *, everything: bool = False) -> int:
        """Ask for all indicators that are due (or for all), side by side; returns how many have a new value."""
        now = self._clock()
        due = [name for name in self.names if everything or self._due[name] <= now]
        for name in due:
            self._due[name] = now + self._every[name]
        asked: dict[tuple[Any, ...], asyncio.Task[bytes]] = {}
        local = self._local(now) if self._local and any(not DECLARED[name].choices for name in due) else {}
        found = await asyncio.gather(*(self._one(name, now, asked, local) for name in due))
        self._part.last_ns = self._clock()
        self._part.counts["cycles"] += 1
        self._judge()
        return sum(found)

    async def _one(
        self, name: str, now: int, asked: dict[tuple[Any, ...], asyncio.Task[bytes]], local: Mapping[str, float | None]
    ) -> bool:
        choices, why = DECLARED[name].choices, "not known yet: its own stream is too young"
        if not choices:
            value = local.get(name)
            answer = None if value is None else Answer(value, now)
            new = self._judged(name, DECLARED[name].basis, answer, now) if answer else why
            return self._said(name, new)
        for choice in choices if self._client.settings.fallbacks else choices[:1]:
            try:
                body = await self._shared(choice, now, asked)
                answer = choice.parse(body, now)
            except Failed as failure:
                why = f"{choice.source}: {failure}"
                continue
            except Unreadable as failure:
                why = f"{choice.source} answers what it does not publish ({failure})"
                self._client.wrong(choice.source, why)
                continue
            if answer is None:
                why = f"{choice.source} has no value"
                continue
            new = self._judged(name, choice.basis, answer, self._clock())
            if isinstance(new, bool):
                return self._said(name, new)
            why = new
        return self._said(name, why)

    async def _shared(self, choice: Choice, now: int, asked: dict[tuple[Any, ...], asyncio.Task[bytes]]) -> bytes:
        """One request for all indicators of a cycle that need the same answer."""
        query = choice.query(now)
        key = (choice.source, choice.path, *sorted(query.items()))
        if key not in asked:
            get = self._client.get(choice.source, choice.path, query, weight=choice.weight)
            asked[key] = asyncio.create_task(get)
        else:
            self._part.counts["answers shared"] += 1
        return await asked[key]

    def _said(self, name: str, new: bool | str) -> bool:
        """Raise or clear the alert of an indicator."""
        if isinstance(new, str):
            self._part.counts["failed"] += 1
            severity: Severity = "warning" if DECLARED[name].choices else "info"
            self._health.alert(f"exf:{name}", severity, "exf", f"{name}: {new}")
            return False
        self._health.clear(f"exf:{name}")
        return new

    def _judged(self, name: str, basis: str, answer: Answer, received: int) -> bool | str:
        """:meth:`_take`, and its word counted in the indicator's score."""
        new = self._take(name, basis, answer, received)
        self._part.judge(name, isinstance(new, bool))
        return new

    def _take(self, name: str, basis: str, answer: Answer, received: int) -> bool | str:
        """Hold an answer if it is good: True if it is new, False if it is held already, else why not."""
        declared, value = DECLARED[name], answer.value
        if not (math.isfinite(value) and declared.low <= value <= declared.high):
            self._part.counts["implausible"] += 1
            return f"{value:.6g} is not between {declared.low:g} and {declared.high:g} ({basis})"
        if answer.reference_ns > received + AHEAD_NS:
            self._part.counts["of the future"] += 1
            return f"is about {format_time(answer.reference_ns)}, which is to come ({basis})"
        public = int(declared.lag.available(np.array([answer.reference_ns]))[0])
        new = Value(name, value, basis, answer.reference_ns, public, received)
        last = self.coming.get(name) or self.held.get(name)
        if received - public > fresh_for(name):
            self._part.counts["stale"] += 1
            return f"the newest is of {format_time(answer.reference_ns)}, too old ({basis})"
        if last is not None and last.basis == basis and new.reference_ns <= last.reference_ns:
            if new.reference_ns < last.reference_ns:
                self._part.counts["older than the last"] += 1
            return False
        self._watch_basis(name, basis)
        (self.coming if new.public_ns > received else self.held)[name] = new
        self._part.took("publication to here", (received - public) / 1e6)
        if self._keep:
            self._keep(new)
        return True

    def _watch_basis(self, name: str, basis: str) -> None:
        own = DECLARED[name].basis
        if basis == own:
            self._health.clear(f"basis:{name}")
        else:
            text = f"{name} is of {basis} now, not of {own}: recorded as a series of its own"
            self._health.alert(f"basis:{name}", "warning", "exf", text)

    def _judge(self) -> None:
        """One alert where most of what is wanted is not there."""
        known = sum(entry["value"] is not None for entry in self.latest().values())
        if known == 0:
            self._health.alert("exf:none", "critical", "exf", "no external factor is known")
        else:
            self._health.clear("exf:none")

    def latest(self) -> dict[str, dict[str, Any]]:
        """Per indicator: value (None if unknown or too old), last good value, its age in s, instrument, times."""
        now = self._clock()
        found: dict[str, dict[str, Any]] = {}
        for name in self.names:
            coming = self.coming.get(name)
            if coming is not None and coming.public_ns <= now:
                self.held[name] = self.coming.pop(name)
            held = self.held.get(name)
            if held is None:
                found[name] = {"value": None, "last": None, "age_s": None, "state": "missing", "basis": None}
                continue
            age = now - held.public_ns
            fresh = age <= fresh_for(name)
            found[name] = {
                "value": held.value if fresh else None,
                "last": held.value,
                "age_s": round(age / SECOND_NS, 3),
                "state": "fresh" if fresh else "stale",
                "basis": held.basis,
                "reference": format_time(held.reference_ns),
                "public": format_time(held.public_ns),
                "received": format_time(held.received_ns),
            }
        return found

    def document(self) -> list[dict[str, Any]]:
        """What is held and what is coming, for :meth:`restore`."""
        return [value._asdict() for value in (*self.held.values(), *self.coming.values())]

    def restore(self, document: list[dict[str, Any]]) -> None:
        """Go on from what an earlier poller held."""
        now = self._clock()
        for entry in document:
            value = Value(**entry)
            if value.name in self.names:
                (self.coming if value.public_ns > now else self.held)[value.name] = value

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until told to stop."""
        while not stop.is_set():
            await self.cycle()
            wait = (min(self._due.values()) - self._clock()) / SECOND_NS
            try:
                async with asyncio.timeout(min(5.0, max(0.05, wait))):
                    await stop.wait()
            except TimeoutError:
                continue
