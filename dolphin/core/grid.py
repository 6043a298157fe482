"""Ticks and lots: prices rounded against us, quantities rounded down, both exact decimals (ENGINE section 1)."""

from __future__ import annotations

import numpy as np

from dolphin.core.jit import inline, kernel

#: A hair in units of ticks or lots, so that a price that is on the grid stays where it is.
HAIR = 1e-9

#: The same for millions of ticks, where rounding of the quotient alone exceeds HAIR (4 half-ulps).
RELATIVE_HAIR = 2.0**-51

#: From here on halves between whole numbers are no float64 any more.
COUNTABLE = 2.0**52


@inline
def hair(steps):  # type: ignore[no-untyped-def]
    """How far from a whole number of steps still counts as whole."""
    return max(HAIR, steps * RELATIVE_HAIR)


@inline
def round_against(price, side, instrument):  # type: ignore[no-untyped-def]
    """``price`` moved to the tick grid, up for a buy (side +1) and down for a sell (side -1)."""
    ticks = price / instrument.tick
    ticks = np.ceil(ticks - hair(ticks)) if side > 0 else np.floor(ticks + hair(ticks))
    return ticks * instrument.tick_num / instrument.tick_den


@inline
def slipped(price, side, slippage, instrument):  # type: ignore[no-untyped-def]
    """What a buy (side +1) or sell (-1) at ``price`` is filled at: moved, then rounded, against us."""
    return round_against(price * (1.0 + side * slippage), side, instrument)


@kernel(_nrt=False)
def slipped_price(price, side, slippage, instruments):  # type: ignore[no-untyped-def]
    """:func:`slipped` for callers outside the step; ``instruments`` is an array of one record."""
    return slipped(price, side, slippage, instruments[0])


@inline
def lots_below(quantity, instrument):  # type: ignore[no-untyped-def]
    """The largest multiple of the lot step that is not above ``quantity``."""
    lots = quantity / instrument.lot
    lots = np.floor(lots + hair(lots))
    return lots * instrument.lot_num / instrument.lot_den


@inline
def lots_of(quantity, instrument):  # type: ignore[no-untyped-def]
    """The number of lots in a quantity on the grid."""
    return np.floor(quantity / instrument.lot + 0.5)


@inline
def of_lots(lots, instrument):  # type: ignore[no-untyped-def]
    """The quantity of so many lots."""
    return lots * instrument.lot_num / instrument.lot_den


@inline
def ticks_of(price, instrument):  # type: ignore[no-untyped-def]
    """The number of ticks in a price on the grid."""
    return np.floor(price / instrument.tick + 0.5)


@inline
def of_ticks(ticks, instrument):  # type: ignore[no-untyped-def]
    """The price of so many ticks."""
    return ticks * instrument.tick_num / instrument.tick_den


@inline
def on_lot(quantity, instrument):  # type: ignore[no-untyped-def]
    """Whether a quantity is on the lot grid, by bits; from 2^52 lots on a float64 cannot tell."""
    return quantity / instrument.lot >= COUNTABLE or of_lots(lots_of(quantity, instrument), instrument) == quantity


@inline
def on_tick(price, instrument):  # type: ignore[no-untyped-def]
    """Whether a price is on the tick grid, by bits."""
    return of_ticks(ticks_of(price, instrument), instrument) == price
