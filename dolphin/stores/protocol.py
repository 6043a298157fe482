"""What every store can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from dolphin.stores.outcome import Outcome
from dolphin.stores.values import Raw, Value

#: Called with (key, value) of a change, or with (message) of a topic, in the store's own thread.
OnChange = Callable[[str, Value], None]
OnMessage = Callable[[dict[str, Any]], None]
#: A pure function from the value that is there (None: none) to the one that should be; None leaves it.
Change = Callable[[Value | None], Value | None]
#: Ends a subscription.
Unsubscribe = Callable[[], None]


class Reading(NamedTuple):
    """A value and its own age.

    ``age_ns`` counts from when the change reached us; of a value that was there before us, from the time that its
    writer stamped on it. What is read again after a lost connection keeps its age.
    """

    value: Value
    raw: Raw
    age_ns: int


class Health(NamedTuple):
    """How a store is.

    ``nodes`` members that answer (1 for an embedded store that can write, 0 for one that cannot); ``silent_ns``
    since it last answered; ``pending`` writes not yet acknowledged; ``errors`` so far, and the last one's text.
    """

    nodes: int
    silent_ns: int
    pending: int
    errors: int
    last_error: str | None


class Store(Protocol):
    """State that other processes can see. No call blocks for more than 50 ms, whatever the backend does."""

    url: str

    def get(self, place: str, key: str) -> Reading | None:
        """The newest value of a map's key that has reached us; own writes at once."""
        ...

    def fetch(self, place: str, key: str) -> Reading | None:
        """The same, asked of the backend itself; what :meth:`get` says where it does not answer in time."""
        ...

    def put(self, place: str, key: str, value: Value) -> Outcome:
        """Write a value; a newer one of the same key takes its place while it is on its way."""
        ...

    def swap(self, place: str, key: str, seen: Reading | None, value: Value) -> Outcome:
        """Compare and set: write only if what is there is still what was ``seen`` (None: nothing)."""
        ...

    def update(self, place: str, key: str, change: Change) -> Outcome:
        """The atomic record: read, change, compare and set, again until nobody came between."""
        ...

    def subscribe(self, place: str, callback: OnChange) -> Unsubscribe:
        """Be told of every change of a map."""
        ...

    def publish(self, topic: str, message: dict[str, Any]) -> Outcome:
        """Tell all who listen now."""
        ...

    def listen(self, topic: str, callback: OnMessage) -> Unsubscribe:
        """Be told what is published."""
        ...

    def health(self) -> Health:
        """How it is."""
        ...

    def settle(self, seconds: float) -> bool:
        """Wait until everything handed over has been acknowledged; False if it has not in this time."""
        ...

    def close(self) -> None:
        """Hand over what is left, within two seconds, and end."""
        ...
