"""The features of a stretch of bars as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.core.records import Floats, Ints
from dolphin.errors import DolphinError, nearest

WINDOWS = (50, 150, 300, 750)
SHORT = 50  # bars of instability, volatility and breadth
MOMENTUM = 7  # bars of the reference's return
WARMUP_BARS = WINDOWS[-1] + 1  # the first row at which every velocity can exist
SHORTEST, LONGEST = 3, 20_000  # bars that a window may have
MOST_WINDOWS = 16

VEL_DIV = {"v50-v750": (0, 3), "v50-v150": (0, 1)}
REGIMES = {1: "BULL", -1: "BEAR", 0: "NEUTRAL"}


def check_windows(windows: Sequence[int]) -> tuple[int, ...]:
    """The windows as a tuple.

    Raises
    ------
    DolphinError
        Unless they are 2 to 16 increasing lengths of 3 to 20,000 bars.
    """
    found = tuple(int(w) for w in windows)
    increasing = all(a < b for a, b in pairwise(found))
    if not increasing or not 2 <= len(found) <= MOST_WINDOWS or found[0] < SHORTEST or found[-1] > LONGEST:
        raise DolphinError(
            f"no scan over windows {','.join(map(str, found))}",
            mend=f"give 2 to {MOST_WINDOWS} increasing lengths of {SHORTEST} to {LONGEST} bars, e.g. 50,150,300,750",
        )
    return found


@dataclass(frozen=True, eq=False)
class FeatureBlock:
    """Features of T bars in W windows; NaN until they are defined.

    Attributes
    ----------
    a, v : float64[T, W]
        Absorption ratio and velocity in the windows.
    n_active : int32[T, W]
        Number of active assets.
    residual : float64[T, W]
        Norm of the eigenvalue's residual relative to the eigenvalue.
    iterations : int32[T, W]
        Matrix products that the eigenvalue took.
    recomputed : int8[T, W]
        1 where the eigenvalue missed its tolerance and was made again from the window, 2 where it
        is unproven even then.
    instability : float64[T, 2]
        Population deviation of the last 50 velocities of the two shortest windows.
    vol, vol_ewma : float64[T]
        Population deviation of the reference's last 50 log returns, and its 5-bar EWMA.
    bull_pct, bear_pct : float64[T]
        Percentage of active assets above and below their price 50 bars ago.
    regime : int8[T]
        +1 BULL, -1 BEAR, 0 NEUTRAL.
    reference_return : float64[T]
        Price of the reference over its price 7 bars ago, less 1.
    windows : tuple of int
        Their lengths in bars; :data:`WINDOWS` unless chosen otherwise.
    """

    a: Floats
    v: Floats
    n_active: Ints
    residual: Floats
    iterations: Ints
    recomputed: Ints
    instability: Floats
    vol: Floats
    vol_ewma: Floats
    bull_pct: Floats
    bear_pct: Floats
    regime: NDArray[np.int8]
    reference_return: Floats
    windows: tuple[int, ...] = WINDOWS

    @classmethod
    def empty(cls, rows: int, windows: Sequence[int] = WINDOWS) -> FeatureBlock:
        """A block without values: NaN, and zero in the integer columns."""
        w = len(windows)
        return cls(
            a=np.full((rows, w), np.nan),
            v=np.full((rows, w), np.nan),
            n_active=np.zeros((rows, w), np.int32),
            residual=np.full((rows, w), np.nan),
            iterations=np.zeros((rows, w), np.int32),
            recomputed=np.zeros((rows, w), np.int8),
            instability=np.full((rows, 2), np.nan),
            vol=np.full(rows, np.nan),
            vol_ewma=np.full(rows, np.nan),
            bull_pct=np.full(rows, np.nan),
            bear_pct=np.full(rows, np.nan),
            regime=np.zeros(rows, np.int8),
            reference_return=np.full(rows, np.nan),
            windows=tuple(windows),
        )

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[Any]], windows: Sequence[int] = WINDOWS) -> FeatureBlock:
        """The block of stored columns (those of :meth:`columns`; others are ignored)."""
        block = cls.empty(len(columns["vol"]), windows)
        for name, column in block.columns().items():
            if name != "vel_div":  # not stored but derived: the difference of two others
                column[:] = columns[name]
        return block

    def __len__(self) -> int:
        return len(self.vol)

    def rows(self, start: int, stop: int) -> FeatureBlock:
        """The bars start..stop-1 as views."""
        changes: dict[str, Any] = {name: values[start:stop] for name, values in self.arrays().items()}
        return replace(self, **changes)

    def copy(self) -> FeatureBlock:
        """A block that shares no memory with this one."""
        changes: dict[str, Any] = {name: np.array(values) for name, values in self.arrays().items()}
        return replace(self, **changes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The attributes by name, in order."""
        return {name: getattr(self, name) for name in ARRAYS}

    def vel_div(self, definition: str | None = None) -> Floats:
        """The velocity divergence, float64[T]: by default that of the shortest and the longest window.

        Raises
        ------
        DolphinError
            If the definition is not one of :data:`VEL_DIV`, or these are not the default windows.
        """
        if definition is None:
            return self.v[:, 0] - self.v[:, -1]
        if definition not in VEL_DIV or self.windows != WINDOWS:
            raise DolphinError(f"unknown vel_div definition '{definition}'", mend=nearest(definition, VEL_DIV))
        fast, slow = VEL_DIV[definition]
        return self.v[:, fast] - self.v[:, slow]

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of the daily scan file and its detail by name."""
        windows = self.windows
        named: dict[str, NDArray[Any]] = {"vel_div": self.vel_div()}
        named |= {f"v{w}_vel": self.v[:, k] for k, w in enumerate(windows)}
        named |= {f"instability_{w}": self.instability[:, k] for k, w in enumerate(windows[:2])}
        named |= {"vol": self.vol, "bull_pct": self.bull_pct, "bear_pct": self.bear_pct}
        named |= {"regime": self.regime, "vol_ewma": self.vol_ewma, "reference_return": self.reference_return}
        named |= {f"a_{w}": self.a[:, k] for k, w in enumerate(windows)}
        named |= {f"n_{w}": self.n_active[:, k] for k, w in enumerate(windows)}
        named |= {f"residual_{w}": self.residual[:, k] for k, w in enumerate(windows)}
        named |= {f"iterations_{w}": self.iterations[:, k] for k, w in enumerate(windows)}
        named |= {f"recomputed_{w}": self.recomputed[:, k] for k, w in enumerate(windows)}
        return named


#: The attributes that are arrays with a row per bar, in order.
ARRAYS = tuple(field.name for field in fields(FeatureBlock) if field.name != "windows")
