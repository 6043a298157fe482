"""The survival stack in the trading process, and its record for others: the ledger first, the store second.

Another process that reads the record and finds none, or an old one, has to take HIBERNATE for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dolphin.core.records import HIBERNATE, POSTURES, Records, neutral_risk
from dolphin.errors import DolphinError
from dolphin.live.mirrors.record import LocalLedger
from dolphin.risk.book import Book
from dolphin.risk.capital import Capital
from dolphin.risk.forewarner import MISSING, STATUSES, Forecast
from dolphin.risk.override import Override, in_force
from dolphin.risk.rules import RiskRules
from dolphin.risk.stack import ROW, neutral_inputs, new_carry, risk_rows, step_columns
from dolphin.risk.survival import HEARTBEAT_SECONDS
from dolphin.stores import Health, Store
from dolphin.stores.names import LATEST, SAFETY
from dolphin.stores.values import Value
from dolphin.times import SECOND_NS, format_time, parse_time

#: Seconds between two checks, and after which a record of others is stale.
EVERY, STALE = 10.0, 30.0
HOUR_NS = 3600 * SECOND_NS


class Known(NamedTuple):
    """What a check reads.

    ``health`` of the store that is required, None where none is; ``forecast`` of the forewarner; ``book`` of the
    reference and its age in ns; ``spike_minutes`` since implied volatility spiked (infinite never); ``equity``.
    """

    equity: float
    health: Health | None = None
    forecast: Forecast | None = None
    book: Book | None = None
    book_age_ns: int = -1
    books: bool = False
    spike_minutes: float = np.inf


class SafetyRecord(NamedTuple):
    """Posture in force, Rm, its five categories, and the override if one is in force."""

    ts: int
    posture: int
    rm: float
    breakdown: tuple[float, float, float, float, float]
    override: Override | None

    def as_dict(self) -> dict[str, Any]:
        """The record of DOLPHIN_SAFETY."""
        return {
            "posture": POSTURES[self.posture],
            "Rm": self.rm,
            "breakdown": {f"Cat{k}": value for k, value in enumerate(self.breakdown, 1)},
            "timestamp": format_time(self.ts),
            "override": None if self.override is None else self.override.as_dict(),
        }


class SafetyStack:
    """Checks one after the other, every ten seconds live.

    Parameters
    ----------
    store : Store, optional
        Where the record is mirrored.
    ledger : LocalLedger, optional
        Where changes of posture are written first.

    Attributes
    ----------
    inputs : array of one RISK
        Of the last check: what a step weighs with its account's drawdown, and the posture that a person imposes.
    """

    def __init__(self, store: Store | None = None, ledger: LocalLedger | None = None) -> None:
        self.store, self.ledger = store, ledger
        self.override: Override | None = None
        self._posture: int | None = None
        self._market, self._account = new_carry(), Capital()
        self._rules = RiskRules()
        self.inputs: Records = neutral_risk(1)

    def check(self, now_ns: int, known: Known) -> SafetyRecord:
        """One check at ``now_ns`` (UTC, ascending).

        Raises
        ------
        OSError
            If a change of posture cannot be written down; nothing is mirrored then.
        """
        row = self._row(now_ns, known)
        self.inputs = step_columns(row)
        risk, (rm5,) = self._account.weigh(self.inputs, np.array([now_ns]), np.array([known.equity]))
        rm1 = float(row["rm1"][0])
        posture = in_force(int(risk["posture"][0]), self.override, now_ns, rm1)
        four = [float(row[name][0]) for name in ("rm1", "rm2", "rm3", "rm4")]
        overridden = self.override if in_force(-1, self.override, now_ns, rm1) >= 0 else None
        self.inputs["imposed"] = 0 if overridden is None else 1 + overridden.posture
        breakdown = (four[0], four[1], four[2], four[3], float(rm5))
        record = SafetyRecord(now_ns, posture, float(risk["rm"][0]), breakdown, overridden)
        if posture != self._posture:
            if self.ledger is not None:
                self.ledger.write(SAFETY, LATEST, record.as_dict())
            self._posture = posture
        if self.store is not None:
            self.store.put(SAFETY, LATEST, record.as_dict())
        return record

    def arrays(self) -> dict[str, Any]:
        """Everything that later checks depend on, as plain arrays by name."""
        carry, hysteresis = self._market
        return {"carry": carry.copy(), "market": hysteresis.copy(), **self._account.arrays()}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Go on from :meth:`arrays`.

        Raises
        ------
        ValueError, KeyError
            If they are none.
        """
        carry, hysteresis = self._market
        carry[...], hysteresis[...] = arrays["carry"], arrays["market"]
        self._account.restore(arrays)

    def stand(self, posture: int) -> None:
        """Begin in this posture: the one that was in force when the session was left."""
        self._account.stand(posture)

    def _row(self, now_ns: int, known: Known) -> Records:
        inputs = neutral_inputs(np.array([now_ns]))
        inputs.invariants[0] = invariants_of(known.health)
        status, hours = _of_forecast(known.forecast, now_ns)
        inputs.status[0], inputs.hours[:] = status, hours
        inputs.spike[0] = known.spike_minutes
        if known.book is not None:
            inputs = inputs._replace(
                depth=np.array([known.book.depth_quality]),
                fill=np.array([known.book.fill_prob]),
                book_age=np.array([known.book_age_ns]),
            )
        rows = risk_rows(inputs, self._rules, factors=False, books=known.books, live=True, state=self._market)
        return np.ascontiguousarray(rows, ROW)


def invariants_of(health: Health | None) -> float:
    """Rm1: 0 where a store is required and none of its nodes answers, or none has for 30 s."""
    if health is None:
        return 1.0
    return float(health.nodes >= 1 and 0 <= health.silent_ns <= HEARTBEAT_SECONDS * SECOND_NS)


def read_safety(store: Store, now_ns: int, local: Callable[[], int] | None = None) -> int:
    """The posture that a process may act on: the record's while it is fresh, else ``local``'s, else HIBERNATE."""
    there = store.get(SAFETY, LATEST)
    posture = None if there is None or there.age_ns > STALE * SECOND_NS else _posture_of(there.value, now_ns)
    if posture is not None:
        return posture
    return HIBERNATE if local is None else local()


def _posture_of(value: Value, now_ns: int) -> int | None:
    """The posture of a record that is fresh; None of any other, and of what is none."""
    if not isinstance(value, dict) or value.get("posture") not in POSTURES:
        return None
    try:
        written = parse_time(str(value.get("timestamp")))
    except DolphinError:
        return None
    return POSTURES.index(value["posture"]) if 0 <= now_ns - written <= STALE * SECOND_NS else None


def _of_forecast(forecast: Forecast | None, now_ns: int) -> tuple[int, float]:
    """Status and hours of a forecast; missing where there is none, or it says nothing that is known."""
    if forecast is None or forecast.status not in STATUSES:
        return MISSING, np.nan
    return STATUSES.index(forecast.status), (now_ns - forecast.timestamp) / HOUR_NS
