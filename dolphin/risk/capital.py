"""Rm5 where the account is known: the drawdown before a bar joins the table's factors, and the posture follows.

This is what the step would do with an account of its own in a bar (docs/risk.md says which fields it needs); until it
does, :mod:`dolphin.study.measure.account_risk` calls it once a bar from outside.
"""

from __future__ import annotations

from dolphin.core.jit import inline
from dolphin.core.records import Records
from dolphin.risk.compiling import kernel
from dolphin.risk.drawdown import RollingPeak, drawdown_of, push
from dolphin.risk.posture import check
from dolphin.risk.survival import rm5


@inline
def capital_row(row, ring, entries, hysteresis, ts, equity, risk):  # type: ignore[no-untyped-def]
    """Write Rm and posture into ``risk`` (of RISK): the table's ``row`` (of ROW) and Rm5 of ``equity`` before it."""
    stress = rm5(drawdown_of(push(ring, entries, ts, equity), equity))
    others = row.rm2 * row.rm3 * row.rm4 * stress
    risk.rm = row.rm1 * others
    risk.posture = check(hysteresis, row.rm1, others)
    return stress


@kernel(nogil=True)
def capital_bar(rows, ring, entries, hysteresis, i, ts, equity, risk):  # type: ignore[no-untyped-def]
    """:func:`capital_row` of bar ``i``; returns Rm5."""
    return capital_row(rows[i], ring[0], entries, hysteresis[0], ts, equity, risk[i])


def apply_capital(
    rows: Records, ring: RollingPeak, hysteresis: Records, i: int, ts: int, equity: float, risk: Records
) -> float:
    """Bar ``i`` of ``risk`` (T,) of RISK under the account's drawdown; ``ring`` remembers the peak."""
    return float(capital_bar(rows, ring.ring, ring.entries, hysteresis, i, ts, equity, risk))
