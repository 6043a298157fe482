"""Running first and second moments of the returns in each trailing window, and their correlations.

Arrays are padded to a multiple of four columns (zeros), so that no loop has a tail. Every loop over
a row adds to independent elements: the compiler may vectorise it without changing an order of
additions, which is what keeps the bits equal on every processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dolphin.core.jit import inline
from dolphin.core.records import Floats
from dolphin.features.block import SHORT

# An asset's sums are made afresh when their square sum has shrunk to this part of what it was:
# rounding errors are of the size of the largest value they have held.
SHRUNK = 0.01
# Below this ratio of centred to raw square sum, S2 - S1^2/w would cancel: centre the window instead.
CANCELLING = 0.01


@inline
def anchor(row, windows, returns, s1, s2, peak):  # type: ignore[no-untyped-def]
    """All sums from the trailing windows alone, each nested window going on from the shorter one."""
    width = returns.shape[1]
    mask = returns.shape[0] - 1
    done = 0
    for w in range(windows.size):
        if w == 0:
            s1[0, :] = 0.0
            s2[0, :, :] = 0.0
        else:
            for i in range(width):
                s1[w, i] = s1[w - 1, i]
                for j in range(width):
                    s2[w, i, j] = s2[w - 1, i, j]
        while done + 1 < windows[w]:  # two returns at a time: half the traffic through s2
            a = (row - done) & mask
            b = (row - done - 1) & mask
            done += 2
            for i in range(width):
                x = returns[a, i]
                y = returns[b, i]
                s1[w, i] += x + y
                for j in range(width):
                    s2[w, i, j] += x * returns[a, j] + y * returns[b, j]
        if done < windows[w]:
            a = (row - done) & mask
            done += 1
            for i in range(width):
                x = returns[a, i]
                s1[w, i] += x
                for j in range(width):
                    s2[w, i, j] += x * returns[a, j]
        for i in range(width):
            peak[w, i] = s2[w, i, i]


@inline
def slide(row, w, length, returns, s1, s2, peak):  # type: ignore[no-untyped-def]
    """Take the return of ``row`` into window w, let the leaving one go, refresh what has shrunk."""
    width = returns.shape[1]
    mask = returns.shape[0] - 1
    new = row & mask
    old = (row - length) & mask
    for i in range(width):
        x = returns[new, i]
        y = returns[old, i]
        s1[w, i] += x - y
        for j in range(width):
            s2[w, i, j] += x * returns[new, j] - y * returns[old, j]
    for i in range(width):
        square = s2[w, i, i]
        if square > peak[w, i]:
            peak[w, i] = square
        elif square < SHRUNK * peak[w, i]:
            refresh(row, w, length, i, returns, s1, s2)
            peak[w, i] = s2[w, i, i]


@inline
def refresh(row, w, length, i, returns, s1, s2):  # type: ignore[no-untyped-def]
    """Asset i's sums in window w, exactly from the window."""
    width = returns.shape[1]
    mask = returns.shape[0] - 1
    total = 0.0
    for j in range(width):
        s2[w, i, j] = 0.0
    for back in range(length):
        k = (row - back) & mask
        x = returns[k, i]
        total += x
        for j in range(width):
            s2[w, i, j] += x * returns[k, j]
    s1[w, i] = total
    for j in range(width):
        s2[w, j, i] = s2[w, i, j]


@inline
def activity(length, assets, valid, run, active):  # type: ignore[no-untyped-def]
    """Mark the assets with no missing return in the window and not all returns equal; count them."""
    count = 0
    for j in range(assets):
        taken = valid[j] >= length and run[j] < length
        active[j] = taken
        count += taken
    return count


@inline
def correlation(w, length, active, s1, s2, scale, mean, c, square):  # type: ignore[no-untyped-def]
    """Correlation matrix from the running sums into ``c`` (zero rows for assets that are not active).

    Returns the squared Frobenius norm, or -1 where the sums cancel and the window must be centred.
    """
    width = c.shape[0]
    root = 1.0 / math.sqrt(float(length))
    for j in range(width):
        scale[j] = 0.0
        mean[j] = 0.0
        if active[j]:
            m = s1[w, j] * root
            raw = s2[w, j, j]
            centred = raw - m * m
            if not centred > CANCELLING * raw:
                return -1.0
            mean[j] = m
            scale[j] = 1.0 / math.sqrt(centred)
    return scaled(w, s2, active, scale, mean, c, square)


@inline
def scaled(w, s2, active, scale, mean, c, square):  # type: ignore[no-untyped-def]
    """c = D (S2 - m m') D with a unit diagonal; returns the sum of its squares."""
    width = c.shape[0]
    square[:] = 0.0
    for i in range(width):
        d = scale[i]
        m = mean[i]
        for j in range(width):
            c[i, j] = (s2[w, i, j] - m * mean[j]) * (d * scale[j])
        c[i, i] = 1.0 if active[i] else 0.0
        for j in range(width):
            square[j] += c[i, j] * c[i, j]
    total = 0.0
    for j in range(width):
        total += square[j]
    return total


@inline
def centred_correlation(  # type: ignore[no-untyped-def]
    row, length, active, returns, scale, mean, centred, c, square
):
    """The same matrix from the centred returns of the window: slow, and as accurate as it gets."""
    width = c.shape[0]
    mask = returns.shape[0] - 1
    mean[:] = 0.0
    for back in range(length):
        k = (row - back) & mask
        for j in range(width):
            mean[j] += returns[k, j]
    for j in range(width):
        mean[j] /= length
    centred[:, :, :] = 0.0
    for back in range(length):
        k = (row - back) & mask
        for j in range(width):
            square[j] = returns[k, j] - mean[j]
        for i in range(width):
            x = square[i]
            for j in range(width):
                centred[0, i, j] += x * square[j]
    for j in range(width):
        mean[j] = 0.0
        scale[j] = 0.0
        if active[j]:
            scale[j] = 1.0 / math.sqrt(centred[0, j, j])
    return scaled(0, centred, active, scale, mean, c, square)


def ring_rows(windows: Sequence[int]) -> int:
    """Rows of returns to keep: a power of two above the longest window and the 50 bars of volatility."""
    return 1 << max(*windows, SHORT).bit_length()


def padded(assets: int) -> int:
    """Number of columns of the working arrays: a multiple of four."""
    return -4 * (-assets // 4)


def fixed_vector(assets: int) -> Floats:
    """A start vector without symmetry: fractional parts of multiples of sqrt(2), in 0.5 to 1.5."""
    vector = np.zeros(padded(assets))
    vector[:assets] = 0.5 + (np.arange(1, assets + 1) * 2.0**0.5) % 1.0
    return vector
