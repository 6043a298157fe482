"""Every eigenvalue of the correlation matrices: Householder's reduction and implicit QL, no LAPACK.

The matrices are the scanner's own, from its running sums; only +, -, *, / and square roots are used, so
the bits are the same on every machine. Costs some N^3 operations a bar and window, the scanner N^2.

Literature: Wilkinson & Reinsch, *Handbook for Automatic Computation II*, II/2 (tred1) and II/4 (imtql1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from dolphin.core.jit import inline, kernel, source_digest
from dolphin.core.records import Floats, Ints
from dolphin.errors import DolphinError
from dolphin.features.block import WINDOWS, check_windows
from dolphin.features.kernel import begin_row, centred, move_window, new_state, take_in
from dolphin.features.moments import correlation
from dolphin.features.scanner import scanner_digest, trailing_bars

SMALLEST = 1e-17  # part of the trace below which an off-diagonal element is nothing
MOST_TURNS = 60  # of QL for one eigenvalue; two or three are usual


def spectra(
    ts: Ints,
    close: Floats,
    low: int = 0,
    high: int | None = None,
    windows: Sequence[int] = WINDOWS,
) -> tuple[Floats, Ints]:
    """Eigenvalues of every bar and window, in falling order.

    Parameters
    ----------
    ts : int64[T]
        Close times, ns UTC.
    close : float64[T, N]
        Prices.
    low, high : int
        Rows; ``low`` is the first of the data or of a UTC day.

    Returns
    -------
    values : float64[high - low, W, N]
        NaN after the active assets.
    n_active : int64[high - low, W]
        How many there are; 0 where fewer than two assets are active.

    Raises
    ------
    DolphinError
        If an eigenvalue does not converge (never seen).
    """
    windows = check_windows(windows)
    high = len(ts) if high is None else high
    values = np.full((high - low, len(windows), close.shape[1]), np.nan)
    counts = np.zeros((high - low, len(windows)), np.int64)
    state = new_state(close.shape[1], windows)
    take_in(np.array(close[max(0, low - trailing_bars(windows)) : low], np.float64, order="C"), state)
    times, prices = np.array(ts[low:high], np.int64), np.array(close[low:high], np.float64, order="C")
    spectrum_rows(times, prices, state, values, counts)
    if (counts < 0).any():
        raise DolphinError(f"the eigenvalues of row {low + int(np.argwhere(counts < 0)[0, 0])} do not converge")
    return values, counts


def spectrum_digest(windows: Sequence[int] = WINDOWS) -> str:
    """SHA-256 of the sources that decide the bits of a spectrum, and of the windows."""
    return _digest(scanner_digest(windows))


@cache
def _digest(scanner: str) -> str:
    return source_digest([Path(__file__)])[:32] + scanner[:32]


@inline
def tridiagonal(matrix, n, d, e, v, p):  # type: ignore[no-untyped-def]
    """Reduce matrix[0, :n, :n] (symmetric, destroyed) to diagonal d[:n] and off-diagonal e[:n - 1]."""
    for k in range(n - 2):
        tail = 0.0
        for j in range(k + 2, n):
            tail += matrix[0, k, j] * matrix[0, k, j]
        first = matrix[0, k, k + 1]
        d[k] = matrix[0, k, k]
        e[k] = first
        if tail == 0.0:
            continue
        norm = math.sqrt(first * first + tail)
        turned = -norm if first > 0.0 else norm
        e[k] = turned
        for j in range(k + 1, n):
            v[j] = matrix[0, k, j]
            p[j] = 0.0
        v[k + 1] = first - turned
        weight = 1.0 / (norm * (norm + abs(first)))  # 2 / |v|^2
        for i in range(k + 1, n):
            x = v[i] * weight
            for j in range(k + 1, n):
                p[j] += matrix[0, i, j] * x
        half = 0.0
        for j in range(k + 1, n):
            half += v[j] * p[j]
        half *= 0.5 * weight
        for j in range(k + 1, n):
            p[j] -= half * v[j]
        for i in range(k + 1, n):
            x = v[i]
            y = p[i]
            for j in range(k + 1, n):
                matrix[0, i, j] -= x * p[j] + y * v[j]
    d[n - 2] = matrix[0, n - 2, n - 2]
    e[n - 2] = matrix[0, n - 2, n - 1]
    d[n - 1] = matrix[0, n - 1, n - 1]
    e[n - 1] = 0.0


@inline
def implicit_ql(d, e, n):  # type: ignore[no-untyped-def]
    """The eigenvalues of a tridiagonal matrix into d[:n]; False if one did not converge."""
    for low in range(n):
        turns = 0
        while True:
            m = low
            while m < n - 1:
                size = abs(d[m]) + abs(d[m + 1])
                if abs(e[m]) <= 2.0e-16 * size or abs(e[m]) <= SMALLEST * n:
                    break
                m += 1
            if m == low:
                break
            turns += 1
            if turns > MOST_TURNS:
                return False
            g = (d[low + 1] - d[low]) / (2.0 * e[low])
            r = math.sqrt(g * g + 1.0)
            g = d[m] - d[low] + e[low] / (g + (r if g >= 0.0 else -r))
            s = 1.0
            c = 1.0
            p = 0.0
            split = False
            for back in range(m - low):
                i = m - 1 - back
                f = s * e[i]
                b = c * e[i]
                r = math.sqrt(f * f + g * g)
                e[i + 1] = r
                if r == 0.0:
                    d[i + 1] -= p
                    e[m] = 0.0
                    split = True
                    break
                s = f / r
                c = g / r
                g = d[i + 1] - p
                r = (d[i] - g) * s + 2.0 * c * b
                p = s * r
                d[i + 1] = g + p
                g = c * r - b
            if not split:
                d[low] -= p
                e[low] = g
                e[m] = 0.0
    return True


@inline
def fall(d, n):  # type: ignore[no-untyped-def]
    """Sort d[:n] in falling order."""
    for i in range(1, n):
        x = d[i]
        j = i
        while j > 0 and d[j - 1] < x:
            d[j] = d[j - 1]
            j -= 1
        d[j] = x


@kernel(nogil=True)
def spectrum_rows(ts, close, state, values, counts):  # type: ignore[no-untyped-def]
    """The kernel of :func:`spectra`."""
    assets = close.shape[1]
    for t in range(close.shape[0]):
        row, fresh = begin_row(ts, t, close, state)
        for w in range(state.windows.size):
            length = state.windows[w]
            n = move_window(row, w, fresh, assets, state)
            if n < 2:
                continue
            square = correlation(
                w, length, state.active, state.s1, state.s2, state.scale, state.mean, state.c, state.square
            )
            if square < 0.0:
                centred(row, length, state)
            i = 0
            for a in range(assets):  # the active rows and columns, close together
                if state.active[a]:
                    j = 0
                    for b in range(assets):
                        if state.active[b]:
                            state.centred[0, i, j] = state.c[a, b]
                            j += 1
                    i += 1
            tridiagonal(state.centred, n, state.alpha, state.beta, state.scale, state.mean)
            counts[t, w] = n if implicit_ql(state.alpha, state.beta, n) else -1
            fall(state.alpha, n)
            for j in range(n):
                values[t, w, j] = state.alpha[j]
