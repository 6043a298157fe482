"""The store in a Hazelcast cluster: a dict to read, a queue to write, one thread that waits so that no caller does.

A member that hangs, dies or comes back empty costs callers nothing: they read the last values with their ages. On
every new connection to a member all maps are read again, and what we wrote last and is not there is written again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from hazelcast.future import Future

from dolphin.errors import DolphinError
from dolphin.stores.client import Client, as_sent, connect, received
from dolphin.stores.hub import Hub
from dolphin.stores.names import MAPS, SYSTEM_HEALTH
from dolphin.stores.outcome import PATIENCE, Outcome
from dolphin.stores.protocol import Change, Health, OnChange, OnMessage, Reading, Unsubscribe
from dolphin.stores.values import Raw, Value, decode, encode

#: Seconds that a reading waits for the cluster before it is what the view says: half of what any call may take.
FETCH = PATIENCE / 2
#: Writes on their way at once, requests that may wait, and attempts of an atomic change.
FLIGHT, WAITING, ATTEMPTS = 256, 1000, 64
#: Own writes of a key whose telling back is known for what it is.
ECHOES = 8
#: Seconds between signs of life, and after a failure.
BEAT, PAUSE = 1.0, 0.2
#: Seconds after a new connection at which listeners are taken to be registered with its member.
HEARS = 0.5

Place = tuple[str, str]


class Cluster(Hub):
    """A connection to a cluster; it is made in the background, and made again whenever it is lost.

    Parameters
    ----------
    members : list of str
        ``host:port`` of members to begin with.
    cluster : str
        The cluster's name.
    """

    def __init__(self, members: list[str], cluster: str) -> None:
        super().__init__(f"hazelcast://{','.join(members)}/{cluster}")
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._puts: dict[Place, tuple[Raw, list[Outcome]]] = {}
        self._flying: dict[Place, tuple[Raw, list[Outcome]]] = {}
        self._own: dict[Place, Raw] = {}
        self._echoes: dict[Place, deque[int]] = {}
        self._jobs: deque[tuple[Callable[[], bool], Outcome]] = deque()
        self._working = False
        self._mutex = threading.Lock()  # of puts and own; held for a few assignments only
        self._maps: dict[str, Any] = {}
        self._wanted_maps = list(MAPS)
        self._wanted_topics: list[str] = []
        self._topics: dict[str, Any] = {}
        self._connected = self._resync = False
        self._known: frozenset[int] = frozenset()
        self._again: float | None = None
        self._synced = threading.Event()
        self._last_answer = time.monotonic_ns()
        self._next_beat = 0.0
        self._client: Client = connect(members, cluster, self._state_changed)
        self._worker = threading.Thread(target=self._work, name="store-works", daemon=True)
        self._worker.start()

    # What callers do: nothing here waits longer than PATIENCE.

    def get(self, place: str, key: str) -> Reading | None:
        """See :class:`~dolphin.stores.protocol.Store`."""
        self._want(self._wanted_maps, place)
        return super().get(place, key)

    def fetch(self, place: str, key: str) -> Reading | None:
        """See :class:`~dolphin.stores.protocol.Store`; feature maps answer from the client's near cache."""
        asked = self._maps.get(place)
        if asked is not None and self._connected:
            done = Outcome()
            try:
                future = asked.get(key)
                future.add_done_callback(lambda _: done.settle(True))
                if done.wait(FETCH) and future.is_success() and future.result() is not None:
                    self._arrived(place, key, future.result(), found=True)
            except Exception as error:
                self._note(error)
        return self.get(place, key)

    def put(self, place: str, key: str, value: Value) -> Outcome:
        """See :class:`~dolphin.stores.protocol.Store`; True once a member has it."""
        self._check_open()
        raw, outcome = encode(value, f"{place} {key}"), Outcome()
        self._want(self._wanted_maps, place)
        with self._mutex:
            _, before = self._puts.pop((place, key), (raw, []))
            self._puts[place, key] = raw, [*before, outcome]
            self._remember(place, key, raw)
        self._wake.set()
        return outcome

    def swap(self, place: str, key: str, seen: Reading | None, value: Value) -> Outcome:
        """See :class:`~dolphin.stores.protocol.Store`."""
        raw = encode(value, f"{place} {key}")
        return self._ask(lambda: self._swapped(place, key, None if seen is None else seen.raw, raw))

    def update(self, place: str, key: str, change: Change) -> Outcome:
        """See :class:`~dolphin.stores.protocol.Store`."""
        return self._ask(lambda: self._updated(place, key, change))

    def publish(self, topic: str, message: dict[str, Any]) -> Outcome:
        """See :class:`~dolphin.stores.protocol.Store`."""
        raw = encode(message, topic)
        self._want(self._wanted_topics, topic)
        return self._ask(lambda: self._published(topic, raw))

    def subscribe(self, place: str, callback: OnChange) -> Unsubscribe:
        """See :class:`~dolphin.stores.protocol.Store`."""
        self._want(self._wanted_maps, place)
        return super().subscribe(place, callback)

    def listen(self, topic: str, callback: OnMessage) -> Unsubscribe:
        """See :class:`~dolphin.stores.protocol.Store`; it begins a moment later: see :meth:`settle`."""
        leave = super().listen(topic, callback)
        self._want(self._wanted_topics, topic)
        return leave

    def health(self) -> Health:
        """See :class:`~dolphin.stores.protocol.Store`."""
        pending = len(self._puts) + len(self._flying) + len(self._jobs)
        nodes = self._client.nodes() if self._connected else 0
        return Health(nodes, time.monotonic_ns() - self._last_answer, pending, self.errors, self.last_error)

    def settle(self, seconds: float) -> bool:
        """See :class:`~dolphin.stores.protocol.Store`."""
        self._wake.set()
        with self._idle:
            return self._idle.wait_for(self._nothing_left, seconds)

    def wait_synced(self, seconds: float) -> bool:
        """Wait for the first reading of all maps."""
        return self._synced.wait(seconds)

    def close(self) -> None:
        """See :class:`~dolphin.stores.protocol.Store`."""
        if self.closed:
            return
        self.settle(2.0)
        self.closed = True
        self._wake.set()
        self._worker.join(2.0)
        ending = threading.Thread(target=self._client.shutdown, daemon=True)
        ending.start()
        ending.join(2.0)
        self._end_telling()

    def _ask(self, job: Callable[[], bool]) -> Outcome:
        self._check_open()
        outcome = Outcome()
        if len(self._jobs) >= WAITING:
            outcome.settle(False, "too many requests wait for the store")
            self._note(outcome.error)
            return outcome
        self._jobs.append((job, outcome))
        self._wake.set()
        return outcome

    def _want(self, table: list[str], name: str) -> None:
        if name not in table:
            table.append(name)
            self._wake.set()

    def _nothing_left(self) -> bool:
        wanted = len(self._maps) == len(self._wanted_maps) and len(self._topics) == len(self._wanted_topics)
        to_read = self._resync or self._again is not None
        return wanted and not (self._working or to_read or self._puts or self._flying or self._jobs)

    # What the client's own threads do: assignments, nothing that waits.

    def _state_changed(self, state: str) -> None:
        if state == "CONNECTED":
            self._connected = self._resync = True
            self._wake.set()
        elif state in ("DISCONNECTED", "SHUTDOWN"):
            self._connected = False

    def _arrived(self, place: str, key: str, value: Any, *, found: bool = False) -> None:
        """A value has come from the cluster; one of ours that is on its way is newer."""
        raw = received(value)
        if raw is None:
            self._note(f"{place} {key}: neither text nor bytes")
            return
        with self._mutex:
            if (place, key) in self._puts or (place, key) in self._flying:
                return
            if self._own.get((place, key), raw) != raw:
                if hash(raw) in self._echoes[place, key]:
                    return  # an older one of ours, told late
                del self._own[place, key]  # another's word is the last one now
            self._take(place, key, raw, found=found)

    def _remember(self, place: str, key: str, raw: Raw) -> None:
        """This is our last word."""
        self._own[place, key] = raw
        self._echoes.setdefault((place, key), deque(maxlen=ECHOES)).append(hash(raw))
        self._take(place, key, raw)

    # What the worker does: everything that may wait.

    def _work(self) -> None:
        while not self.closed:
            self._wake.wait(BEAT / 2)
            self._wake.clear()
            if not self._connected:
                continue
            self._working = True
            try:
                self._turn()
            except Exception as error:
                self._note(error)
                time.sleep(PAUSE)
                self._wake.set()
            finally:
                self._working = False
                with self._idle:
                    self._idle.notify_all()
        for _, outcome in self._jobs:
            outcome.settle(False, "the store was closed")

    def _turn(self) -> None:
        self._watch()
        self._meet()
        if self._resync:
            self._resync = False
            try:
                self._read_again()
            except BaseException:
                self._resync = True
                raise
        while self._puts:
            self._fly()
        while self._jobs:
            job, outcome = self._jobs.popleft()
            try:
                outcome.settle(job())
            except Exception as error:
                self._note(error)
                outcome.settle(False, f"unknown: {self.last_error}")
            self._last_answer = time.monotonic_ns()
        if time.monotonic() >= self._next_beat:
            self._maps[SYSTEM_HEALTH].size().result()
            self._last_answer = time.monotonic_ns()
            self._next_beat = time.monotonic() + BEAT

    def _meet(self) -> None:
        """A member is heard only from some time after the connection to it on: what changed before that is read."""
        there, now = self._client.connections(), time.monotonic()
        if not there <= self._known:
            self._resync, self._again = True, now + HEARS
        elif self._again is not None and now >= self._again:
            self._resync, self._again = True, None
        self._known = there

    def _watch(self) -> None:
        """Listen to the maps and topics that were asked for and are not listened to yet."""
        for place in self._wanted_maps[len(self._maps) :]:
            found = self._client.map(place)

            def came(event: Any, place: str = place) -> None:
                self._arrived(place, event.key, event.value)

            found.add_entry_listener(include_value=True, added_func=came, updated_func=came).result()
            self._maps[place] = found
            self._resync = True
        for name in self._wanted_topics[len(self._topics) :]:
            topic = self._client.topic(name)

            def heard(message: Any, name: str = name) -> None:
                raw = received(message.message)
                if raw is not None:
                    self._heard(name, raw)

            topic.add_listener(heard).result()
            self._topics[name] = topic

    def _read_again(self) -> None:
        """What changed while we were away; what we wrote last and is there no more goes out again."""
        for place, asked in list(self._maps.items()):
            there = self._entries(asked)
            for key, value in there.items():
                self._arrived(place, key, value, found=True)
            with self._mutex:
                for (of, key), raw in self._own.items():
                    if of == place and key not in there:
                        self._puts.setdefault((of, key), (raw, []))
        self._last_answer = time.monotonic_ns()
        self._synced.set()

    def _entries(self, asked: Any) -> dict[str, Any]:
        """What lies in a map; what another program wrote and the client cannot read is left out."""
        try:
            return dict(asked.entry_set().result())
        except Exception as error:
            self._note(error)
        there = {}
        for key in asked.key_set().result():
            try:
                there[key] = asked.get(key).result()
            except Exception:
                self._note(f"{asked.name} {key}: cannot be read")
        return there

    def _fly(self) -> None:
        """Send what waits, side by side; what was not acknowledged waits again, unless there is a newer one."""
        with self._mutex:
            places = list(self._puts)[:FLIGHT]
            self._flying = {place: self._puts.pop(place) for place in places if place[0] in self._maps}
        sent: list[tuple[Place, Future]] = []
        failed: Exception | None = None
        for place, (raw, _) in self._flying.items():
            sent.append((place, self._maps[place[0]].set(place[1], as_sent(raw))))
        for place, future in sent:
            try:
                future.result()
                self._last_answer = time.monotonic_ns()
                for outcome in self._flying.pop(place)[1]:
                    outcome.settle(True)
            except Exception as error:
                failed = error
                self._return(place)
        if failed is not None:
            raise failed

    def _return(self, place: Place) -> None:
        with self._mutex:
            raw, outcomes = self._flying.pop(place)
            newer, waiting = self._puts.get(place, (raw, []))
            self._puts[place] = newer, [*outcomes, *waiting]

    def _map(self, place: str) -> Any:
        self._want(self._wanted_maps, place)
        self._watch()
        return self._maps[place]

    def _swapped(self, place: str, key: str, seen: Raw | None, raw: Raw) -> bool:
        asked = self._map(place)
        if seen is None:
            there = received(asked.put_if_absent(key, as_sent(raw)).result())
            done = there is None
        else:
            done = asked.replace_if_same(key, as_sent(seen), as_sent(raw)).result()
            there = None if done else received(asked.get(key).result())
        if done:
            with self._mutex:
                self._remember(place, key, raw)
        elif there is not None:
            if there == raw:  # an attempt whose answer was lost
                return True
            self._arrived(place, key, there, found=True)
        return bool(done)

    def _updated(self, place: str, key: str, change: Change) -> bool:
        asked = self._map(place)
        for _ in range(ATTEMPTS):
            there = received(asked.get(key).result())
            value = change(None if there is None else decode(there, f"{place} {key}"))
            if value is None or self._swapped(place, key, there, encode(value, f"{place} {key}")):
                return True
        raise DolphinError(f"changed {ATTEMPTS} times while it was being changed", where=f"{place} {key}")

    def _published(self, topic: str, raw: Raw) -> bool:
        self._watch()
        self._topics[topic].publish(as_sent(raw)).result()
        return True
