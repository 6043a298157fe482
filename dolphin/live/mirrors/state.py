"""A side's state for others: the ledger first, the store second; and what the ledger gives back to a new run."""

from __future__ import annotations

from typing import Any

from dolphin.files import json_value
from dolphin.live.mirrors.record import LocalLedger
from dolphin.stores import Outcome, Store
from dolphin.stores.names import CAPITAL, ENGINE_SNAPSHOT, LATEST, day_state, pnl_map, state_map


class StateMirror:
    """Writes DOLPHIN_STATE_BLUE (or GREEN) and DOLPHIN_PNL_BLUE (or GREEN).

    Parameters
    ----------
    side : {"blue", "green"}
    ledger : LocalLedger
        The truth. What it cannot take goes nowhere else either.
    store : Store, optional
    """

    def __init__(self, side: str, ledger: LocalLedger, store: Store | None = None) -> None:
        self.side, self.ledger, self.store = side, ledger, store
        self._initial: float | None = None

    def capital(self, date: str, capital: float, initial: float) -> Outcome | None:
        """The capital checkpoint; the first ``initial`` ever written stays the initial capital."""
        if self._initial is None:
            known = (kept.value.get("initial_capital") for kept in self.ledger.records() if kept.key == CAPITAL)
            first = next((value for value in known if value is not None), initial)
            self._initial = float(first)
        value = {"date": date, "capital": capital, "initial_capital": self._initial}
        return self._write(state_map(self.side), CAPITAL, value)

    def snapshot(self, value: dict[str, Any]) -> Outcome | None:
        """The engine's state as of a bar."""
        return self._write(state_map(self.side), ENGINE_SNAPSHOT, value)

    def latest(self, value: dict[str, Any]) -> Outcome | None:
        """The status line: for those who look, not for those who restore; the store alone has it."""
        return None if self.store is None else self.store.put(state_map(self.side), LATEST, value)

    def day(self, strategy: str, date: str, value: dict[str, Any]) -> Outcome | None:
        """A strategy's state at the end of a day (``YYYY-MM-DD``)."""
        return self._write(state_map(self.side), day_state(strategy, date), {**value, "date": date})

    def pnl(self, date: str, portfolio_capital: float, engine_capital: float) -> Outcome | None:
        """A day's capital."""
        value = {"date": date, "portfolio_capital": portfolio_capital, "engine_capital": engine_capital}
        return self._write(pnl_map(self.side), date, value)

    def before(self, key: str, date: str) -> dict[str, Any] | None:
        """The newest record of a key of a day before ``date``: never a run's own result, so that a day can be rerun.

        ``key`` is :data:`~dolphin.stores.names.CAPITAL`, or the beginning of day states: ``state_vel_div_``.
        """
        found: dict[str, Any] | None = None
        for kept in self.ledger.records():
            if kept.place == state_map(self.side) and kept.key.startswith(key):
                day = str(kept.value.get("date", ""))
                if day and day < date and (found is None or day >= found["date"]):
                    found = kept.value
        return found

    def tell_again(self) -> None:
        """The newest of every record into the store: it may be another one, or have lost its memory."""
        if self.store is not None:
            newest = {(kept.place, kept.key): kept.value for kept in self.ledger.records()}
            for (place, key), value in newest.items():
                self.store.put(place, key, value)

    def _write(self, place: str, key: str, value: dict[str, Any]) -> Outcome | None:
        plain = json_value(value)  # infinity as the text that every file of ours has for it
        self.ledger.write(place, key, plain)
        return None if self.store is None else self.store.put(place, key, plain)
