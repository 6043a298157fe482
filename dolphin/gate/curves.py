"""The candidate's equity beside the champion's and a bought reference symbol, a value per UTC day, for the page."""

from __future__ import annotations

from typing import Any

import numpy as np

from dolphin.core.records import Floats, Ints
from dolphin.gate.measure import Measure
from dolphin.study.measure.metrics import daily_equity
from dolphin.times import format_time, return_day

#: Digits after the point that are kept: enough for a picture.
DIGITS = 6


def equity_curves(measure: Measure, rival: Measure | None) -> dict[str, Any]:
    """Levels over their start at the end of each UTC day of the judged window; the first is the start, 1.

    Parameters
    ----------
    rival : Measure, optional
        The present champion on the candidate's data and window.

    Returns
    -------
    dict
        ``from`` (time), ``days`` (dates, N), and lists of N + 1 levels: ``candidate``, ``champion`` (None without one,
        or where the candidate is it), ``hold`` (None where the reference symbol has no price), ``reference``.
    """
    run, start, stop = measure.whole, measure.start, measure.stop
    ts = measure.market.ts[start:stop]
    days = np.unique(return_day(ts))
    column = measure.dataset.reference_column
    same = rival is None or rival.config.hash == measure.config.hash
    return {
        "from": format_time(ts[0]),
        "days": [str(np.datetime64(int(day), "D")) for day in days],
        "candidate": _levels(ts, run.recording.equity, run.config.account.initial_capital),
        "champion": None
        if same or rival is None
        else _levels(ts, rival.whole.recording.equity, rival.config.account.initial_capital),
        "hold": _held(ts, measure.market.price[start:stop, column]),
        "reference": measure.dataset.reference,
    }


def _levels(ts: Ints, equity: Floats, capital: float) -> list[float]:
    return [round(float(level), DIGITS) for level in daily_equity(ts, equity, capital) / capital]


def _held(ts: Ints, price: Floats) -> list[float] | None:
    """A symbol bought at the first close; None where a day ends without a price."""
    levels = daily_equity(ts, price, float(price[0]))
    return _levels(ts, price, float(price[0])) if np.isfinite(levels).all() else None
