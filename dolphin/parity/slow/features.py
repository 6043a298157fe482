"""The scanner's features once more, row by row from prices, in numpy with LAPACK, written from ENGINE section 2.

Nothing runs on from a row to the next: every window is cut out, correlated and solved for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from dolphin.core.records import Floats
from dolphin.features import FeatureBlock

WINDOWS = (50, 150, 300, 750)
SHORT = 50
#: What ours may differ by: an absolute part for what is a difference of ratios, and percentages relative.
TOLERANCE = 1e-9


@dataclass
class SlowFeatures:
    """Features of single rows of ``price`` (T, N) with reference column ``reference``."""

    price: Floats
    reference: int
    windows: tuple[int, ...] = WINDOWS
    _known: dict[tuple[int, int], tuple[float, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with np.errstate(invalid="ignore", divide="ignore"):
            self.returns = np.vstack([np.full((1, self.price.shape[1]), np.nan), np.diff(np.log(self.price), axis=0)])

    def active(self, t: int, window: int) -> Floats:
        """The returns of the window's active assets: no gap in them, and not all of them equal."""
        if t - window + 1 < 1:
            return np.empty((window, 0))
        part = self.returns[t - window + 1 : t + 1]
        equal = (
            self.price[t - window + 1 : t + 1] / self.price[t - window : t] == self.price[t] / self.price[t - 1]
        ).all(0)
        return part[:, np.isfinite(part).all(axis=0) & ~equal]

    def absorption(self, t: int, window: int) -> tuple[float, int]:
        """The largest eigenvalue of the correlation matrix over the number of active assets, and that number."""
        if (t, window) not in self._known:
            part = self.active(t, window)
            n = part.shape[1]
            value = float(np.linalg.eigvalsh(np.corrcoef(part.T))[-1]) / n if n >= 2 else np.nan
            self._known[t, window] = value, n
        return self._known[t, window]

    def velocity(self, t: int, window: int) -> float:
        """How much the absorption ratio grew in a bar."""
        return self.absorption(t, window)[0] / self.absorption(t - 1, window)[0] - 1.0 if t > 0 else np.nan

    def row(self, t: int) -> dict[str, float]:
        """Every column of the scan that ENGINE defines, by the names of the daily files."""
        v = {w: self.velocity(t, w) for w in self.windows}
        found = {f"v{w}_vel": v[w] for w in self.windows} | {"vel_div": v[self.windows[0]] - v[self.windows[-1]]}
        for w in self.windows:
            found[f"a_{w}"], found[f"n_{w}"] = self.absorption(t, w)
        for w in self.windows[:2]:
            found[f"instability_{w}"] = (
                float(np.std([self.velocity(t - k, w) for k in range(SHORT)])) if t > SHORT else np.nan
            )
        found["vol"] = float(np.std(self.returns[t - SHORT + 1 : t + 1, self.reference])) if t >= SHORT else np.nan
        part = self.returns[max(0, t - SHORT + 1) : t + 1]
        quotient = self.price[1:] / self.price[:-1]
        moving = [
            j
            for j in range(self.price.shape[1])
            if t >= SHORT and np.isfinite(part[:, j]).all() and len(set(quotient[t - SHORT : t, j].tolist())) > 1
        ]
        up = sum(self.price[t, j] > self.price[t - SHORT, j] for j in moving)
        down = sum(self.price[t, j] < self.price[t - SHORT, j] for j in moving)
        found["bull_pct"] = 100.0 * up / len(moving) if moving else np.nan
        found["bear_pct"] = 100.0 * down / len(moving) if moving else np.nan
        found["regime"] = float(np.sign(up - down))
        return found


def first_difference(slow: SlowFeatures, block: FeatureBlock, rows: Iterable[int]) -> tuple[int, str] | None:
    """The first of these rows in which a feature is not the slow one's, and which it is, in words."""
    columns = block.columns()
    for t in rows:
        for name, ours in slow.row(t).items():
            theirs = float(columns[name][t])
            if not same(ours, theirs):
                return t, f"{name} of row {t} is {theirs!r}, by its prices {ours!r}"
    return None


def same(a: float, b: float) -> bool:
    """Whether two features are equal within the tolerance; NaN only to NaN."""
    if a != a or b != b:
        return a != a and b != b
    return abs(a - b) <= TOLERANCE * max(1.0, abs(a))
