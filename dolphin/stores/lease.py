"""A lock with an owner: a record that its holder renews, taken over when it has not changed for its whole lease.

No clock of another machine is read: whoever waits measures on its own clock how long the record has stood still.
Each taking has a larger token than the one before, so that what an old holder still writes can be told.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from dolphin.stores.names import LOCKS
from dolphin.stores.outcome import PATIENCE
from dolphin.stores.protocol import Reading, Store


class Lease:
    """A named lock for one owner.

    Parameters
    ----------
    store : Store
    name, owner : str
        Two leases of one owner are two holders.
    seconds : float
        How long it is held without being renewed.
    """

    def __init__(self, store: Store, name: str, owner: str, seconds: float = 10.0) -> None:
        self.store, self.name, self.owner, self.seconds = store, name, owner, seconds
        self.token = 0
        self._me = uuid.uuid4().hex
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether it is ours for certain: counted from before the request that the store said yes to."""
        return time.monotonic() < self._until

    def holder(self) -> str | None:
        """Who holds it, as far as has reached us."""
        seen = self.store.get(LOCKS, self.name)
        return None if seen is None else _of(seen).get("owner")

    def take(self, patience: float = PATIENCE) -> bool:
        """Take it, or renew it if it is ours; False where another has it, or the store did not answer in time."""
        seen = self.store.get(LOCKS, self.name)
        record = {} if seen is None else _of(seen)
        ours = record.get("holder") == self._me
        if seen is not None and record.get("owner") and not ours:
            lease = float(record.get("seconds") or self.seconds)
            if seen.age_ns < lease * 1e9:
                return False
        token = int(record.get("token") or 0) + (not ours)
        begun = time.monotonic()
        wanted = {"owner": self.owner, "holder": self._me, "token": token, "seconds": self.seconds}
        if not self.store.swap(LOCKS, self.name, seen, {**wanted, "beat": uuid.uuid4().hex}).wait(patience):
            return False
        self.token, self._until = token, begun + self.seconds
        return True

    def release(self, patience: float = PATIENCE) -> bool:
        """Let go; True if it was ours."""
        self._until = 0.0
        seen = self.store.get(LOCKS, self.name)
        if seen is None or _of(seen).get("holder") != self._me:
            return False
        free = {"owner": None, "holder": None, "token": self.token}
        return self.store.swap(LOCKS, self.name, seen, free).wait(patience) is True


def _of(seen: Reading) -> dict[str, Any]:
    return seen.value if isinstance(seen.value, dict) else {}
