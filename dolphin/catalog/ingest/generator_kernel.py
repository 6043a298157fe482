"""The loop that makes prices from random words; only IEEE operations in a fixed order, no libm."""

from __future__ import annotations

import numba
import numpy as np

# Four 16-bit fields of a word: their sum is nearly normal (Irwin-Hall) and bounded by 3.46 deviations.
FIELD_MEAN = 2.0 * 65535.0
FIELD_DEVIATION = float(np.sqrt((2.0**32 - 1.0) / 3.0))
ARCH, GARCH = 0.04, 0.94  # of the common variance: mild clustering around its mean


@numba.njit(error_model="numpy", cache=True)
def fields_normal(word):  # type: ignore[no-untyped-def]
    """A nearly normal number of mean 0 and deviation 1 from one 64-bit word."""
    low = (word & np.uint64(0xFFFF)) + ((word >> np.uint64(16)) & np.uint64(0xFFFF))
    high = ((word >> np.uint64(32)) & np.uint64(0xFFFF)) + (word >> np.uint64(48))
    return (np.float64(low + high) - FIELD_MEAN) / FIELD_DEVIATION


@numba.njit(error_model="numpy", cache=True)
def walk(  # type: ignore[no-untyped-def]
    level, variance, common, own, shape, deviation, drift, shock, calm, wild,
    beta, own_ratio, tick_num, tick_den, lot_num, lot_den, turnover,
    open_, high, low, close, volume,
):  # fmt: skip
    """Make the bars of one day; ``level`` (exact prices) and the returned variance carry over.

    Parameters
    ----------
    level : float64 [N]
        Prices before rounding; updated in place.
    variance : float
        Common variance relative to its mean.
    common, own, shape : uint64 [B], [B, N], [B, N]
        Random words: common factor, each asset's own move, wicks and volume.
    deviation : float
        Standard deviation of the common factor per bar.
    drift, shock, calm, wild : float64 [B]
        Common drift; deviation of the decoupling shock, of the factor's deviation; factors on the own
        and on the common deviation.
    beta, own_ratio : float64 [N]
        Exposure to the factor; own deviation over the factor's part.
    tick_num, tick_den, lot_num, lot_den, turnover : float64 [N]
        Tick and lot as quotients; mean volume per bar.
    open_, high, low, close, volume : float64 [N, B]
        Output, on the tick and lot grids.
    """
    bars, assets = own.shape
    for t in range(bars):
        scale = deviation * np.sqrt(variance)
        z = fields_normal(common[t])
        factor = wild[t] * scale * z + drift[t]
        variance = (1.0 - ARCH - GARCH) + variance * (GARCH + ARCH * z * z)
        for j in range(assets):
            spread = np.sqrt(calm[t] * calm[t] * own_ratio[j] * own_ratio[j] + shock[t] * shock[t])
            e = fields_normal(own[t, j])
            before = level[j]
            after = before * (1.0 + beta[j] * (factor + scale * spread * e))
            level[j] = after
            word = shape[t, j]
            up = np.float64(word & np.uint64(0xFFFF)) / 65536.0
            down = np.float64((word >> np.uint64(16)) & np.uint64(0xFFFF)) / 65536.0
            busy = np.float64((word >> np.uint64(32)) & np.uint64(0xFFFF)) / 65536.0
            first = np.floor(before * tick_den[j] / tick_num[j] + 0.5)
            last = np.floor(after * tick_den[j] / tick_num[j] + 0.5)
            wick = 0.7 * scale * wild[t] * after * tick_den[j] / tick_num[j]
            top = max(first, last) + np.floor(wick * up)
            bottom = max(min(first, last) - np.floor(wick * down), 1.0)
            open_[j, t] = first * tick_num[j] / tick_den[j]
            high[j, t] = top * tick_num[j] / tick_den[j]
            low[j, t] = bottom * tick_num[j] / tick_den[j]
            close[j, t] = last * tick_num[j] / tick_den[j]
            lots = turnover[j] * (0.5 + busy) * (1.0 + z * z + e * e) * lot_den[j] / lot_num[j]
            volume[j, t] = np.floor(lots) * lot_num[j] / lot_den[j]
    return variance
