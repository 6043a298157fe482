"""Prices filled forward, with their ages, block after block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Filler:
    """Fills prices forward, block after block.

    Parameters
    ----------
    assets : int
        Columns of every block.
    """

    #: Rows that are filled at once: the working memory.
    ROWS = 4096

    def __init__(self, assets: int) -> None:
        self._close = np.full(assets, np.nan)
        self._age = np.full(assets, -1, np.int64)

    def __call__(self, close: NDArray[np.float64], age: NDArray[np.int32]) -> None:
        """Fill NaN with the last price above it, also of blocks before, in place.

        Parameters
        ----------
        close : float64 [B, N]
            Prices with NaN where there is none; changed in place.
        age : int32 [B, N]
            Output: bars since the real price, 0 where it is real, -1 before the first.
        """
        for low in range(0, len(close), self.ROWS):
            self._fill(close[low : low + self.ROWS], age[low : low + self.ROWS])

    def _fill(self, close: NDArray[np.float64], age: NDArray[np.int32]) -> None:
        missing = np.isnan(close)
        if not missing.any():  # as a rule
            age[...] = 0
            self._close, self._age = np.array(close[-1]), np.zeros_like(self._age)
            return
        bars = np.arange(len(close))[:, None]
        real = np.maximum.accumulate(np.where(missing, -1, bars), axis=0)
        before = real < 0  # the last real price, if any, lies in a block before
        older = np.where(self._age >= 0, self._age + 1 + bars, -1)
        close[...] = np.where(before, self._close, np.take_along_axis(close, np.maximum(real, 0), axis=0))
        age[...] = np.where(before, older, bars - real)
        self._close, self._age = np.array(close[-1]), age[-1].astype(np.int64)
