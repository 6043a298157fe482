"""Made markets, the features from their definition, and comparison to the bit."""

from __future__ import annotations

import numpy as np

from dolphin.features import WINDOWS, FeatureBlock

MINUTE = 60_000_000_000
MIDNIGHT = 19_000 * 86_400_000_000_000


def make_market(
    rows: int, assets: int, seed: int, *, factor: float = 1.0, spacing: int = 5 * MINUTE
) -> tuple[np.ndarray, np.ndarray]:
    """Times (the first is a midnight plus one spacing) and prices with one common factor."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(rows, 1)) * factor
    returns = 1e-3 * (common * rng.uniform(0.3, 1.2, assets) + rng.normal(size=(rows, assets)))
    close = np.round(100.0 * np.exp(np.cumsum(returns, axis=0)), 4)
    return MIDNIGHT + spacing * np.arange(1, rows + 1), close


def plain_absorption(close: np.ndarray, t: int, w: int) -> float:
    """a_w[t] by LAPACK from the definition; NaN with fewer than two active assets."""
    if t < w:
        return np.nan
    returns = np.log(close[t - w + 1 : t + 1] / close[t - w : t])
    active = np.isfinite(returns).all(axis=0) & (returns != returns[0]).any(axis=0)
    if active.sum() < 2:
        return np.nan
    return float(np.linalg.eigvalsh(np.corrcoef(returns[:, active].T))[-1] / active.sum())


def worst_error(block: FeatureBlock, close: np.ndarray, rows: np.ndarray) -> float:
    """Largest relative error of the absorption ratios at these rows; NaN must match NaN."""
    worst = 0.0
    for t in rows:
        for k, w in enumerate(WINDOWS):
            plain = plain_absorption(close, int(t), w)
            assert np.isnan(plain) == np.isnan(block.a[t, k]), (t, w)
            if not np.isnan(plain):
                worst = max(worst, abs(block.a[t, k] / plain - 1.0))
    return worst


def assert_same_bits(left: FeatureBlock, right: FeatureBlock) -> None:
    """Every array of the two blocks is equal byte for byte."""
    for (name, x), y in zip(left.arrays().items(), right.arrays().values(), strict=True):
        if x.tobytes() != y.tobytes():
            unequal = (x != y) & ~((x != x) & (y != y))
            raise AssertionError(f"{name} differs first at {np.argwhere(unequal)[:1].tolist()}")
