"""Rm5 outside the step: what an account's equities come to, by the step's function (:mod:`dolphin.core.capital`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dolphin.core.capital import PEAK_DAYS, bring_into_force, new_capital
from dolphin.core.posture import HYSTERESIS, new_hysteresis
from dolphin.core.records import RISK, Floats, Ints, Records
from dolphin.risk.compiling import kernel


class Capital:
    """What is known of one account: the highs of 30 days and the hysteresis of its posture.

    A run in which the account's drawdown is weighed holds the same in its state; this is for whoever only looks on.
    """

    def __init__(self) -> None:
        self.stress, self.highs = new_capital(), np.full(PEAK_DAYS, -np.inf)

    def weigh(self, rows: Records, ts: Ints, equity: Floats) -> tuple[Records, Floats]:
        """What would be in force at these bars.

        Parameters
        ----------
        rows : array of RISK [T]
            The risk inputs of bars that follow those seen before.
        ts : int64 [T]
            Their closes, ns.
        equity : float64 [T]
            The account's equity before each.

        Returns
        -------
        in_force : array of RISK [T]
        rm5 : float64 [T]
        """
        out, rm5 = np.zeros(len(rows), RISK), np.empty(len(rows))
        times, values = np.ascontiguousarray(ts, np.int64), np.ascontiguousarray(equity, np.float64)
        weigh_into(np.ascontiguousarray(rows), self.stress, self.highs, times, values, out, rm5)
        return out, rm5

    def arrays(self) -> dict[str, Any]:
        """Everything that later checks depend on, as plain arrays by name."""
        return {"account": self.stress.copy(), "highs": self.highs.copy()}

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Go on from :meth:`arrays`."""
        self.stress[...], self.highs[...] = arrays["account"], arrays["highs"]

    def stand(self, posture: int) -> None:
        """Be in this posture, with nothing that would change it begun."""
        if int(self.stress["posture"][0]) != posture:
            fresh = new_hysteresis(posture)
            for name in HYSTERESIS.names or ():
                self.stress[name] = fresh[name]


@kernel(nogil=True)
def weigh_into(rows, stress, highs, ts, equity, out, rm5):  # type: ignore[no-untyped-def]
    """:func:`~dolphin.core.capital.bring_into_force` bar by bar, with Rm5 of each."""
    for i in range(rows.size):
        bring_into_force(rows[i], stress[0], highs, ts[i], equity[i], out[i])
        rm5[i] = stress[0].rm5
