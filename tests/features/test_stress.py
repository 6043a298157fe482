"""Weak gaps and awkward prices against LAPACK, bar by bar, and with intervals where that is the judge."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scanner_markets import MINUTE, worst_error

from dolphin.core.jit import kernel
from dolphin.features import WINDOWS, scan
from dolphin.features.kernel import absorption, new_state, take_in
from dolphin.features.moments import anchor
from dolphin.market.certify import enclosure, window_returns

ROWS = 1000
Returns = np.ndarray


def noise(assets: int, seed: int = 1) -> Returns:
    return np.random.default_rng(seed).normal(size=(ROWS, assets))


def two_factors(ratio: float) -> Returns:
    """Two blocks of equal size whose factors are of almost equal strength."""
    r = noise(20)
    f = np.random.default_rng(2).normal(size=(ROWS, 2))
    r[:, :10] += f[:, :1]
    r[:, 10:] += np.sqrt(ratio) * f[:, 1:]
    return r


def designed(ratio: float) -> Returns:
    """Exact second moments in the last 750 rows: eigenvalues 8, 8 ratio, and equal ones below."""
    n, w = 16, 750
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(w, n + 1)) - 0.0)
    q = np.linalg.qr(np.c_[np.ones(w), q])[0][:, 1 : n + 1]  # orthonormal, without mean
    # Two blocks of eight with equal correlation rho: lambda 1 + 7 rho.
    rho = np.repeat([0.5, (ratio * (1 + 7 * 0.5) - 1) / 7], 8)
    c = np.eye(n)
    for block in (slice(0, 8), slice(8, 16)):
        c[block, block] += rho[block.start] * (1.0 - np.eye(8))
    r = noise(n)
    r[-w:] = q @ np.linalg.cholesky(c).T * np.sqrt(w)
    return r


def uncorrelated() -> Returns:
    """Orthogonal columns in the window of 50: a correlation of zero everywhere."""
    r = noise(8)
    wave = np.array([[np.cos(2 * np.pi * k * t / 50) for k in range(1, 9)] for t in range(ROWS)])
    r[:] = wave  # every 50 rows in a row are orthogonal and without mean
    return r


def appearing() -> Returns:
    r = noise(12) + np.random.default_rng(5).normal(size=(ROWS, 1))
    r[:430, 3] = np.nan
    r[600:, 4] = 0.0
    r[:, 5] = 0.0
    r[700:720, 6] = np.nan
    return r


CASES: dict[str, Callable[[], Returns]] = {
    "lambda2 / lambda1 = 0.9": lambda: designed(0.9),
    "lambda2 / lambda1 = 0.99": lambda: designed(0.99),
    "lambda2 / lambda1 = 0.999": lambda: designed(0.999),
    "equal eigenvalues": lambda: designed(1.0),
    "two factors": lambda: two_factors(0.98),
    "independent assets": lambda: noise(40),
    "no correlation": uncorrelated,
    "assets appear, die, stand still": appearing,
}


def prices(returns: Returns, step: float = 1e-3, spread: bool = False) -> np.ndarray:
    missing = np.isnan(returns)
    logs = np.cumsum(step * np.where(missing, 0.0, returns), axis=0)
    close = 100.0 * np.exp(np.vstack([np.zeros(returns.shape[1]), logs]))
    close[1:][missing] = np.nan
    if spread:  # twelve orders of magnitude between the first and the last asset
        close *= 10.0 ** np.linspace(-6, 6, returns.shape[1])
    return close


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("spread", [False, True])
def test_bars_of_the_stress_set(name: str, spread: bool) -> None:
    close = prices(CASES[name](), spread=spread)
    ts = MINUTE * np.arange(1, len(close) + 1)
    block = scan(ts, close, 0)
    rows = np.arange(50, len(close), 3 if spread else 19)
    assert worst_error(block, close, rows) < 1e-10
    there = np.isfinite(block.a)
    assert (block.iterations[there] > 0).all() and np.isfinite(block.residual[there]).all()
    assert not block.recomputed.any()


@pytest.mark.parametrize("name", ["lambda2 / lambda1 = 0.999", "equal eigenvalues", "no correlation"])
def test_intervals_agree(name: str) -> None:
    pytest.importorskip("flint")
    close = prices(CASES[name]())
    block = scan(MINUTE * np.arange(1, len(close) + 1), close, 0)
    for k, w in ((0, 50), (3, 750)):
        returns = window_returns(close, ROWS, w)
        lower, upper, error = enclosure(returns, float(block.a[ROWS, k]))
        assert lower <= upper <= lower * (1 + 1e-9)
        assert error <= 1e-10
        assert enclosure(returns, float(block.a[ROWS, k]) * (1 + 1e-9))[2] > 1e-10  # a wrong value is refused
    if name != "no correlation":
        values = np.linalg.eigvalsh(np.corrcoef(window_returns(close, ROWS, 750).T))
        assert values[-2] / values[-1] == pytest.approx(0.999 if "0.999" in name else 1.0, abs=1e-9)


@kernel
def call_absorption(row, n, state):  # type: ignore[no-untyped-def]
    return absorption(row, 0, n, state)


@pytest.mark.parametrize("damage", [np.nan, 0.9])
def test_a_value_that_misses_its_tolerance_is_made_again_from_the_window(damage: float) -> None:
    """A matrix that is none (not a number, not symmetric) proves nothing: the window is the judge."""
    close = prices(noise(6))
    state = new_state(6, WINDOWS)
    take_in(np.ascontiguousarray(close[1:]), state)
    anchor.py_func(ROWS - 1, state.windows, state.returns, state.s1, state.s2, state.peak)
    state.active[:6] = True
    state.s2[0, 0, 1] = damage
    ratio, residual, products, recomputed = call_absorption(ROWS - 1, 6, state)
    assert recomputed == 1 and residual < 1e-9 and products > 6
    returns = window_returns(close, ROWS, 50)
    assert ratio == pytest.approx(np.linalg.eigvalsh(np.corrcoef(returns.T))[-1] / 6, rel=1e-12)
