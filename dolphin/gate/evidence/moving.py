"""Trades moved in a circle against the prices: what the same trades earn where nothing told them when.

A strategy under shifted signals sees a market that is none: its features follow from other prices than those beside
them, and a decision that compares the two can trade badly there, so that the real market looks good. Trades that were
made on the real market and are moved afterwards ask the strategy nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dolphin.core.records import Floats, Ints, Records
from dolphin.gate.evidence.resampling import sharpe_of
from dolphin.times import return_day


class Held(NamedTuple):
    """Positions from one close to another, (n,) each; rows count from the first of the span.

    ``weight`` is the notional at entry over the capital, times the side; ``earned`` what came of it over the capital,
    after costs.
    """

    entry: Ints
    exit: Ints
    asset: Ints
    weight: Floats
    earned: Floats


def held_of(trades: Records, start: int) -> Held:
    """Closed trades of a span that begins at row ``start``."""
    capital = trades["capital_before"]
    weight = trades["side"] * trades["qty"] * trades["entry_price"] / capital
    return Held(
        trades["entry_bar"] - start, trades["exit_bar"] - start, trades["asset"], weight, trades["pnl"] / capital
    )


def sharpes_moved(held: Held, close: Floats, ts: Ints, shifts: Sequence[int]) -> Floats:
    """(K,) annual Sharpe ratios by days of exits, all positions moved by so many rows; nan where no day differs.

    Parameters
    ----------
    close : (T, assets) float64
        Of the span; nan where an asset has none.
    shifts : sequence of int
        0 gives what was earned. Under another a position earns what the asset did in its new rows, around the circle;
        what it cost, and what its fills had beside the closes, goes with it.
    """
    logs = _filled(np.log(close))
    around = logs[-1] - logs[0]
    days = np.unique(return_day(ts), return_inverse=True)[1]
    found = np.empty((len(shifts), int(days[-1]) + 1))
    beside = held.weight * _gain(logs, around, held, 0) - held.earned
    for k, shift in enumerate(shifts):
        earned = held.weight * _gain(logs, around, held, shift) - beside
        found[k] = np.bincount(days[(held.exit + shift) % len(ts)], earned, found.shape[1])
    flat = np.ptp(found, axis=1) == 0.0
    return np.asarray(np.where(flat, np.nan, sharpe_of(found)))


def _gain(logs: Floats, around: Floats, held: Held, shift: int) -> Floats:
    """(n,) relative move of each position's asset over its rows, moved by ``shift``."""
    entry, leave = (held.entry + shift) % len(logs), (held.exit + shift) % len(logs)
    step = logs[leave, held.asset] - logs[entry, held.asset]
    whole = step + np.where(leave < entry, around[held.asset], 0.0)
    return np.asarray(np.expm1(np.nan_to_num(whole)))


def _filled(values: Floats) -> Floats:
    """Columns with the last known value where there is none, and the first one before it."""
    known = ~np.isnan(values)
    rows = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
    return np.asarray(np.take_along_axis(values, np.where(last < 0, known.argmax(axis=0), last), axis=0))
