"""The circuit breaker as scans come: external factors of the store in, the boost out, by compare and set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dolphin.risk.acb import DURESS, ORDERLY
from dolphin.risk.factors import ALIASES
from dolphin.risk.rules import FACTORS, RiskRules
from dolphin.risk.stack import neutral_inputs, new_carry, risk_rows
from dolphin.stores import Outcome, Store
from dolphin.stores.names import ACB_BOOST, ACB_STATE, EXTERNAL_FACTORS, FEATURES, SCAN_BARS, book_place
from dolphin.stores.values import Value
from dolphin.times import format_time, parse_time

#: A book that may say how good the market is: 30 s.
BOOK_NS = 30 * 10**9
TURNS = {ORDERLY: "orderly", DURESS: "duress"}


class Boost(NamedTuple):
    """What the breaker says at a scan: the fields of ``acb_boost``. ``turn`` is None, "orderly" or "duress"."""

    boost: float
    beta: float
    signals: float
    ready: bool
    turn: str | None
    scan_number: int
    ts: int

    def as_dict(self) -> dict[str, Any]:
        """The document."""
        return self._asdict() | {"timestamp": format_time(self.ts)}


class LiveBreaker:
    """The breaker of one session.

    Each announced scan makes one decision: the boost of the factors as they are known, written to ``acb_boost`` and
    mirrored to ``acb_state`` unless a newer scan's stands there already; and where the boost has fallen by more than
    0.2 since the scan before, the way out, told to ``on_turn``.

    Parameters
    ----------
    store : Store
    rules : RiskRules
    reference : str
        The symbol whose book tells an orderly exit from one under duress.
    on_turn : callable, optional
    """

    def __init__(
        self,
        store: Store,
        rules: RiskRules | None = None,
        reference: str = "BTCUSDT",
        on_turn: Callable[[Boost], None] | None = None,
    ) -> None:
        self.store, self.rules, self.reference, self.on_turn = store, rules or RiskRules(), reference, on_turn
        self.last: Boost | None = None
        self.written: Outcome | None = None
        self._state = new_carry()
        self._end: Callable[[], None] | None = None

    def follow(self) -> None:
        """Decide at every scan that is announced from now on."""
        self._end = self.store.listen(SCAN_BARS, self._announced)

    def close(self) -> None:
        """Follow no more."""
        if self._end is not None:
            self._end()

    def arrays(self) -> dict[str, Any]:
        """What the next boost depends on, as plain arrays by name."""
        carry, hysteresis = self._state
        return {"carry": carry.copy(), "hysteresis": hysteresis.copy()}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Go on from :meth:`arrays`."""
        for state, name in zip(self._state, ("carry", "hysteresis"), strict=True):
            state[...] = arrays[name]

    def decide(self, ts: int, scan_number: int) -> Boost:
        """The boost at a scan that closed at ``ts`` (ns UTC)."""
        values, ages = self._factors(ts)
        depth = np.array([self._depth()])
        inputs = neutral_inputs(np.array([ts]))._replace(values=values, ages=ages, depth=depth)
        row = risk_rows(inputs, self.rules, books=False, live=True, state=self._state)[0]
        found = Boost(
            float(row["boost"]), float(row["beta"]), float(row["signals"]), bool(row["ready"]),
            TURNS.get(int(row["turn"])), scan_number, ts,
        )  # fmt: skip
        self.last = found
        self._write(found)
        if found.turn is not None and self.on_turn is not None:
            self.on_turn(found)
        return found

    def _announced(self, message: Mapping[str, Any]) -> None:
        number = message.get("scan_number")
        self.decide(parse_time(str(message["timestamp"])), -1 if number is None else int(number))

    def _write(self, found: Boost) -> None:
        def newer(there: Value | None) -> Value | None:
            known = there.get("ts", -1) if isinstance(there, dict) else -1
            return None if isinstance(known, int) and known >= found.ts else found.as_dict()

        self.written = self.store.update(FEATURES, ACB_BOOST, newer)
        self.store.update(FEATURES, ACB_STATE, newer)

    def _factors(self, ts: int) -> tuple[np.ndarray, np.ndarray]:
        """(1, 9) values and ages since publication, of the factors as the store has them; missing: NaN and -1."""
        values, ages = np.full((1, len(FACTORS)), np.nan), np.full((1, len(FACTORS)), -1, np.int64)
        there = self.store.get(FEATURES, EXTERNAL_FACTORS)
        if there is None or not isinstance(there.value, dict):
            return values, ages
        known = {ALIASES.get(name, name): value for name, value in there.value.items()}
        for k, name in enumerate(FACTORS):
            value, published = _of_factor(known.get(name), there.value.get("timestamp"))
            if published is not None and math.isfinite(value):
                values[0, k], ages[0, k] = value, ts - published
        return values, ages

    def _depth(self) -> float:
        """The depth quality of the reference's book; NaN (duress) where it is old or unknown."""
        there = self.store.get(*book_place(self.reference))
        if there is None or there.age_ns > BOOK_NS or not isinstance(there.value, dict):
            return math.nan
        value = there.value.get("depth_quality")
        return float(value) if isinstance(value, int | float) else math.nan


def _of_factor(found: Any, timestamp: Any) -> tuple[float, int | None]:
    """A factor's value and when it was public: {"value": v, "published": time}, or a number as of the record."""
    value, published = (found.get("value"), found.get("published")) if isinstance(found, dict) else (found, timestamp)
    if isinstance(value, bool) or not isinstance(value, int | float) or published is None:
        return math.nan, None
    try:
        return float(value), parse_time(str(published))
    except Exception:  # another program's text
        return math.nan, None
