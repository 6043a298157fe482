"""What every store must do: one suite for both backends, and for one of one's own.

>>> from dolphin.stores.conformance import conform  # doctest: +SKIP
>>> assert all(rule.passed for rule in conform(one, other))  # doctest: +SKIP
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from dolphin.errors import DolphinError
from dolphin.stores.lease import Lease
from dolphin.stores.names import LATEST, SAFETY, book_place
from dolphin.stores.protocol import Store
from dolphin.stores.values import Value

#: Seconds that anything may take before it counts as never: generous, because machines are busy.
DEADLINE = 20.0


class Rule(NamedTuple):
    """One rule: whether it held, and if not, how it was broken."""

    name: str
    passed: bool
    detail: str


def conform(one: Store, other: Store) -> list[Rule]:
    """Try every rule on two handles of one store (for an embedded one: twice the same)."""
    found = []
    for rule in RULES:
        try:
            rule(one, other)
            found.append(Rule(rule.__name__, True, (rule.__doc__ or "").strip()))
        except Exception as error:
            found.append(Rule(rule.__name__, False, f"{type(error).__name__}: {error}"))
    return found


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """What the condition gives once it is true.

    Raises
    ------
    AssertionError
        If it never is.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError(f"never: {what}")


def _hold(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def _value(store: Store, place: str, key: str) -> Any:
    reading = store.get(place, key)
    return None if reading is None else reading.value


def _new(name: str) -> str:
    return f"{name}_{uuid.uuid4().hex[:8]}"


def reads_what_it_wrote(one: Store, other: Store) -> None:
    """A value can be read at once by its writer, soon by others, with schema and time."""
    key = _new("value")
    _hold(one.get(SAFETY, key) is None, "a key nobody wrote has a value")
    outcome = one.put(SAFETY, key, {"x": 1.5, "name": "ä"})
    mine = one.get(SAFETY, key)
    _hold(mine is not None and isinstance(mine.value, dict) and mine.value["x"] == 1.5, "own write not there at once")
    _hold(outcome.wait(DEADLINE) is True, "never acknowledged")
    value = until(lambda: _value(other, SAFETY, key), "the other sees it")
    _hold(value["x"] == 1.5 and value["name"] == "ä", f"the other sees {value}")
    _hold(value["schema"] == 1 and value["timestamp"].endswith("Z"), f"no schema or UTC time in {value}")
    one.put(SAFETY, key, {"x": 2})
    until(lambda: (_value(other, SAFETY, key) or {}).get("x") == 2, "the other sees the newer value")
    fetched = other.fetch(SAFETY, key)
    _hold(fetched is not None and isinstance(fetched.value, dict) and fetched.value["x"] == 2, "fetch sees another")


def carries_bytes(one: Store, other: Store) -> None:
    """Bytes come back as they went."""
    key, data = _new("bytes"), bytes(range(256)) * 400
    one.put(SAFETY, key, data)
    _hold(until(lambda: _value(other, SAFETY, key), "bytes arrive") == data, "other bytes came")


def ages(one: Store, other: Store) -> None:
    """A value's age grows from when it came, and begins anew with the next one."""
    key = _new("age")
    one.put(SAFETY, key, {"x": 1})
    until(lambda: _value(other, SAFETY, key), "the value")
    until(lambda: (found := other.get(SAFETY, key)) and found.age_ns > 100_000_000, "it grows older")
    begun = time.monotonic_ns()
    one.put(SAFETY, key, {"x": 2})
    until(lambda: _value(other, SAFETY, key)["x"] == 2, "the next one")
    found = other.get(SAFETY, key)
    _hold(found is not None and found.age_ns <= time.monotonic_ns() - begun, "older than its writing")


def refuses_what_it_cannot_carry(one: Store, other: Store) -> None:
    """Not-a-number and what is no document are refused in one line, and nothing is written."""
    key = _new("bad")
    for bad in ({"x": float("nan")}, {"x": object()}, [1], None):
        try:
            one.put(SAFETY, key, bad)  # type: ignore[arg-type]
        except DolphinError:
            continue
        raise AssertionError(f"{bad} was taken")
    _hold(one.get(SAFETY, key) is None, "something was written")


def swaps_what_was_seen(one: Store, other: Store) -> None:
    """Compare and set: only over what was seen, and over nothing only where there is nothing."""
    key = _new("swap")
    _hold(one.swap(SAFETY, key, None, {"x": 1}).wait(DEADLINE) is True, "not set over nothing")
    _hold(other.swap(SAFETY, key, None, {"x": 9}).wait(DEADLINE) is False, "set over something as over nothing")
    seen = until(lambda: other.get(SAFETY, key), "the value")
    _hold(other.swap(SAFETY, key, seen, {"x": 2}).wait(DEADLINE) is True, "not set over what was seen")
    _hold(one.swap(SAFETY, key, seen, {"x": 9}).wait(DEADLINE) is False, "set over what is there no more")
    until(lambda: (_value(one, SAFETY, key) or {}).get("x") == 2, "one sees what other set")


def one_of_many_wins(one: Store, other: Store) -> None:
    """Of several that swap the same at once, one wins."""
    key = _new("race")
    one.put(SAFETY, key, {"x": 0}).wait(DEADLINE)
    until(lambda: _value(other, SAFETY, key), "the value")
    handles = [(store, store.get(SAFETY, key)) for store in (one, other) * 4]
    outcomes = [store.swap(SAFETY, key, seen, {"x": k + 1}) for k, (store, seen) in enumerate(handles)]
    wins = [outcome.wait(DEADLINE) for outcome in outcomes].count(True)
    _hold(wins == 1, f"{wins} won")


def counts_atomically(one: Store, other: Store) -> None:
    """The atomic record: no change of several writers is lost."""
    key = _new("count")

    def more(value: Value | None) -> Value:
        return {"n": (value["n"] if isinstance(value, dict) else 0) + 1}

    outcomes = [store.update(SAFETY, key, more) for store in (one, other) * 20]
    _hold(all(outcome.wait(DEADLINE) for outcome in outcomes), f"a change failed: {outcomes}")
    until(lambda: (_value(one, SAFETY, key) or {}).get("n") == 40, "forty changes")


def tells_of_changes(one: Store, other: Store) -> None:
    """A subscriber hears every map's newest change until he leaves, also beside one who fails."""
    place, book = book_place("BTCUSDT")
    key = _new(book)
    heard: list[Any] = []

    def fails(_: str, __: Value) -> None:
        raise ValueError("a subscriber that fails, of the conformance suite")

    ends = [other.subscribe(place, fails), other.subscribe(place, lambda k, v: heard.append((k, v)))]
    _hold(other.settle(DEADLINE), "never settled")
    one.put(place, key, {"imbalance": 0.5})
    until(lambda: any(k == key and v["imbalance"] == 0.5 for k, v in heard), "the change is heard")
    for end in ends:
        end()
    before, last = len(heard), _new("last")
    one.put(place, last, {"x": 1})
    until(lambda: _value(other, place, last), "the value after leaving")
    _hold(len(heard) == before, "heard after leaving")


def tells_messages(one: Store, other: Store) -> None:
    """Messages of a topic arrive in order."""
    topic = _new("dolphin.test")
    heard: list[int] = []
    end = other.listen(topic, lambda message: heard.append(message["n"]))
    _hold(other.settle(DEADLINE), "never settled")
    for n in range(20):
        one.publish(topic, {"n": n})
    until(lambda: len(heard) == 20, "twenty messages")
    end()
    _hold(heard == list(range(20)), f"in this order: {heard}")


def locks_for_one(one: Store, other: Store) -> None:
    """A lease has one owner, is taken over when he is gone, and tokens only grow."""
    name = _new("lease")
    first, second = Lease(one, name, "first", 60.0), Lease(other, name, "second", 60.0)
    _hold(first.take(DEADLINE) and first.held and first.token == 1, "the first did not get it")
    until(lambda: second.holder() == "first", "the second sees who holds it")
    _hold(not second.take(DEADLINE) and not second.held, "two hold it")
    _hold(first.take(DEADLINE) and first.token == 1, "not renewed")
    _hold(first.release(DEADLINE) and not first.held, "not let go")
    until(lambda: second.take(DEADLINE), "the second gets it")
    _hold(second.token == 2 and not first.take(DEADLINE), f"token {second.token}")
    brief = Lease(one, _new("brief"), "gone", 0.3)
    heir = Lease(other, brief.name, "heir", 60.0)
    _hold(brief.take(DEADLINE), "not taken")
    until(lambda: heir.take(DEADLINE), "the heir takes over")
    _hold(heir.token == 2 and not brief.take(DEADLINE) and not brief.held, "both hold it")


def never_waits(one: Store, other: Store) -> None:
    """No call waits for the backend, however much is written."""
    done = threading.Event()

    def many() -> None:
        for n in range(500):
            one.put(SAFETY, f"many_{n % 50}", {"n": n})
            one.get(SAFETY, LATEST)
        done.set()

    threading.Thread(target=many, daemon=True).start()
    _hold(done.wait(DEADLINE), "the writer hangs")
    _hold(one.settle(DEADLINE), "never settled")
    until(lambda: (_value(other, SAFETY, "many_49") or {}).get("n") == 499, "the last one arrives")
    _hold(one.health().nodes >= 1 and one.health().pending == 0, f"{one.health()}")


RULES: tuple[Callable[[Store, Store], None], ...] = (
    reads_what_it_wrote,
    carries_bytes,
    ages,
    refuses_what_it_cannot_carry,
    swaps_what_was_seen,
    one_of_many_wins,
    counts_atomically,
    tells_of_changes,
    tells_messages,
    locks_for_one,
    never_waits,
)
