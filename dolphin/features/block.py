"""The features of a stretch of bars as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from dolphin.core.logarithm import ln_array
from dolphin.errors import DolphinError, nearest

WINDOWS = (50, 150, 300, 750)
SHORT = 50  # bars of instability, volatility and breadth
MOMENTUM = 7  # bars of the reference's return
WARMUP_BARS = WINDOWS[-1] + 1  # the first row at which every velocity can exist

VEL_DIV = {"v50-v750": (0, 3), "v50-v150": (0, 1)}
REGIMES = {1: "BULL", -1: "BEAR", 0: "NEUTRAL"}


@dataclass(frozen=True, eq=False)
class FeatureBlock:
    """Features of T bars; NaN until they are defined.

    Attributes
    ----------
    a, v : float64[T, 4]
        Absorption ratio and velocity in the windows of :data:`WINDOWS`.
    n_active : int32[T, 4]
        Number of active assets.
    residual : float64[T, 4]
        Norm of the eigenvalue's residual relative to the eigenvalue.
    iterations : int32[T, 4]
        Matrix products that the eigenvalue took.
    instability : float64[T, 2]
        Population deviation of the last 50 values of v50 and v150.
    vol, vol_ewma : float64[T]
        Population deviation of the reference's last 50 log returns, and its 5-bar EWMA.
    bull_pct, bear_pct : float64[T]
        Percentage of active assets above and below their price 50 bars ago.
    regime : int8[T]
        +1 BULL, -1 BEAR, 0 NEUTRAL.
    reference_return : float64[T]
        Price of the reference over its price 7 bars ago, less 1.
    log_price : float64[T, N]
        Natural logarithms of the prices.
    """

    a: np.ndarray
    v: np.ndarray
    n_active: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray
    instability: np.ndarray
    vol: np.ndarray
    vol_ewma: np.ndarray
    bull_pct: np.ndarray
    bear_pct: np.ndarray
    regime: np.ndarray
    reference_return: np.ndarray
    log_price: np.ndarray

    @classmethod
    def empty(cls, rows: int, assets: int) -> FeatureBlock:
        """A block without values: NaN, and zero in the integer columns."""
        w = len(WINDOWS)
        return cls(
            a=np.full((rows, w), np.nan),
            v=np.full((rows, w), np.nan),
            n_active=np.zeros((rows, w), np.int32),
            residual=np.full((rows, w), np.nan),
            iterations=np.zeros((rows, w), np.int32),
            instability=np.full((rows, 2), np.nan),
            vol=np.full(rows, np.nan),
            vol_ewma=np.full(rows, np.nan),
            bull_pct=np.full(rows, np.nan),
            bear_pct=np.full(rows, np.nan),
            regime=np.zeros(rows, np.int8),
            reference_return=np.full(rows, np.nan),
            log_price=np.full((rows, assets), np.nan),
        )

    def __len__(self) -> int:
        return len(self.vol)

    def rows(self, start: int, stop: int) -> FeatureBlock:
        """The bars start..stop-1 as views."""
        return FeatureBlock(**{name: values[start:stop] for name, values in self.arrays().items()})

    def fill(self, known: Mapping[str, np.ndarray], close: np.ndarray) -> None:
        """Put stored columns (those of :meth:`columns`) and their log prices into the first rows.

        Parameters
        ----------
        known : mapping of ndarray [K]
            Columns by name; others are ignored.
        close : float64[T, N]
            Prices; the first K rows count.
        """
        head = self.rows(0, len(known["vol"]))
        for name, column in head.columns().items():
            if name != "vel_div":  # not stored but derived: the difference of two others
                column[:] = known[name]
        head.log_price[:] = ln_array(close[: len(head)])

    def copy(self) -> FeatureBlock:
        """A block that shares no memory with this one."""
        return FeatureBlock(**{name: np.array(values) for name, values in self.arrays().items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """The attributes by name, in order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def vel_div(self, definition: str = "v50-v750") -> np.ndarray:
        """The velocity divergence, float64[T].

        Raises
        ------
        DolphinError
            If the definition is not one of :data:`VEL_DIV`.
        """
        if definition not in VEL_DIV:
            raise DolphinError(f"unknown vel_div definition '{definition}'", mend=nearest(definition, VEL_DIV))
        fast, slow = VEL_DIV[definition]
        return self.v[:, fast] - self.v[:, slow]

    def columns(self) -> dict[str, np.ndarray]:
        """The columns of the daily scan file by name, without the log prices."""
        named = {"vel_div": self.vel_div()}
        named |= {f"v{w}_vel": self.v[:, k] for k, w in enumerate(WINDOWS)}
        named |= {f"instability_{w}": self.instability[:, k] for k, w in enumerate(WINDOWS[:2])}
        named |= {"vol": self.vol, "bull_pct": self.bull_pct, "bear_pct": self.bear_pct}
        named |= {"regime": self.regime, "vol_ewma": self.vol_ewma, "reference_return": self.reference_return}
        named |= {f"a_{w}": self.a[:, k] for k, w in enumerate(WINDOWS)}
        named |= {f"n_{w}": self.n_active[:, k] for k, w in enumerate(WINDOWS)}
        named |= {f"residual_{w}": self.residual[:, k] for k, w in enumerate(WINDOWS)}
        named |= {f"iterations_{w}": self.iterations[:, k] for k, w in enumerate(WINDOWS)}
        return named
